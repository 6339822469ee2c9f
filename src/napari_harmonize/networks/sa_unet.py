"""The self-attention U-Net of the spine system: linear attention on every level, full attention in the middle.

Two-dimensional in all published uses. The three-dimensional form, which the authors tried before they took attention
out (see ``unet_3d``), has the same names with five-dimensional weights.

Paper: Graf et al., "Denoising diffusion-based MRI to CT image translation enables automated spinal segmentation",
Eur Radiol Exp 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_harmonize.errors import SettingsError
from napari_harmonize.networks.sa_blocks import RAMPS, Skeleton, fold, needed, refuse_sides, refuse_widths, unfold
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition


@dataclass(frozen=True)
class SaUNetSettings(Settings):
    """What a :class:`SaUNet` is built from; the defaults are the published two-dimensional configuration in image mode."""

    channels: int = setting(1, help="Image channels.", low=1, high=65)
    source_channels: int = setting(1, help="Source channels beside the noisy ones.", low=0, high=65)
    width: int = setting(64, help="Feature channels at full resolution, a multiple of 8.", low=8, high=4096)
    multipliers: tuple[float, ...] = setting((1.0, 2.0, 4.0, 8.0), help="Width of each level as a multiple.", low=0.01, high=64)
    learns_variance: bool = setting(False, help="Whether the answer has the variance fraction behind the prediction.")
    patch: int = setting(1, help="Pixels along each side of the blocks that are folded into channels; 1 for none.", low=1, high=64)
    dimensions: int = setting(2, help="Sides of an image.", low=2, high=3)
    position: bool = setting(False, help="Whether it looks at the three position ramps.")

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_widths("SaUNet", self.width, self.multipliers)
        if self.dimensions == 3 and self.patch > 1:
            raise SettingsError("Only two-dimensional images are folded", f"blocks of {self.patch} pixels in 3 dimensions arrived")

    @classmethod
    def tiny(cls) -> SaUNetSettings:
        """Give the configuration the tests build."""
        return cls(width=8, multipliers=(1.0, 2.0), learns_variance=True)


class SaUNet(Skeleton):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : SaUNetSettings
        What it is built from.

    Attributes
    ----------
    multiple, channels, dimensions : int
        What every side must be divisible by, image channels, sides of an image.
    learns_variance : bool
        Whether the answer is (B, 2 C, ...): prediction, then the variance fraction.
    needs_style, bins
        False and 0: it takes no style key.
    """

    needs_style, bins = False, 0

    def __init__(self, settings: SaUNetSettings) -> None:
        area = settings.patch**2
        inputs = (settings.channels + settings.source_channels + RAMPS * settings.position) * area
        outputs = settings.channels * (1 + settings.learns_variance) * area
        super().__init__(settings.dimensions, inputs, outputs, settings.width, settings.multipliers, attentive=True)
        self.settings = settings
        self.channels, self.dimensions, self.learns_variance = settings.channels, settings.dimensions, settings.learns_variance
        self.multiple = settings.patch * 2 ** (len(settings.multipliers) - 1)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict what the objective asks for.

        Parameters
        ----------
        x_t : (B, C, H, W) or (B, C, D, H, W) float, about -1..1
            Noisy images; all sides divisible by ``multiple``.
        t : (B,) int64 or float
            Time index 0..T-1.
        condition : Condition
            Source (B, source channels, ...) in -1..1; position (B, 3, ...) in 0..1 where it is looked at.

        Returns
        -------
        (B, C, ...) Tensor
            The prediction, followed by C channels of variance fraction -1..1 where the network learns it.

        Raises
        ------
        VolumeError
            A side is not divisible, or the images have other channels.
        ModelError
            Source or position is missing.
        """
        refuse_sides(x_t, self.channels, self.multiple)
        source = needed("source", condition.source, self.settings.source_channels)
        position = needed("position", condition.position, RAMPS * self.settings.position)
        folded = fold(torch.cat([x_t, *source, *position], dim=1), self.settings.patch)
        return unfold(self.run(folded, t), self.settings.patch)
