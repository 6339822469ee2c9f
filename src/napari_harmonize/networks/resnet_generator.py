"""The ResNet generator of the spine system's CUT: strided convolutions, residual blocks, transposed convolutions.

Parameter names are those of published checkpoints once their leading ``gan.`` is cut off; the child indices of
``model`` are those of the published Sequential.

Papers: Park et al., "Contrastive learning for unpaired image-to-image translation", ECCV 2020; Johnson et al., ECCV
2016 (the generator); Graf et al., Eur Radiol Exp 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from napari_harmonize.networks.sa_blocks import refuse_sides
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition

BORDER = 3


@dataclass(frozen=True)
class ResnetGeneratorSettings(Settings):
    """What a :class:`ResnetGenerator` is built from; the defaults are the published configuration."""

    channels: int = setting(1, help="Image channels.", low=1, high=65)
    width: int = setting(32, help="Feature channels at full resolution.", low=1, high=4096)
    halvings: int = setting(1, help="Strided convolutions.", low=1, high=8)
    blocks: int = setting(6, help="Residual blocks.", low=1, high=64)
    dropout: float = setting(0.0, help="Share dropped while training inside the blocks.", low=0, high=0.9)

    @classmethod
    def tiny(cls) -> ResnetGeneratorSettings:
        """Give the configuration the tests build."""
        return cls(width=4, blocks=2)


class ResBlock(nn.Module):
    """Two convolutions with reflected borders, plus the input."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(), nn.Dropout(dropout)]
        self.conv_block = nn.Sequential(*first, nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w); same shape back."""
        mapped: Tensor = x + self.conv_block(x)
        return mapped


class ResnetGenerator(nn.Module):
    """The generator; see the module's first lines.

    Parameters
    ----------
    settings : ResnetGeneratorSettings
        What it is built from.

    Attributes
    ----------
    multiple, least : int
        What height and width must be divisible by, and their smallest value.
    channels, dimensions : int
        Image channels, sides of an image (2).
    direct : bool
        True: its image is the source, and it hears no time.
    needs_style, bins, learns_variance
        False, 0 and False.
    """

    needs_style, bins, learns_variance, dimensions, direct = False, 0, False, 2, True

    def __init__(self, settings: ResnetGeneratorSettings) -> None:
        super().__init__()
        self.settings, self.channels = settings, settings.channels
        self.multiple = 2**settings.halvings
        self.least = max(2 * self.multiple, BORDER + 1)
        widths = [settings.width * 2**level for level in range(settings.halvings + 1)]
        rising = list(pairwise(widths))
        parts: list[nn.Module] = [nn.ReflectionPad2d(BORDER), nn.Conv2d(settings.channels, settings.width, 2 * BORDER + 1)]
        parts += _normed(settings.width)
        for narrow, wide in rising:
            parts += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), *_normed(wide)]
        parts += [ResBlock(widths[-1], settings.dropout) for _ in range(settings.blocks)]
        for narrow, wide in reversed(rising):
            parts += [nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1), *_normed(narrow)]
        parts += [nn.ReflectionPad2d(BORDER), nn.Conv2d(settings.width, settings.channels, 2 * BORDER + 1), nn.Tanh()]
        self.model = nn.Sequential(*parts)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Translate.

        Parameters
        ----------
        x_t : (B, C, H, W) float, -1..1
            The source; H and W divisible by ``multiple`` and at least ``least``.
        t, condition
            Not looked at.

        Returns
        -------
        (B, C, H, W) Tensor, -1..1
            The clean image.

        Raises
        ------
        VolumeError
            A side is not divisible or too short, or the images have other channels.
        """
        refuse_sides(x_t, self.channels, self.multiple, self.least)
        translated: Tensor = self.model(x_t)
        return translated


def _normed(width: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(width), nn.ReLU()]
