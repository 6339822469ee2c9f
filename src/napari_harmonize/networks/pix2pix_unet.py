"""The U-Net generator of the spine system's Pix2Pix (``base_unet`` there).

Convolutions have no padding; the border is reflected after the instance normalisation, so that its statistics leave
the border out. Parameter names are those of published checkpoints once their leading ``gan.`` is cut off.

Papers: Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017; Graf et al.,
Eur Radiol Exp 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.networks.sa_blocks import refuse_sides
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition

SMALLEST = 4


@dataclass(frozen=True)
class Pix2PixUNetSettings(Settings):
    """What a :class:`Pix2PixUNet` is built from; the defaults are the published configuration."""

    channels: int = setting(1, help="Image channels.", low=1, high=65)
    width: int = setting(64, help="Feature channels of the first level, an even number.", low=2, high=4096)
    levels: int = setting(6, help="Halvings; half of the published depth.", low=1, high=12)
    dropout: float = setting(0.2, help="Share dropped while training on the way up.", low=0, high=0.9)

    @classmethod
    def tiny(cls) -> Pix2PixUNetSettings:
        """Give the configuration the tests build."""
        return cls(width=4, levels=2)


def _half(inputs: int, outputs: int, activation: nn.Module) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3), nn.InstanceNorm2d(outputs), nn.ReflectionPad2d(1), activation]


class Down(nn.Module):
    """Two convolutions, then one that halves the sides."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first, second = (_half(width, outputs, nn.PReLU(outputs)) for width in (inputs, outputs))
        self.conv_block = nn.Sequential(*first, *second)
        self.pool = nn.Conv2d(outputs, outputs, 2, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, inputs, h, w) to features (B, outputs, h, w) and their halved form."""
        x = self.conv_block(x)
        return x, self.pool(x)


class Bridge(nn.Module):
    """Two convolutions at the lowest resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for inputs, outputs in ((width, 2 * width), (2 * width, width)):
            parts += [*_half(inputs, outputs, nn.Dropout(0.5)), nn.ReLU()]
        self.conv_block = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, h, w); same shape back."""
        mapped: Tensor = self.conv_block(x)
        return mapped


class Up(nn.Module):
    """A convolution that doubles the sides, then two on its features beside the skipped ones."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose2d(width, width, 2, stride=2)
        first, second = _half(2 * width, width, nn.PReLU(width)), _half(width, width // 2, nn.PReLU(width // 2))
        self.conv_block = nn.Sequential(*first, *second, nn.Dropout(dropout))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (B, width, h, w) beside (B, width, 2 h, 2 w) to (B, width / 2, 2 h, 2 w)."""
        mapped: Tensor = self.conv_block(torch.cat([self.up_conv(x), skip], dim=1))
        return mapped


class Pix2PixUNet(nn.Module):
    """The generator; see the module's first lines.

    Parameters
    ----------
    settings : Pix2PixUNetSettings
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

    def __init__(self, settings: Pix2PixUNetSettings) -> None:
        super().__init__()
        self.settings, self.channels = settings, settings.channels
        self.multiple = 2**settings.levels
        self.least = SMALLEST * self.multiple
        widths = [settings.width * 2**level for level in range(settings.levels)]
        inputs = [settings.channels, *widths[:-1]]
        self.downs = nn.ModuleList(Down(*pair) for pair in zip(inputs, widths, strict=True))
        self.bridgeBlock = Bridge(widths[-1])
        self.ups = nn.ModuleList(Up(width, settings.dropout if level else 0.0) for level, width in reversed(list(enumerate(widths))))
        self.lastLayer = nn.Sequential(nn.Conv2d(settings.width // 2, settings.channels, 1), nn.Tanh())

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
        x, skips = x_t, []
        for down in self.downs:
            skip, x = down(x)
            skips.append(skip)
        x = self.bridgeBlock(x)
        for up in self.ups:
            x = up(x, skips.pop())
        translated: Tensor = self.lastLayer(x)
        return translated
