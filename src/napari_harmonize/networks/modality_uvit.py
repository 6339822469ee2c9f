"""The U-ViT of Koch et al.: a wavelet, a convolutional encoder and decoder, and a transformer between them.

It sees the source slice, then the noisy one, as eight wavelet bands of half the resolution. The transformer sees every
place of the lowest resolution; in the convolutional part attention runs along rows only, so turning a slice by 90
degrees changes the result.

Papers: Koch et al., Medical Image Analysis 105, 2025; Hoogeboom et al., "simple diffusion", ICML 2023.

Symbols: B batch, H x W slice size, n tokens, D their width, E width of the time embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.errors import SettingsError
from napari_harmonize.networks import wavelet
from napari_harmonize.networks.modality_blocks import (
    Attention,
    ResNetBlock,
    RMSNorm,
    SwiGLU,
    TimeEmbedding,
    check_slices,
    decoder,
    encoder,
    initialise,
    positions,
    source_of,
)
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition

IMAGES = 2


@dataclass(frozen=True)
class ModalityUViTSettings(Settings):
    """What a :class:`ModalityUViT` is built from; the defaults are the published configuration."""

    channels: int = setting(1, help="Slices of a stack.", low=1, high=1)
    width: int = setting(128, help="Feature channels of the first level; even, and divisible by the heads.", low=4, high=4096)
    multipliers: tuple[int, ...] = setting((1, 2, 4), help="Width of each level as a multiple; the first is 1.", low=1, high=64)
    heads: int = setting(4, help="Attention heads of the convolutional levels.", low=1, high=64)
    token_heads: int = setting(4, help="Attention heads of the transformer.", low=1, high=64)
    depth: int = setting(16, help="Layers of the transformer.", low=1, high=128)
    expansion: int = setting(4, help="Width inside the transformer's gated layers, as a multiple.", low=1, high=16)

    def __post_init__(self) -> None:
        super().__post_init__()
        tokens = self.width * self.multipliers[-1] if self.multipliers else 0
        uneven = self.width % self.heads or self.width % 2 or tokens % self.token_heads or tokens % 4 or tokens < 8
        if self.multipliers[:1] != (1,) or uneven:
            raise SettingsError(
                "A ModalityUViT has an even width its heads divide, tokens of a width divisible by 4, and a first multiplier of 1",
                f"width {self.width}, {self.heads} and {self.token_heads} heads and multipliers {self.multipliers} arrived",
            )

    @classmethod
    def tiny(cls) -> ModalityUViTSettings:
        """Give the configuration the tests build."""
        return cls(width=16, multipliers=(1, 2), heads=2, token_heads=2, depth=1)


class _Layer(nn.Module):
    """Attention and gated layer, each after a norm and added to its input; only the gated layer is told the time."""

    def __init__(self, features: int, heads: int, hidden: int, embedding: int) -> None:
        super().__init__()
        self.first, self.attention = RMSNorm(features), Attention(features, heads)
        self.second, self.gated = RMSNorm(features), SwiGLU(features, hidden, embedding)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Mix (B, n, D), steered by ``emb`` (B, E); same shape back."""
        x = x + self.attention(self.first(x))
        mixed: Tensor = x + self.gated(self.second(x), emb)
        return mixed


class Transformer(nn.Module):
    """Layers over all places of a map, which are told where they are."""

    def __init__(self, features: int, heads: int, depth: int, hidden: int, embedding: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(features, heads, hidden, embedding) for _ in range(depth))
        self.norm = RMSNorm(features)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Mix (B, D, h, w), steered by ``emb`` (B, E); same shape back."""
        _, d, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2) + positions(h, w, d, x.device)  # (B, n, D), row after row
        for layer in self.layers:
            tokens = layer(tokens, emb)
        mixed: Tensor = self.norm(tokens).transpose(1, 2).reshape(x.shape)
        return mixed


class ModalityUViT(nn.Module):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : ModalityUViTSettings
        What it is built from.

    Attributes
    ----------
    multiple : int
        Height and width must be divisible by it.
    """

    dimensions, channels, bins = 2, 1, 0
    needs_style = learns_variance = False

    def __init__(self, settings: ModalityUViTSettings) -> None:
        super().__init__()
        self.settings = settings
        width, heads, embedding = settings.width, settings.heads, 4 * settings.width
        widths = [width * multiplier for multiplier in settings.multipliers]
        self.multiple = 2 ** len(widths)
        self.embed = TimeEmbedding(width)
        self.stem = nn.Conv2d(IMAGES * wavelet.BANDS, width, 7, padding=3)
        self.encoder = encoder(width, widths, embedding, heads)
        tokens = widths[-1]
        self.middle = Transformer(tokens, settings.token_heads, settings.depth, settings.expansion * tokens, embedding)
        self.decoder = decoder(widths, embedding, heads)
        self.last = ResNetBlock(2 * width, width)
        self.bands = nn.Conv2d(width, IMAGES * wavelet.BANDS, 1)
        self.out = nn.Conv2d(IMAGES, 1, 1)
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
        x = stem = self.stem(wavelet.analyse(torch.cat([source_of(condition), x_t], dim=1)))
        kept = []
        for level in self.encoder:
            x, both = level(x, emb)
            kept.append(both)
        x = self.middle(x, emb)
        for level in self.decoder:
            x = level(x, emb, kept.pop())
        bands = self.bands(self.last(torch.cat([x, stem], dim=1)))  # (B, 8, H / 2, W / 2)
        predicted: Tensor = self.out(wavelet.synthesise(bands))
        return predicted
