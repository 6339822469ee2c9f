"""A direct generator on the self-attention U-Net: one pass, a constant time, a hyperbolic tangent at the end.

The spine paper compares with Pix2Pix and CUT on "SA-UNet" generators, whose code is in no commit. This one is ours:
same name, same parts, no claim that it is the same network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_harmonize.networks.sa_blocks import Skeleton, refuse_sides, refuse_widths
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition


@dataclass(frozen=True)
class SaUNetGeneratorSettings(Settings):
    """What a :class:`SaUNetGenerator` is built from."""

    channels: int = setting(1, help="Image channels.", low=1, high=65)
    width: int = setting(64, help="Feature channels at full resolution, a multiple of 8.", low=8, high=4096)
    multipliers: tuple[float, ...] = setting((1.0, 2.0, 4.0, 8.0), help="Width of each level as a multiple.", low=0.01, high=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_widths("SaUNetGenerator", self.width, self.multipliers)

    @classmethod
    def tiny(cls) -> SaUNetGeneratorSettings:
        """Give the configuration the tests build."""
        return cls(width=8, multipliers=(1.0, 2.0))


class SaUNetGenerator(Skeleton):
    """The generator; see the module's first lines.

    Parameters
    ----------
    settings : SaUNetGeneratorSettings
        What it is built from.

    Attributes
    ----------
    multiple, channels, dimensions : int
        What height and width must be divisible by, image channels, sides of an image (2).
    direct : bool
        True: its image is the source, and it hears no time.
    needs_style, bins, learns_variance
        False, 0 and False.
    """

    needs_style, bins, learns_variance, dimensions, direct = False, 0, False, 2, True

    def __init__(self, settings: SaUNetGeneratorSettings) -> None:
        super().__init__(2, settings.channels, settings.channels, settings.width, settings.multipliers, attentive=True)
        self.settings, self.channels = settings, settings.channels
        self.multiple = 2 ** (len(settings.multipliers) - 1)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Translate.

        Parameters
        ----------
        x_t : (B, C, H, W) float, -1..1
            The source; H and W divisible by ``multiple``.
        t, condition
            Not looked at.

        Returns
        -------
        (B, C, H, W) Tensor, -1..1
            The clean image.

        Raises
        ------
        VolumeError
            A side is not divisible, or the images have other channels.
        """
        refuse_sides(x_t, self.channels, self.multiple)
        return self.run(x_t, torch.ones(len(x_t), device=x_t.device)).tanh()
