"""The U-Net of Koch et al. that predicts the other modality in one pass, without noise and without time.

One block per level, group normalisation, no attention. What it keeps at full resolution is the stem's answer; the
answer of the first level is not used on the way up, as in the released code.

Paper: Koch et al., Medical Image Analysis 105, 2025.

Symbols: B batch, H x W slice size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.errors import SettingsError
from napari_harmonize.networks.blocks import GROUPS
from napari_harmonize.networks.modality_blocks import Down, ResNetBlock, Up, check_slices, initialise
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition


@dataclass(frozen=True)
class ModalityUNetSettings(Settings):
    """What a :class:`ModalityUNet` is built from; the defaults are the published configuration."""

    channels: int = setting(1, help="Slices of a stack.", low=1, high=1)
    source_channels: int = setting(0, help="Source slices beside the state; none, because the state is the source.", low=0, high=0)
    width: int = setting(128, help="Feature channels at full resolution, a multiple of 32.", low=32, high=4096)
    multipliers: tuple[int, ...] = setting((1, 2, 4), help="Width of each level as a multiple; the first is 1.", low=1, high=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.multipliers[:1] != (1,) or self.width % GROUPS:
            raise SettingsError(
                f"A ModalityUNet has a width divisible by {GROUPS} and a first multiplier of 1",
                f"width {self.width} and multipliers {self.multipliers} arrived",
            )

    @classmethod
    def tiny(cls) -> ModalityUNetSettings:
        """Give the configuration the tests build."""
        return cls(width=32, multipliers=(1, 2))


class _Level(nn.Module):
    """One block, then half or twice the resolution."""

    def __init__(self, block: ResNetBlock, resample: Down | Up | None) -> None:
        super().__init__()
        self.block, self.resample = block, resample

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give what goes on, and the block's own answer."""
        kept = self.block(x)
        return kept if self.resample is None else self.resample(kept), kept


class ModalityUNet(nn.Module):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : ModalityUNetSettings
        What it is built from.

    Attributes
    ----------
    multiple : int
        Height and width must be divisible by it.
    direct : bool
        True: it is asked once, with the source as its state, and looks at neither time nor condition.
    """

    dimensions, channels, bins = 2, 1, 0
    needs_style = learns_variance = False
    direct = True

    def __init__(self, settings: ModalityUNetSettings) -> None:
        super().__init__()
        self.settings = settings
        width, widths = settings.width, [settings.width * multiplier for multiplier in settings.multipliers]
        self.multiple = 2 ** (len(widths) - 1)
        self.stem = nn.Conv2d(1, width, 7, padding=3)
        downs = [Down(out, out) for out in widths[:-1]]
        self.encoder = nn.ModuleList(
            _Level(ResNetBlock(a, b, adds=a != b, grouped=True), down)
            for a, b, down in zip((width, *widths[:-1]), widths, (*downs, None), strict=True)
        )
        self.middle = ResNetBlock(widths[-1], widths[-1], grouped=True)
        self.decoder = nn.ModuleList(
            _Level(ResNetBlock(2 * kept, out, adds=True, grouped=True), Up(out))
            for kept, out in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = ResNetBlock(2 * width, width, grouped=True)
        self.out = nn.Conv2d(width, 1, 1)
        initialise(self)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict the clean slice.

        Parameters
        ----------
        x_t : (B, 1, H, W) float, -1..1
            The source slice, which is the state of a direct path; H and W divisible by ``multiple``.
        t : (B,) float
            Not looked at.
        condition : Condition
            Not looked at.

        Returns
        -------
        (B, 1, H, W) Tensor
            The other modality, -1..1 in the main; not clipped.

        Raises
        ------
        VolumeError
            More than one slice, or H or W is not divisible.
        """
        check_slices(x_t, self.multiple)
        x = stem = self.stem(x_t)
        skips = []
        for level in self.encoder:
            x, kept = level(x)
            skips.append(kept)
        x = self.middle(x)
        for level in self.decoder:
            x, _ = level(torch.cat([x, skips.pop()], dim=1))
        predicted: Tensor = self.out(self.last(torch.cat([x, stem], dim=1)))
        return predicted
