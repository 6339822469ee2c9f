"""The convolutional denoiser of Koch et al. ("ADM"): a U-Net steered by log-SNR, with attention along rows.

It sees the source slice, then the noisy one. Attention runs along the columns of each row by itself, although the
paper reads otherwise, so turning a slice by 90 degrees changes the result.

Paper: Koch et al., Medical Image Analysis 105, 2025; Dhariwal and Nichol 2021.

Symbols: B batch, H x W slice size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.errors import SettingsError
from napari_harmonize.networks.modality_blocks import (
    ResNetBlock,
    RowAttention,
    TimeEmbedding,
    check_slices,
    decoder,
    encoder,
    initialise,
    source_of,
)
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition


@dataclass(frozen=True)
class ModalityADMSettings(Settings):
    """What a :class:`ModalityADM` is built from; the defaults are the published configuration."""

    channels: int = setting(1, help="Slices of a stack.", low=1, high=1)
    width: int = setting(128, help="Feature channels at full resolution; even, and divisible by the heads.", low=4, high=4096)
    multipliers: tuple[int, ...] = setting((1, 2, 4), help="Width of each level as a multiple; the first is 1.", low=1, high=64)
    heads: int = setting(4, help="Attention heads at every resolution.", low=1, high=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.multipliers[:1] != (1,) or self.width % self.heads or self.width % 2:
            raise SettingsError(
                "A ModalityADM has an even width its heads divide and a first multiplier of 1",
                f"width {self.width}, {self.heads} heads and multipliers {self.multipliers} arrived",
            )

    @classmethod
    def tiny(cls) -> ModalityADMSettings:
        """Give the configuration the tests build."""
        return cls(width=16, multipliers=(1, 2), heads=2)


class Middle(nn.Module):
    """Two blocks with attention between them, at the lowest resolution."""

    def __init__(self, channels: int, embedding: int, heads: int) -> None:
        super().__init__()
        self.first = ResNetBlock(channels, channels, embedding=embedding)
        self.attend = RowAttention(channels, heads)
        self.second = ResNetBlock(channels, channels, embedding=embedding)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Mix (B, channels, h, w), steered by ``emb`` (B, E); same shape back."""
        mixed: Tensor = self.second(self.attend(self.first(x, emb)), emb)
        return mixed


class ModalityADM(nn.Module):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : ModalityADMSettings
        What it is built from.

    Attributes
    ----------
    multiple : int
        Height and width must be divisible by it.
    """

    dimensions, channels, bins = 2, 1, 0
    needs_style = learns_variance = False

    def __init__(self, settings: ModalityADMSettings) -> None:
        super().__init__()
        self.settings = settings
        width, heads, embedding = settings.width, settings.heads, 4 * settings.width
        widths = [width * multiplier for multiplier in settings.multipliers]
        self.multiple = 2 ** (len(widths) - 1)
        self.embed = TimeEmbedding(width)
        self.stem = nn.Conv2d(2, width, 7, padding=3)
        self.encoder = encoder(width, widths, embedding, heads)
        self.middle = Middle(widths[-1], embedding, heads)
        self.decoder = decoder(widths, embedding, heads)
        self.last = ResNetBlock(2 * width, width)
        self.out = nn.Conv2d(width, 1, 1)
        initialise(self)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict what the objective asks for; the published weights predict the velocity.

        Parameters
        ----------
        x_t : (B, 1, H, W) float, about -1..1
            Noisy slice; H and W divisible by ``multiple``.
        t : (B,) float
            Log-SNR, about -15..15.
        condition : Condition
            Source slice (B, 1, H, W) in -1..1.

        Returns
        -------
        (B, 1, H, W) Tensor
            The prediction.

        Raises
        ------
        VolumeError
            More than one slice, or H or W is not divisible.
        ModelError
            The source is missing.
        """
        check_slices(x_t, self.multiple)
        emb = self.embed(t)  # (B, 4 width)
        x = stem = self.stem(torch.cat([source_of(condition), x_t], dim=1))
        kept = []
        for level in self.encoder:
            x, both = level(x, emb)
            kept.append(both)
        x = self.middle(x, emb)
        for level in self.decoder:
            x = level(x, emb, kept.pop())
        predicted: Tensor = self.out(self.last(torch.cat([x, stem], dim=1)))
        return predicted
