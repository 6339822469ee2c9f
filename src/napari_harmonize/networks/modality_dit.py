"""The diffusion transformer of Koch et al. (DiT): patches as tokens, steered by log-SNR in every layer.

It sees the noisy slice, then the source. Places are computed, so any size divisible by the patch is taken; the paper
reports that published weights fail away from 256 x 256.

Papers: Koch et al., Medical Image Analysis 105, 2025; Peebles and Xie, "Scalable diffusion models with transformers",
ICCV 2023.

Symbols: B batch, H x W slice size, p patch side, n tokens, D their width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_harmonize.errors import SettingsError
from napari_harmonize.networks.blocks import sinusoid
from napari_harmonize.networks.modality_blocks import EPS, Attention, RMSNorm, SwiGLU, check_slices, initialise, positions, source_of
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition

IMAGES = 2


@dataclass(frozen=True)
class ModalityDiTSettings(Settings):
    """What a :class:`ModalityDiT` is built from; the defaults are the published configuration, L/16."""

    channels: int = setting(1, help="Slices of a stack.", low=1, high=1)
    patch: int = setting(16, help="Side of a patch, which is one token.", unit="voxels", low=1, high=128)
    features: int = setting(1024, help="Width of a token; divisible by 4 and by the heads.", low=8, high=8192)
    depth: int = setting(24, help="Layers of the transformer.", low=1, high=128)
    heads: int = setting(16, help="Attention heads.", low=1, high=64)
    expansion: int = setting(4, help="Width inside the gated layers, as a multiple.", low=1, high=16)
    frequencies: int = setting(256, help="Cosines and sines of the log-SNR; even.", low=2, high=4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.features % 4 or self.features % self.heads or self.frequencies % 2:
            raise SettingsError(
                "A ModalityDiT has tokens whose width 4 and the heads divide, and an even number of frequencies",
                f"width {self.features}, {self.heads} heads and {self.frequencies} frequencies arrived",
            )

    @classmethod
    def tiny(cls) -> ModalityDiTSettings:
        """Give the configuration the tests build."""
        return cls(patch=4, features=32, depth=2, heads=2, expansion=2, frequencies=16)


class _Layer(nn.Module):
    """Attention and gated layer, each shifted, scaled and weighed by time, and added to its input."""

    def __init__(self, features: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.steer = nn.Linear(features, 6 * features)
        self.first, self.attention = RMSNorm(features), Attention(features, heads)
        self.second, self.gated = RMSNorm(features), SwiGLU(features, hidden)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Mix (B, n, D), steered by ``emb`` (B, D); same shape back."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.steer(F.silu(emb))[:, None].chunk(6, dim=2)  # (B, 1, D) each
        x = x + gate1 * self.attention(self.first(x) * (1 + scale1) + shift1)
        mixed: Tensor = x + gate2 * self.gated(self.second(x) * (1 + scale2) + shift2)
        return mixed


class _Final(nn.Module):
    """Shift and scale by time, then the pixels of every patch."""

    def __init__(self, features: int, pixels: int) -> None:
        super().__init__()
        self.steer, self.norm = nn.Linear(features, 2 * features), RMSNorm(features)
        self.out = nn.Linear(features, pixels)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map (B, n, D), steered by ``emb`` (B, D), to (B, n, pixels)."""
        shift, scale = self.steer(F.silu(emb))[:, None].chunk(2, dim=2)
        pixels: Tensor = self.out(self.norm(x) * (1 + scale) + shift)
        return pixels


class ModalityDiT(nn.Module):
    """The network; see the module's first lines. A new one answers 0, as in the paper of Peebles and Xie.

    Parameters
    ----------
    settings : ModalityDiTSettings
        What it is built from.

    Attributes
    ----------
    multiple : int
        Height and width must be divisible by it.
    """

    dimensions, channels, bins = 2, 1, 0
    needs_style = learns_variance = False

    def __init__(self, settings: ModalityDiTSettings) -> None:
        super().__init__()
        self.settings = settings
        self.multiple = patch = settings.patch
        features = settings.features
        self.norm_patches = nn.LayerNorm(IMAGES * patch**2, EPS)
        self.patches = nn.Linear(IMAGES * patch**2, features)
        self.norm_tokens = nn.LayerNorm(features, EPS)
        self.embed = nn.Sequential(nn.Linear(settings.frequencies, features), nn.SiLU(), nn.Linear(features, features))
        hidden = settings.expansion * features
        self.layers = nn.ModuleList(_Layer(features, settings.heads, hidden) for _ in range(settings.depth))
        self.final = _Final(features, patch**2)
        self._initialise()

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
        p = self.multiple
        emb = self.embed(sinusoid(t, self.settings.frequencies))  # (B, D)
        grid = torch.cat([x_t, source_of(condition)], dim=1).unfold(2, p, p).unfold(3, p, p)  # (B, 2, h, w, p, p)
        b, _, h, w = grid.shape[:4]
        # in a patch rows are slowest, then columns, and the two images fastest
        x = self.patches(self.norm_patches(grid.permute(0, 2, 3, 4, 5, 1).reshape(b, h * w, -1)))
        x = self.norm_tokens(x) + positions(h, w, self.settings.features, x.device)
        for layer in self.layers:
            x = layer(x, emb)
        pixels = self.final(x, emb).reshape(b, h, w, p, p)
        predicted: Tensor = pixels.permute(0, 1, 3, 2, 4).reshape(b, 1, h * p, w * p)
        return predicted

    def _initialise(self) -> None:
        """Draw weights as the authors start training: every layer begins as the identity, the answer as 0."""
        initialise(self)
        for name, weight in self.named_parameters():
            if name.startswith("embed.") and weight.ndim > 1:
                nn.init.trunc_normal_(weight, std=0.02)
            if name.endswith(("steer.weight", "final.out.weight")):
                nn.init.zeros_(weight)
