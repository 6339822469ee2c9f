"""Parts of the U-Nets that descend from guided diffusion, named as in the checkpoints they load.

Symbols: B batch, C channels, E width of the time embedding, h x w feature size, n = h w tokens.
The child indices of the Sequentials (``in_layers.2``, ``ff.net.2``) are those of published ``state_dict`` keys.

Papers: Dhariwal and Nichol 2021 (residual blocks steered by scale and shift); Rombach et al., "High-resolution image
synthesis with latent diffusion models", CVPR 2022 (transformer block).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

Resample = Literal["", "down", "up"]

GROUPS = 32


def sinusoid(t: Tensor, width: int) -> Tensor:
    """Embed times as cosines and sines.

    Parameters
    ----------
    t : (B,) int64
        Raw time indices.
    width : int
        Even number of features.

    Returns
    -------
    (B, width) float32 Tensor
        Cosines first, then sines, of t exp(-ln(10000) i / (width / 2)).
    """
    half = width // 2
    falling = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * (-math.log(10000) / half))
    angle = t[:, None].float() * falling
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class GroupNorm32(nn.GroupNorm):
    """Group normalisation in 32 groups, computed in float32 whatever comes in."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(GROUPS, channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...); same shape and type back."""
        weight, bias = self.weight.float(), self.bias.float()
        return F.group_norm(x.float(), self.num_groups, weight, bias, self.eps).to(x.dtype)


def _resampled(x: Tensor, resample: Resample) -> Tensor:
    if resample == "down":
        return F.avg_pool2d(x, 2)
    return F.interpolate(x, scale_factor=2.0, mode="nearest") if resample == "up" else x


class ResBlock(nn.Module):
    """Two convolutions steered by the time, plus the input; may halve or double the resolution.

    Parameters
    ----------
    channels, out_channels : int
        Widths, multiples of 32.
    embedding : int
        Width of the time embedding.
    resample : str
        "", "down" (2 x 2 mean before the first convolution) or "up" (nearest neighbour).
    scale_shift : bool
        Steer by scale and shift after the second normalisation; else by what is added before it.
    dropout : float
        Share of features dropped before the second convolution, in training.
    """

    def __init__(
        self, channels: int, out_channels: int, embedding: int, resample: Resample = "", *, scale_shift: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.resample: Resample = resample
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(GroupNorm32(channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, (1 + scale_shift) * out_channels))
        conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.out_layers = nn.Sequential(GroupNorm32(out_channels), nn.SiLU(), nn.Dropout(dropout), conv)
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Steer ``x`` (B, channels, h, w) by ``emb`` (B, E); returns (B, out_channels, h', w')."""
        h = self.in_layers[2](_resampled(self.in_layers[:2](x), self.resample))
        h = self._steered(h, self.emb_layers(emb)[:, :, None, None])
        skip: Tensor = self.skip_connection(_resampled(x, self.resample))
        changed: Tensor = self.out_layers[1:](h)
        return skip + changed

    def _steered(self, h: Tensor, steer: Tensor) -> Tensor:
        """Normalise, after adding (B, out, 1, 1) or before scaling and shifting by (B, 2 out, 1, 1)."""
        if not self.scale_shift:
            added: Tensor = self.out_layers[0](h + steer)
            return added
        scale, shift = steer.chunk(2, dim=1)
        scaled: Tensor = self.out_layers[0](h) * (1 + scale) + shift
        return scaled


def _heads(x: Tensor, heads: int) -> Tensor:
    b, n, width = x.shape
    return x.reshape(b, n, heads, width // heads).transpose(1, 2)  # (B, heads, n, C / heads)


class CrossAttention(nn.Module):
    """Attention of tokens over context tokens; over themselves where there is no context.

    Parameters
    ----------
    channels : int
        Width of the tokens.
    context : int
        Width of the context tokens.
    heads : int
        Heads, dividing ``channels``.
    """

    def __init__(self, channels: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Mix ``x`` (B, n, channels) with ``context`` (B, m, context); same shape as x back."""
        context = x if context is None else context
        q, k, v = (_heads(part, self.heads) for part in (self.to_q(x), self.to_k(context), self.to_v(context)))
        mixed: Tensor = self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class GatedLinear(nn.Module):
    """Linear layer gated by the exact GELU of its second half."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 2 * out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n, channels) to (B, n, out_channels)."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.gelu(gate)
        return gated


class FeedForward(nn.Module):
    """Gated linear layer of four times the width, and back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GatedLinear(channels, 4 * channels), nn.Dropout(0.0), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n, channels); same shape back."""
        mapped: Tensor = self.net(x)
        return mapped


class TransformerBlock(nn.Module):
    """Self-attention, attention over the style key, feed-forward; each after a LayerNorm and added to its input."""

    def __init__(self, channels: int, context: int, heads: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(channels, channels, heads)
        self.attn2 = CrossAttention(channels, context, heads)
        self.ff = FeedForward(channels)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(channels), nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Mix ``x`` (B, n, channels) with ``context`` (B, m, context); same shape as x back."""
        x = self.attn1(self.norm1(x)) + x
        x = self.attn2(self.norm2(x), context) + x
        x = self.ff(self.norm3(x)) + x
        return x


class SpatialTransformer(nn.Module):
    """Transformer over all pixels of a feature map, which also looks at context tokens.

    Parameters
    ----------
    channels : int
        Feature width.
    context : int
        Width of the context tokens.
    head_width : int
        Width of one attention head, dividing ``channels``.
    """

    def __init__(self, channels: int, context: int, head_width: int) -> None:
        super().__init__()
        self.norm = GroupNorm32(channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context, channels // head_width)])
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Mix ``x`` (B, channels, h, w) with ``context`` (B, m, context); same shape as x back."""
        tokens = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)  # (B, n, C), row after row
        for block in self.transformer_blocks:
            tokens = block(tokens, context)
        mixed: Tensor = self.proj_out(tokens.transpose(1, 2).reshape(x.shape))
        return mixed + x


class AttentionBlock(nn.Module):
    """Self-attention over all pixels in the older form, without context.

    Parameters
    ----------
    channels : int
        Feature width.
    head_width : int
        Width of one attention head, dividing ``channels``.
    heads_first : bool
        Whether heads are cut first and query, key and value inside each head, or the other way round.
    """

    def __init__(self, channels: int, head_width: int, *, heads_first: bool = True) -> None:
        super().__init__()
        self.heads, self.heads_first = channels // head_width, heads_first
        self.norm = GroupNorm32(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (B, channels, h, w); same shape back."""
        flat = x.flatten(2)  # (B, C, n)
        cut = (self.heads, 3) if self.heads_first else (3, self.heads)
        parts = self.qkv(self.norm(flat)).unflatten(1, (*cut, -1)).transpose(-1, -2)
        q, k, v = parts.unbind(2 if self.heads_first else 1)  # (B, heads, n, C / heads) each
        mixed: Tensor = self.proj_out(F.scaled_dot_product_attention(q, k, v).transpose(2, 3).flatten(1, 2))  # (B, C, n)
        return (flat + mixed).reshape(x.shape)


@dataclass(frozen=True)
class Levels:
    """The levels of a U-Net, and what makes its parts; lists of children are named as in published checkpoints.

    Parameters
    ----------
    widths : tuple of int
        Feature channels of each level, from full resolution downwards.
    blocks : int
        Residual blocks on each level; one more on the way up.
    attentive : tuple of bool
        Which levels have attention.
    residual : callable
        ``residual(channels, out_channels)`` makes a residual block.
    attention : callable
        ``attention(width, up)`` makes an attention block; ``up`` on the way up.
    down, up : callable
        ``down(width)`` and ``up(width)`` make what halves and doubles the resolution.
    """

    widths: tuple[int, ...]
    blocks: int
    attentive: tuple[bool, ...]
    residual: Callable[[int, int], nn.Module]
    attention: Callable[[int, bool], nn.Module]
    down: Callable[[int], nn.Module]
    up: Callable[[int], nn.Module]

    def encoder(self, inputs: int) -> tuple[nn.ModuleList, list[int]]:
        """Input blocks, from ``inputs`` channels to the lowest level, and the width each of them gives."""
        width = self.widths[0]
        found, widths = nn.ModuleList([nn.ModuleList([nn.Conv2d(inputs, width, 3, padding=1)])]), [width]
        for level, wanted in enumerate(self.widths):
            for _ in range(self.blocks):
                found.append(nn.ModuleList([self.residual(width, wanted), *self._attentive(level, up=False)]))
                width = wanted
                widths.append(width)
            if level + 1 < len(self.widths):
                found.append(nn.ModuleList([self.down(width)]))
                widths.append(width)
        return found, widths

    def middle(self) -> nn.ModuleList:
        """Attention between two residual blocks."""
        width = self.widths[-1]
        return nn.ModuleList([self.residual(width, width), self.attention(width, False), self.residual(width, width)])

    def decoder(self, skipped: list[int]) -> nn.ModuleList:
        """Output blocks; each takes the features before it and one width from the end of ``skipped``."""
        left, width, found = list(skipped), self.widths[-1], nn.ModuleList()
        for level, wanted in reversed(list(enumerate(self.widths))):
            for index in range(self.blocks + 1):
                parts = [self.residual(width + left.pop(), wanted), *self._attentive(level, up=True)]
                width = wanted
                found.append(nn.ModuleList([*parts, *([self.up(width)] if level and index == self.blocks else [])]))
        return found

    def _attentive(self, level: int, *, up: bool) -> list[nn.Module]:
        return [self.attention(self.widths[level], up)] if self.attentive[level] else []


def walk(down: nn.ModuleList, middle: nn.ModuleList, up: nn.ModuleList, h: Tensor, emb: Tensor, context: Tensor | None = None) -> Tensor:
    """Run what :class:`Levels` made, with skips from the way down to the way up.

    Parameters
    ----------
    down, middle, up : ModuleList
        Input blocks, middle block, output blocks.
    h : (B, inputs, H, W) Tensor
        What goes in.
    emb : (B, E) Tensor
        Time embedding.
    context : (B, m, K) Tensor, optional
        Tokens for transformer blocks.

    Returns
    -------
    (B, width, H, W) Tensor
        Features at full resolution.
    """
    skips = []
    for block in down:
        h = _run(block, h, emb, context)
        skips.append(h)
    h = _run(middle, h, emb, context)
    for block in up:
        h = _run(block, torch.cat([h, skips.pop()], dim=1), emb, context)
    return h


def _run(block: nn.Module, h: Tensor, emb: Tensor, context: Tensor | None) -> Tensor:
    """Run the children of one block, giving each what it looks at."""
    for part in block.children():
        if isinstance(part, ResBlock):
            h = part(h, emb)
        elif isinstance(part, SpatialTransformer):
            h = part(h, context)
        else:
            h = part(h)
    return h
