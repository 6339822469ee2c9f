"""The U-Net of the published Brownian-bridge systems, with or without a style key.

It sees a stack of C noisy slices beside the source stack and predicts one image per slice. A style key enters as
three tokens (histogram, cumulative histogram, differential) in the attention of the middle block; without one the
attention is the older block without context. Parameter names and shapes are those of published checkpoints once
their leading ``denoise_fn.`` is cut off; no other renaming is needed.

Papers: Choo et al., MICCAI 2024 (style key); Li et al., CVPR 2023 (BBDM); Rombach et al., CVPR 2022 (the U-Net).

Symbols: B batch, C = 2N + 1 slices of a stack, H x W slice size, E width of the time embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.errors import ModelError, SettingsError, StyleError, VolumeError
from napari_harmonize.networks.blocks import GROUPS, AttentionBlock, GroupNorm32, Levels, ResBlock, SpatialTransformer, sinusoid, walk
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition


@dataclass(frozen=True)
class BridgeUNetSettings(Settings):
    """What a :class:`BridgeUNet` is built from; the defaults are the published configuration with a style key."""

    channels: int = setting(3, help="Slices of a stack, 2N + 1.", low=1, high=65)
    source_channels: int = setting(3, help="Source slices beside the noisy ones; 0 for none.", low=0, high=65)
    width: int = setting(128, help="Feature channels at full resolution, a multiple of 32.", low=32, high=4096)
    multipliers: tuple[int, ...] = setting((1, 4, 8), help="Width of each level as a multiple; the first is 1.", low=1, high=64)
    blocks: int = setting(2, help="Residual blocks on each level.", low=1, high=16)
    attention: tuple[int, ...] = setting((), help="Downsampling rates with attention besides the middle.", low=1, high=1024)
    head_width: int = setting(64, help="Channels of one attention head.", low=1, high=4096)
    bins: int = setting(128, help="Bins of the style key; 0 for a network without one.", low=0, high=4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = [self.width * multiplier for multiplier in self.multipliers]
        attentive = [levels[-1:], *([width] for level, width in enumerate(levels) if 2**level in self.attention)]
        uneven = [part[0] for part in attentive if part and part[0] % self.head_width]
        if self.multipliers[:1] != (1,) or self.width % GROUPS or uneven:
            raise SettingsError(
                f"A BridgeUNet has a width divisible by {GROUPS}, a first multiplier of 1 and attention widths its heads divide",
                f"width {self.width}, multipliers {self.multipliers} and head width {self.head_width} arrived",
            )

    @classmethod
    def tiny(cls) -> BridgeUNetSettings:
        """Give the configuration the tests build."""
        return cls(width=32, multipliers=(1, 2), blocks=1, attention=(2,), head_width=32, bins=16)


class BridgeUNet(nn.Module):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : BridgeUNetSettings
        What it is built from.

    Attributes
    ----------
    multiple : int
        Height and width must be divisible by it.
    channels, bins : int
        Slices of a stack, bins of a style key.
    dimensions, learns_variance
        2 and false: it sees slices and answers with one image each.
    needs_style : bool
        Whether it refuses to work without a style key.
    """

    dimensions = 2
    learns_variance = False

    def __init__(self, settings: BridgeUNetSettings) -> None:
        super().__init__()
        self.settings = settings
        self.channels, self.bins = settings.channels, settings.bins
        self.needs_style = settings.bins > 0
        self.multiple = 2 ** (len(settings.multipliers) - 1)
        width, embedding = settings.width, 4 * settings.width
        levels = self._levels(embedding)
        self.time_embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.input_blocks, widths = levels.encoder(settings.channels + settings.source_channels)
        self.middle_block = levels.middle()
        self.output_blocks = levels.decoder(widths)
        self.out = nn.Sequential(GroupNorm32(width), nn.SiLU(), nn.Conv2d(width, settings.channels, 3, padding=1))

    def _levels(self, embedding: int) -> Levels:
        chosen = self.settings
        return Levels(
            tuple(multiplier * chosen.width for multiplier in chosen.multipliers),
            chosen.blocks,
            tuple(2**level in chosen.attention for level in range(len(chosen.multipliers))),
            residual=lambda width, out: ResBlock(width, out, embedding),
            attention=lambda width, up: self._attention(width),
            down=lambda width: ResBlock(width, width, embedding, "down"),
            up=lambda width: ResBlock(width, width, embedding, "up"),
        )

    def _attention(self, width: int) -> nn.Module:
        head = self.settings.head_width
        return SpatialTransformer(width, self.bins, head) if self.needs_style else AttentionBlock(width, head)

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict what the objective asks for.

        Parameters
        ----------
        x_t : (B, C, H, W) float, about -1..1
            Noisy stack; H and W divisible by ``multiple``.
        t : (B,) int64
            Time index 0..T-1.
        condition : Condition
            Source stack (B, source channels, H, W) in -1..1, and the style key (B, 3, bins) where one is needed.

        Returns
        -------
        (B, C, H, W) Tensor
            The prediction.

        Raises
        ------
        VolumeError
            The stacks have the wrong number of slices, or H or W is not divisible.
        ModelError
            The source is missing.
        StyleError
            The style key is missing or has other bins.
        """
        h, style = self._inputs(x_t, condition), self._style(condition)
        emb: Tensor = self.time_embed(sinusoid(t, self.settings.width))  # (B, E)
        h = walk(self.input_blocks, self.middle_block, self.output_blocks, h, emb, style)
        predicted: Tensor = self.out(h)
        return predicted

    def _inputs(self, x_t: Tensor, condition: Condition) -> Tensor:
        height, width = x_t.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise VolumeError(
                f"Height and width must be divisible by {self.multiple}", f"slices of {height} x {width} arrived", "Pad the slices"
            )
        if x_t.shape[1] != self.channels:
            raise VolumeError(f"This network takes stacks of {self.channels} slices", f"stacks of {x_t.shape[1]} arrived")
        wanted = self.settings.source_channels
        if not wanted:
            return x_t
        if condition.source is None or condition.source.shape[1] != wanted:
            arrived = "none" if condition.source is None else f"stacks of {condition.source.shape[1]}"
            raise ModelError(f"This network looks at {wanted} source slices", f"{arrived} arrived", "Give it the source")
        return torch.cat([x_t, condition.source], dim=1)

    def _style(self, condition: Condition) -> Tensor | None:
        if not self.needs_style:
            return None
        if condition.style is None or condition.style.shape[-2:] != (3, self.bins):
            arrived = "none" if condition.style is None else f"one of {tuple(condition.style.shape[-2:])}"
            raise StyleError(f"This network needs a style key of 3 curves with {self.bins} bins", f"{arrived} arrived", "Choose a key")
        return condition.style
