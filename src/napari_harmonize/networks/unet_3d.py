"""The three-dimensional U-Net of the spine system, the one published model: no attention, averaged skips, position ramps.

As a diffusion network it looks at the noisy volume, the source and the ramps, in this order. Without a time it is the
generator of the three-dimensional Pix2Pix: it looks at the source and the ramps, and the time it hears is always 1.

Paper: Graf et al., "Denoising diffusion-based MRI to CT image translation enables automated spinal segmentation",
Eur Radiol Exp 2023. The paper says that skips are added; the code averages them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_harmonize.errors import SettingsError
from napari_harmonize.networks.sa_blocks import RAMPS, Skeleton, needed, refuse_sides, refuse_widths
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition


@dataclass(frozen=True)
class UNet3dSettings(Settings):
    """What a :class:`UNet3d` is built from; the defaults are the published configuration."""

    channels: int = setting(1, help="Image channels.", low=1, high=1)
    source_channels: int = setting(1, help="Source channels beside the noisy one; 0 for a generator.", low=0, high=65)
    width: int = setting(64, help="Feature channels at full resolution, a multiple of 8.", low=8, high=4096)
    multipliers: tuple[float, ...] = setting((1.0, 2.0, 4.0, 8.0), help="Width of each level as a multiple.", low=0.01, high=64)
    learns_variance: bool = setting(False, help="Whether the answer has the variance fraction behind the prediction.")
    position: bool = setting(True, help="Whether it looks at the three position ramps.")
    timed: bool = setting(True, help="Whether it hears the time; a generator does not.")

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_widths("UNet3d", self.width, self.multipliers)
        if not self.timed and (self.source_channels or self.learns_variance):
            raise SettingsError("A generator's image is the source itself, and it has no variance", f"{self} arrived")

    @classmethod
    def tiny(cls) -> UNet3dSettings:
        """Give the configuration the tests build."""
        return cls(width=8, multipliers=(1.0, 2.0))


class UNet3d(Skeleton):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : UNet3dSettings
        What it is built from.

    Attributes
    ----------
    multiple, channels, dimensions : int
        What every side must be divisible by, image channels (1), sides of an image (3).
    learns_variance : bool
        Whether the answer is (B, 2, D, H, W): prediction, then the variance fraction.
    direct : bool
        Whether it is a generator, whose image is the source and which hears no time.
    needs_style, bins
        False and 0: it takes no style key.
    """

    needs_style, bins, dimensions = False, 0, 3

    def __init__(self, settings: UNet3dSettings) -> None:
        inputs = settings.channels + settings.source_channels + RAMPS * settings.position
        outputs = settings.channels * (1 + settings.learns_variance)
        super().__init__(3, inputs, outputs, settings.width, settings.multipliers, attentive=False)
        self.settings = settings
        self.channels, self.learns_variance, self.direct = settings.channels, settings.learns_variance, not settings.timed
        self.multiple = 2 ** (len(settings.multipliers) - 1)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict what the objective asks for.

        Parameters
        ----------
        x_t : (B, 1, D, H, W) float, about -1..1
            Noisy volume, or the source where the network is a generator; all sides divisible by ``multiple``.
        t : (B,) int64 or float
            Time index 0..T-1; a generator does not listen.
        condition : Condition
            Source (B, 1, D, H, W) in -1..1 and position (B, 3, D, H, W) in 0..1, where they are looked at.

        Returns
        -------
        (B, 1, D, H, W) Tensor
            The prediction, followed by the variance fraction -1..1 where the network learns it.

        Raises
        ------
        VolumeError
            A side is not divisible.
        ModelError
            Source or position is missing.
        """
        refuse_sides(x_t, self.channels, self.multiple)
        source = needed("source", condition.source, self.settings.source_channels)
        position = needed("position", condition.position, RAMPS * self.settings.position)
        return self.run(torch.cat([x_t, *source, *position], dim=1), torch.ones_like(t) if self.direct else t)
