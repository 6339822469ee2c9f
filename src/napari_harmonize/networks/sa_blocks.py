"""Parts of the spine system's U-Nets in two and three dimensions, named as in the checkpoints they load.

Symbols: B batch, C channels, E width of the time embedding, ... the two or three sides of an image, n pixels of it.
The child indices of the Sequentials (``mlp.1``, ``to_out.0``, ``fn.fn``) are those of published ``state_dict`` keys.

Papers: Graf et al., "Denoising diffusion-based MRI to CT image translation enables automated spinal segmentation",
Eur Radiol Exp 2023; Nichol and Dhariwal 2021 (scale and shift); Shen et al., "Efficient attention", WACV 2021.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_harmonize.errors import ModelError, SettingsError, VolumeError

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = 8
HEADS, HEAD_WIDTH = 4, 32
RAMPS = 3


def convolution(dimensions: int, inputs: int, outputs: int, size: int, **rest: Any) -> nn.Module:
    """Build a convolution of images with two or three sides."""
    return nn.Conv2d(inputs, outputs, size, **rest) if dimensions == 2 else nn.Conv3d(inputs, outputs, size, **rest)


def upsampling(dimensions: int, width: int) -> nn.Module:
    """Build the transposed convolution that doubles every side."""
    kind = nn.ConvTranspose2d if dimensions == 2 else nn.ConvTranspose3d
    return kind(width, width, 4, stride=2, padding=1)


class Sinusoid(nn.Module):
    """Times as sines, then cosines, of t exp(-ln(10000) i / (width / 2 - 1)).

    Parameters
    ----------
    width : int
        Even number of features, 4 or more.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = width

    def forward(self, t: Tensor) -> Tensor:
        """Embed (B,) times as they are, not scaled; returns (B, width) float32."""
        half = self.features // 2
        falling = torch.exp(torch.arange(half, device=t.device) * (-math.log(10000) / (half - 1)))
        angle = t[:, None].float() * falling
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class ChannelNorm(nn.Module):
    """Normalisation of every pixel over its channels."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        shape = (1, width, *(1 for _ in range(dimensions)))
        self.g, self.b = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...); same shape back."""
        variance, mean = torch.var_mean(x, dim=1, unbiased=False, keepdim=True)
        return (x - mean) / (variance + 1e-5).sqrt() * self.g + self.b


class Block(nn.Module):
    """Convolution, group normalisation, scale and shift where they are given, SiLU."""

    def __init__(self, dimensions: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = convolution(dimensions, inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor, steer: tuple[Tensor, ...] = ()) -> Tensor:
        """Map (B, inputs, ...) to (B, outputs, ...); ``steer`` is (scale, shift), (B, outputs, 1, ...) each."""
        x = self.norm(self.proj(x))
        if steer:
            scale, shift = steer
            x = x * (scale + 1) + shift
        return F.silu(x)


class ResBlock(nn.Module):
    """Two blocks, the first steered by the time, plus the input."""

    def __init__(self, dimensions: int, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * outputs))
        self.block1, self.block2 = Block(dimensions, inputs, outputs), Block(dimensions, outputs, outputs)
        self.res_conv = nn.Identity() if inputs == outputs else convolution(dimensions, inputs, outputs, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Steer ``x`` (B, inputs, ...) by ``emb`` (B, E); returns (B, outputs, ...)."""
        steer = self.mlp(emb)
        steer = steer.reshape(*steer.shape, *(1 for _ in x.shape[2:])).chunk(2, dim=1)
        h: Tensor = self.block2(self.block1(x, steer)) + self.res_conv(x)
        return h


class LinearAttention(nn.Module):
    """Attention whose cost grows with the number of pixels, not with its square; four heads of 32 channels."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        self.to_qkv = convolution(dimensions, width, 3 * HEADS * HEAD_WIDTH, 1, bias=False)
        self.to_out = nn.Sequential(convolution(dimensions, HEADS * HEAD_WIDTH, width, 1), ChannelNorm(dimensions, width))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the pixels of (B, C, ...); same shape back."""
        q, k, v = _heads(self.to_qkv(x))
        q, k = q.softmax(dim=-2) * HEAD_WIDTH**-0.5, k.softmax(dim=-1)
        context = k @ v.transpose(-1, -2)  # (B, heads, 32 of k, 32 of v)
        mixed: Tensor = self.to_out(_joined(context.transpose(-1, -2) @ q, x))
        return mixed


class FullAttention(nn.Module):
    """Attention between all pixels; four heads of 32 channels."""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        self.to_qkv = convolution(dimensions, width, 3 * HEADS * HEAD_WIDTH, 1, bias=False)
        self.to_out = convolution(dimensions, HEADS * HEAD_WIDTH, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the pixels of (B, C, ...); same shape back."""
        q, k, v = (part.transpose(-1, -2) for part in _heads(self.to_qkv(x)))  # (B, heads, n, 32) each
        mixed: Tensor = self.to_out(_joined(F.scaled_dot_product_attention(q, k, v).transpose(-1, -2), x))
        return mixed


def _heads(qkv: Tensor) -> tuple[Tensor, ...]:
    """Query, key and value, (B, heads, 32, n) each."""
    return tuple(part.reshape(len(qkv), HEADS, HEAD_WIDTH, -1) for part in qkv.chunk(3, dim=1))


def _joined(heads: Tensor, like: Tensor) -> Tensor:
    """From (B, heads, 32, n) to (B, heads x 32, ...)."""
    return heads.reshape(len(like), -1, *like.shape[2:])


class Normed(nn.Module):
    """A module behind a normalisation."""

    def __init__(self, fn: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.fn, self.norm = fn, norm

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, ...); same shape back."""
        mapped: Tensor = self.fn(self.norm(x))
        return mapped


class Residual(nn.Module):
    """An attention behind a normalisation, plus its input."""

    def __init__(self, attention: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.fn = Normed(attention, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, ...); same shape back."""
        mixed: Tensor = x + self.fn(x)
        return mixed


class Skeleton(nn.Module):
    """What all U-Nets of the system share; a subclass says how its inputs are put together.

    Parameters
    ----------
    dimensions : int
        Sides of an image, 2 or 3.
    inputs, outputs : int
        Channels of what goes in and of what comes out.
    width : int
        Channels at full resolution, a multiple of 8.
    multipliers : sequence of float
        Width of each level as a multiple.
    attentive : bool
        With attention on every level and concatenated skips; else without attention and with averaged skips. The
        features at full resolution are concatenated before the last block in both.
    """

    def __init__(self, dimensions: int, inputs: int, outputs: int, width: int, multipliers: Sequence[float], attentive: bool) -> None:
        super().__init__()
        self._sides, self._attentive, embedding = dimensions, attentive, 4 * width
        widths = level_widths(width, multipliers)
        self.init_conv = convolution(dimensions, inputs, width, 7, padding=3)
        self.time_mlp = nn.Sequential(Sinusoid(width), nn.Linear(width, embedding), nn.GELU(), nn.Linear(embedding, embedding))
        steps = list(pairwise(widths))
        self.downs = nn.ModuleList(self._down(*step, embedding, last=step is steps[-1]) for step in steps)
        self.mid_block1 = ResBlock(dimensions, widths[-1], widths[-1], embedding)
        if attentive:
            self.mid_attn = Residual(FullAttention(dimensions, widths[-1]), ChannelNorm(dimensions, widths[-1]))
        self.mid_block2 = ResBlock(dimensions, widths[-1], widths[-1], embedding)
        self.ups = nn.ModuleList(self._up(*step, embedding, last=step is steps[0]) for step in reversed(steps))
        self.final_res_block = ResBlock(dimensions, 2 * width, width, embedding)
        self.final_conv = convolution(dimensions, width, outputs, 1)

    def _attention(self, width: int) -> list[nn.Module]:
        return [Residual(LinearAttention(self._sides, width), ChannelNorm(self._sides, width))] if self._attentive else []

    def _down(self, inner: int, outer: int, embedding: int, last: bool) -> nn.ModuleList:
        blocks = [ResBlock(self._sides, inner, outer, embedding), ResBlock(self._sides, outer, outer, embedding)]
        halving = nn.Identity() if last else convolution(self._sides, outer, outer, 4, stride=2, padding=1)
        return nn.ModuleList([*blocks, *self._attention(outer), halving])

    def _up(self, inner: int, outer: int, embedding: int, last: bool) -> nn.ModuleList:
        joined = 2 * outer if self._attentive else outer
        blocks = [ResBlock(self._sides, joined, inner, embedding), ResBlock(self._sides, inner, inner, embedding)]
        doubling = nn.Identity() if last else upsampling(self._sides, inner)
        return nn.ModuleList([*blocks, *self._attention(inner), doubling])

    def run(self, x: Tensor, t: Tensor) -> Tensor:
        """Map (B, inputs, ...) at times ``t`` (B,) to (B, outputs, ...); all sides divisible by 2^(levels - 1)."""
        emb = self.time_mlp(t)  # (B, E)
        x = outermost = self.init_conv(x)
        skips = []
        for level in self.downs:
            x = _without_last(level, x, emb)
            skips.append(x)
            x = level[-1](x)  # type: ignore[index]
        x = self.mid_block1(x, emb)
        x = self.mid_block2(self.mid_attn(x) if self._attentive else x, emb)
        for level in self.ups:
            skip = skips.pop()
            x = torch.cat([x, skip], dim=1) if self._attentive else 0.5 * (x + skip)
            x = level[-1](_without_last(level, x, emb))  # type: ignore[index]
        x = self.final_res_block(torch.cat([x, outermost], dim=1), emb)
        predicted: Tensor = self.final_conv(x)
        return predicted


def _without_last(level: nn.Module, x: Tensor, emb: Tensor) -> Tensor:
    """Run a level up to its resampling."""
    for part in list(level.children())[:-1]:
        x = part(x, emb) if isinstance(part, ResBlock) else part(x)
    return x


def level_widths(width: int, multipliers: Sequence[float]) -> list[int]:
    """Channels of the first convolution and of every level, truncated to whole numbers as upstream does."""
    return [width, *(int(width * multiplier) for multiplier in multipliers)]


def refuse_widths(name: str, width: int, multipliers: Sequence[float]) -> None:
    """Refuse widths that group normalisation cannot divide.

    Raises
    ------
    SettingsError
        A level's width is not a multiple of 8, or there is no level.
    """
    uneven = [one for one in level_widths(width, multipliers) if one % GROUPS or one <= 0]
    if uneven or not multipliers:
        raise SettingsError(
            f"Every level of a {name} has a width divisible by {GROUPS}", f"width {width} and multipliers {tuple(multipliers)} arrived"
        )


def refuse_sides(x: Tensor, channels: int, multiple: int, least: int = 0) -> None:
    """Refuse images a network cannot halve as often as it must.

    Parameters
    ----------
    x : (B, C, ...) Tensor
        The images.
    channels, multiple, least : int
        Channels there must be, what every side must be divisible by, and the shortest side.

    Raises
    ------
    VolumeError
        One of them does not hold.
    """
    sides = tuple(x.shape[2:])
    if any(side % multiple or side < least for side in sides):
        at_least = f" and at least {least}" if least else ""
        raise VolumeError(
            f"Every side of an image must be divisible by {multiple}{at_least}", f"{' x '.join(map(str, sides))} arrived", "Pad the images"
        )
    if x.shape[1] != channels:
        raise VolumeError(f"This network takes stacks of {channels} slices", f"stacks of {x.shape[1]} arrived")


def needed(what: str, found: Tensor | None, channels: int) -> list[Tensor]:
    """Give a condition that must be there as a list of one; an empty list where no channels are wanted.

    Raises
    ------
    ModelError
        It is missing, or has other channels.
    """
    if not channels:
        return []
    if found is None or found.shape[1] != channels:
        arrived = "none" if found is None else f"one of {found.shape[1]}"
        raise ModelError(f"This network looks at a {what} of {channels} channels", f"{arrived} arrived", f"Give it the {what}")
    return [found]


def fold(x: Tensor, side: int) -> Tensor:
    """Turn blocks of ``side`` x ``side`` pixels into channels.

    Parameters
    ----------
    x : (B, C, H, W) Tensor
        Images; H and W divisible by ``side``.
    side : int
        Pixels along each side of a block; 1 changes nothing.

    Returns
    -------
    (B, side * side * C, H / side, W / side) Tensor
        Row in the block first, then column, then the channel; ``torch``'s own order has the channel first.
    """
    return x if side == 1 else _swapped(F.pixel_unshuffle(x, side), x.shape[1])


def unfold(x: Tensor, side: int) -> Tensor:
    """Undo :func:`fold`."""
    return x if side == 1 else F.pixel_shuffle(_swapped(x, side * side), side)


def _swapped(x: Tensor, first: int) -> Tensor:
    """From channels counted (first, second) to (second, first)."""
    return x.reshape(len(x), first, -1, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
