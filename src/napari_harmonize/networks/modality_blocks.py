"""Parts of the networks that turn angiographies of one modality into another (Koch et al. 2025).

Symbols: B batch, C channels, E width of the time embedding, h x w feature size, n tokens, D width of a token.

Three habits of the released weights are kept, because the weights were trained with them: a block adds its input only
where :class:`ResNetBlock` is told to, attention over feature maps sees one row at a time (:class:`RowAttention`), and
every GELU is the tanh approximation. Norms compute and answer in float32.

Papers: Koch et al., "Cross-modality image synthesis from TOF-MRA to CTA using diffusion-based models", Medical Image
Analysis 105, 2025; Zhang and Sennrich 2019 (RMSNorm); Shazeer 2020 (SwiGLU).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_harmonize.errors import ModelError, VolumeError
from napari_harmonize.networks.blocks import GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.condition import Condition

EPS = 1e-6


def gelu(x: Tensor) -> Tensor:
    """Tanh approximation of GELU, any shape."""
    return F.gelu(x, approximate="tanh")


def sines_first(t: Tensor, width: int) -> Tensor:
    """Embed log-SNRs as sines and cosines.

    Parameters
    ----------
    t : (B,) float
        Log-SNR, about -15..15, not scaled.
    width : int
        Even number of features.

    Returns
    -------
    (B, width) float32 Tensor
        Sines first, then cosines, of t exp(-ln(10000) j / (width / 2 - 1)).
    """
    half = width // 2
    falling = torch.exp(torch.arange(half, dtype=torch.float32, device=t.device) * (-math.log(10000) / (half - 1)))
    angle = t[:, None].float() * falling
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def positions(height: int, width: int, features: int, device: torch.device | None = None) -> Tensor:
    """Embed the places of a grid of tokens, row after row.

    Parameters
    ----------
    height, width : int
        Rows and columns of the grid.
    features : int
        Width of a token, divisible by 4 and at least 8.

    Returns
    -------
    (height * width, features) float32 Tensor
        Sine and cosine of the column, then of the row, at 10000^(-j / (features / 4 - 1)).
    """
    quarter = features // 4
    falling = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64, device=device) / (quarter - 1))
    row, column = (
        torch.outer(torch.arange(size, dtype=torch.float64, device=device), falling) for size in (height, width)
    )  # (height, quarter), (width, quarter)
    columns = torch.cat([column.sin(), column.cos()], dim=1).expand(height, width, 2 * quarter)
    rows = torch.cat([row.sin(), row.cos()], dim=1)[:, None].expand(height, width, 2 * quarter)
    return torch.cat([columns, rows], dim=2).flatten(0, 1).float()


class RMSNorm(nn.Module):
    """Divide by the root of the mean square over the channels, and scale; answers in float32.

    Parameters
    ----------
    channels : int
        Their number.
    axis : int
        1 for maps (B, C, h, w), -1 for tokens (B, n, C).
    """

    def __init__(self, channels: int, axis: int = -1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; same shape back."""
        x = x.float()
        weight = self.weight.float() if self.axis == -1 else self.weight.float()[:, None, None]
        return x * torch.rsqrt(x.square().mean(self.axis, keepdim=True) + EPS) * weight


class GroupNorm(nn.GroupNorm):
    """Normalise 32 groups of neighbouring channels; answers in float32."""

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels, EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, h, w); same shape back."""
        return F.group_norm(x.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps)


class SteeredConv(nn.Module):
    """3 x 3 convolution, norm, scale and shift where there are some, GELU.

    Parameters
    ----------
    given, out : int
        Channels before and after.
    grouped : bool
        Group normalisation instead of root mean square.
    """

    def __init__(self, given: int, out: int, grouped: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, out, 3, padding=1)
        self.norm = GroupNorm(out) if grouped else RMSNorm(out, axis=1)

    def forward(self, x: Tensor, steer: Sequence[Tensor] = ()) -> Tensor:
        """Map (B, given, h, w) to (B, out, h, w); ``steer`` is (scale, shift), (B, out, 1, 1) each."""
        x = self.norm(self.conv(x))
        if steer:
            x = x * (steer[0] + 1) + steer[1]
        return gelu(x)


class ResNetBlock(nn.Module):
    """Two convolutions, the first steered by time; the input is added only through a projection.

    The authors add it where the declared widths differ and leave it out where they are equal, so that those blocks are
    no residual blocks at all.

    Parameters
    ----------
    given, out : int
        Channels before and after.
    adds : bool
        Whether the projected input is added.
    embedding : int
        Width of the time embedding, 0 for a block that is not told the time.
    grouped : bool
        As in :class:`SteeredConv`.
    """

    def __init__(self, given: int, out: int, *, adds: bool = False, embedding: int = 0, grouped: bool = False) -> None:
        super().__init__()
        self.time = nn.Linear(embedding, 2 * out) if embedding else None
        self.first = SteeredConv(given, out, grouped)
        self.second = SteeredConv(out, out, grouped)
        self.skip = nn.Conv2d(given, out, 1) if adds else None

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        """Map (B, given, h, w), steered by ``emb`` (B, E), to (B, out, h, w)."""
        steer: Sequence[Tensor] = ()
        if self.time is not None and emb is not None:
            steer = self.time(gelu(emb))[:, :, None, None].chunk(2, dim=1)
        h: Tensor = self.second(self.first(x, steer))
        return h if self.skip is None else h + self.skip(x)


class Down(nn.Module):
    """Fold 2 x 2 pixels into channels (row offset, then column offset, fastest) and project."""

    def __init__(self, given: int, out: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(4 * given, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, given, h, w) to (B, out, h / 2, w / 2)."""
        folded: Tensor = self.project(F.pixel_unshuffle(x, 2))
        return folded


class Up(nn.Module):
    """Project to four times the channels, GELU, unfold them into 2 x 2 pixels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, 4 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, h, w) to (B, channels, 2 h, 2 w)."""
        return F.pixel_shuffle(gelu(self.project(x)), 2)


class Attention(nn.Module):
    """Self-attention of tokens, all projections with biases.

    Parameters
    ----------
    features : int
        Width D of a token.
    heads : int
        Heads, dividing ``features``.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(features, features) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Mix (B, n, D); same shape back."""
        cut = (*x.shape[:2], self.heads, x.shape[2] // self.heads)
        q, k, v = (part(x).reshape(cut).transpose(1, 2) for part in (self.query, self.key, self.value))  # (B, heads, n, d)
        mixed: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class RowAttention(nn.Module):
    """Self-attention along each row of a map by itself, added to the map; no pixel sees another row.

    Parameters
    ----------
    channels, heads : int
        As in :class:`Attention`.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm = RMSNorm(channels, axis=1)
        self.attention = Attention(channels, heads)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (B, channels, h, w) along w; same shape back."""
        b, c, h, w = x.shape
        rows = self.norm(x).permute(0, 2, 3, 1).reshape(b * h, w, c)
        mixed: Tensor = x + self.attention(rows).reshape(b, h, w, c).permute(0, 3, 1, 2)
        return mixed


class SwiGLU(nn.Module):
    """Linear layer gated by the SiLU of another, and back; may be steered by time in between.

    Parameters
    ----------
    features, hidden : int
        Width of a token, and inside.
    embedding : int
        Width of the time embedding, 0 for none.
    """

    def __init__(self, features: int, hidden: int, embedding: int = 0) -> None:
        super().__init__()
        self.time = nn.Linear(embedding, 2 * hidden) if embedding else None
        self.gate, self.value = nn.Linear(features, hidden), nn.Linear(features, hidden)
        self.out = nn.Linear(hidden, features)

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        """Map (B, n, features), steered by ``emb`` (B, E); same shape back."""
        u = F.silu(self.gate(x)) * self.value(x)
        if self.time is not None and emb is not None:
            scale, shift = self.time(gelu(emb))[:, None].chunk(2, dim=2)  # (B, 1, hidden) each
            u = u * (scale + 1) + shift
        mapped: Tensor = self.out(u)
        return mapped


class TimeEmbedding(nn.Module):
    """Sines and cosines of the log-SNR, and two linear layers.

    Parameters
    ----------
    width : int
        Sines and cosines; the embedding is four times as wide.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.first, self.second = nn.Linear(width, 4 * width), nn.Linear(4 * width, 4 * width)

    def forward(self, t: Tensor) -> Tensor:
        """Embed (B,) log-SNRs; returns (B, 4 width)."""
        embedded: Tensor = self.second(gelu(self.first(sines_first(t, self.width))))
        return embedded


class EncoderLevel(nn.Module):
    """Two blocks and row attention on one resolution, then half of it."""

    def __init__(self, given: int, out: int, embedding: int, heads: int, last: bool) -> None:
        super().__init__()
        self.first = ResNetBlock(given, out, adds=given != out, embedding=embedding)
        self.second = ResNetBlock(out, out, embedding=embedding)
        self.attend = RowAttention(out, heads)
        self.down = None if last else Down(out, out)

    def forward(self, x: Tensor, emb: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Give what goes on, and what is kept after the first block and after the attention."""
        early = self.first(x, emb)
        late = self.attend(self.second(early, emb))
        return late if self.down is None else self.down(late), (early, late)


class DecoderLevel(nn.Module):
    """Two blocks on what came up beside what was kept, row attention, then twice the resolution."""

    def __init__(self, kept: int, out: int, embedding: int, heads: int) -> None:
        super().__init__()
        self.first = ResNetBlock(2 * kept, out, adds=True, embedding=embedding)
        self.second = ResNetBlock(out + kept, out, embedding=embedding)
        self.attend = RowAttention(out, heads)
        self.up = Up(out)

    def forward(self, x: Tensor, emb: Tensor, kept: tuple[Tensor, Tensor]) -> Tensor:
        """Map (B, kept, h, w) to (B, out, 2 h, 2 w)."""
        early, late = kept
        x = self.first(torch.cat([x, late], dim=1), emb)
        x = self.second(torch.cat([x, early], dim=1), emb)
        raised: Tensor = self.up(self.attend(x))
        return raised


def encoder(width: int, widths: Sequence[int], embedding: int, heads: int) -> nn.ModuleList:
    """Levels from full resolution down; the last keeps its resolution."""
    given = (width, *widths[:-1])
    last = len(widths) - 1
    return nn.ModuleList(
        [EncoderLevel(a, b, embedding, heads, index == last) for index, (a, b) in enumerate(zip(given, widths, strict=True))]
    )


def decoder(widths: Sequence[int], embedding: int, heads: int) -> nn.ModuleList:
    """Levels from the lowest resolution up; what full resolution kept is not used, as in the released code."""
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    return nn.ModuleList([DecoderLevel(kept, out, embedding, heads) for kept, out in reversed(pairs)])


def check_slices(x_t: Tensor, multiple: int) -> None:
    """Refuse what is no batch of single slices of a size the network accepts.

    Raises
    ------
    VolumeError
        More than one slice, or H or W is not divisible.
    """
    height, width = x_t.shape[-2:]
    if height % multiple or width % multiple:
        raise VolumeError(f"Height and width must be divisible by {multiple}", f"slices of {height} x {width} arrived", "Pad the slices")
    if x_t.shape[1] != 1:
        raise VolumeError("This network takes single slices", f"stacks of {x_t.shape[1]} arrived")


def source_of(condition: Condition) -> Tensor:
    """Give the source slices (B, 1, H, W).

    Raises
    ------
    ModelError
        There are none, or stacks of them.
    """
    if condition.source is None or condition.source.shape[1] != 1:
        arrived = "none" if condition.source is None else f"stacks of {condition.source.shape[1]}"
        raise ModelError("This network looks at one source slice", f"{arrived} arrived", "Give it the source")
    return condition.source


def initialise(network: nn.Module) -> None:
    """Draw weights as the authors start training: Glorot-uniform kernels, biases of zero."""
    for part in network.modules():
        if isinstance(part, nn.Linear | nn.Conv2d) and part.bias is not None:
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
