"""A small U-Net for stacks of slices that a laptop can run: the network of the built-in models.

It works on 2 x 2 pixel blocks (pixel unshuffle), sees the whole head through attention at 1/16 of the
resolution, knows where in the slice it is through two coordinate channels, and is steered by time, by the
style key of the wished look and by the style key of the whole source volume (scale and shift in every block).

The clean image is put together per pixel from the inputs, n = offset + g1·y + g2·x_t, so that fine detail need not
pass through the narrow layers. Where ``fine`` asks for it a branch at full resolution corrects that.

Symbols: B batch, C = 2N + 1 slices of a stack, H x W slice size, T training steps, E embedding width.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition


@dataclass(frozen=True)
class ShuffleUNetSettings(Settings):
    """What a :class:`ShuffleUNet` is built from."""

    channels: int = setting(3, help="Slices of a stack, 2N + 1.", low=1, high=15)
    widths: tuple[int, ...] = setting((24, 48, 96, 160), help="Feature channels at 1/2, 1/4, 1/8, ... of the resolution.", low=8, high=1024)
    embedding: int = setting(128, help="Width of the vector that carries time and style.", low=16, high=2048)
    heads: int = setting(4, help="Attention heads at the lowest resolution.", low=1, high=64)
    bins: int = setting(128, help="Bins of a style key; 0 for a network that takes none.", low=0, high=1024)
    groups: int = setting(8, help="Groups of the normalisation; divides every width.", low=1, high=64)
    fine: int = setting(0, help="Channels of a branch at full resolution that corrects every pixel; 0 for none.", low=0, high=256)

    def __post_init__(self) -> None:
        super().__post_init__()
        uneven = [width for width in self.widths if width % self.groups or width % self.heads]
        if self.channels % 2 == 0 or uneven:
            raise SettingsError(
                "A ShuffleUNet has an odd number of slices, and widths that groups and heads divide",
                f"{self.channels} slices and widths {self.widths} with {self.groups} groups and {self.heads} heads arrived",
            )

    @classmethod
    def tiny(cls) -> ShuffleUNetSettings:
        """Give the configuration the tests build."""
        return cls(widths=(8, 16), embedding=16, heads=2, groups=4, fine=4)


class ResBlock(nn.Module):
    """Two convolutions steered by scale and shift, plus the input."""

    def __init__(self, width: int, embedding: int, groups: int) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(groups, width)
        self.conv_in = nn.Conv2d(width, width, 3, padding=1)
        self.steer = nn.Linear(embedding, 2 * width)
        self.norm_out = nn.GroupNorm(groups, width)
        self.conv_out = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Steer ``x`` (B, width, h, w) by ``e`` (B, E); same shape back."""
        scale, shift = self.steer(e)[..., None, None].chunk(2, dim=1)  # (B, width, 1, 1) each
        h = self.conv_in(F.silu(self.norm_in(x)))
        h = self.conv_out(F.silu(self.norm_out(h) * (1 + scale) + shift))
        out: Tensor = x + h
        return out


class Attention(nn.Module):
    """Self-attention over all pixels of the lowest resolution."""

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Mix (B, width, h, w) over h·w tokens; same shape back."""
        b, width, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, width // self.heads, h * w)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # (B, heads, h·w, width/heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.out(mixed.transpose(-1, -2).reshape(b, width, h, w))
        return out


class Embedding(nn.Module):
    """Time, wished look and source look as one vector."""

    smooth: Tensor

    def __init__(self, width: int, bins: int) -> None:
        super().__init__()
        self.waves = width // 2
        self.time = nn.Sequential(nn.Linear(2 * self.waves, width), nn.SiLU(), nn.Linear(width, width))
        self.keyed = bins > 0
        if self.keyed:
            self.style = nn.Sequential(nn.Linear(2 * bins, width), nn.SiLU(), nn.Linear(width, width))
            self.source_style = nn.Sequential(nn.Linear(2 * bins, width), nn.SiLU(), nn.Linear(width, width))
        taps = torch.exp(-0.5 * (torch.arange(-6, 7) / 2.0) ** 2)
        self.register_buffer("smooth", (taps / taps.sum()).reshape(1, 1, -1), persistent=False)

    def forward(self, t: Tensor, condition: Condition) -> Tensor:
        """Embed t (B,) and two style keys (B, 3, bins) as (B, E)."""
        frequency = torch.exp(-torch.arange(self.waves, device=t.device) * (9.2103 / self.waves))
        angle = t.float()[:, None] * frequency
        e: Tensor = self.time(torch.cat([angle.cos(), angle.sin()], dim=1))
        if self.keyed:
            e = e + self.style(self._curves(condition.style)) + self.source_style(self._curves(condition.source_style))
        return F.silu(e)

    def _curves(self, key: Tensor | None) -> Tensor:
        """Histogram smoothed over two bins and cumulative histogram; the differential only repeats the first."""
        if key is None:
            raise ModelError("This network needs a style key of the wished look and one of the source", "none arrived")
        smooth = F.conv1d(key[:, :1].float(), self.smooth, padding=6)[:, 0]  # (B, bins)
        return torch.cat([smooth * 5, key[:, 1].float() / 5 - 1], dim=1)  # (B, 2·bins), of order one


class Fine(nn.Module):
    """A correction at full resolution, read off the intensities themselves.

    No normalisation: how bright a pixel is tells a lesion from grey matter, where one line through both, g1·y, cannot. Its last
    layer begins at zero, so that it can be added to a network that has learnt without it.
    """

    def __init__(self, channels: int, width: int, coarse: int, embedding: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3 * channels, width, 3, padding=1)
        self.coarse = nn.Conv2d(coarse, width, 1)
        self.steer = nn.Linear(embedding, 2 * width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor, h: Tensor, e: Tensor) -> Tensor:
        """Correct by (B, C, H, W), from pixels (B, 3C, H, W), features (B, coarse, H/2, W/2) and the embedding (B, E)."""
        scale, shift = self.steer(e)[..., None, None].chunk(2, dim=1)
        f = self.stem(pixels) + F.interpolate(self.coarse(h), scale_factor=2.0, mode="nearest")
        f = self.conv(F.silu(f * (1 + scale) + shift))
        correction: Tensor = self.out(F.silu(f))
        return correction


class ShuffleUNet(nn.Module):
    """The network; see the module's first lines.

    Parameters
    ----------
    settings : ShuffleUNetSettings
        What it is built from.
    """

    dimensions = 2
    learns_variance = False
    needs_style: bool
    channels: int
    bins: int
    multiple: int

    def __init__(self, settings: ShuffleUNetSettings) -> None:
        super().__init__()
        widths, groups, e = settings.widths, settings.groups, settings.embedding
        self.channels, self.bins = settings.channels, settings.bins
        self.multiple, self.needs_style = 2 ** len(widths), settings.bins > 0
        self.embed = Embedding(e, settings.bins)
        self.stem = nn.Conv2d(8 * self.channels + 2, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs)
        self.down = nn.ModuleList(ResBlock(coarse, e, groups) for _, coarse in pairs)
        self.mix = Attention(widths[-1], settings.heads, groups)
        self.middle = ResBlock(widths[-1], e, groups)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.fuse = nn.ModuleList(nn.Conv2d(2 * fine, fine, 1) for fine, _ in pairs)
        self.up = nn.ModuleList(ResBlock(fine, e, groups) for fine, _ in pairs)
        self.norm = nn.GroupNorm(groups, widths[0])
        self.head = nn.Conv2d(widths[0], 12 * self.channels, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.fine = Fine(self.channels, settings.fine, widths[0], e) if settings.fine else None

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Predict the clean image.

        Parameters
        ----------
        x_t : (B, C, H, W) float32, about -1..1
            Noisy stack; H and W divisible by ``multiple``.
        t : (B,) int64
            Training step 0..T-1.
        condition : Condition
            Source stack (B, C, H, W) and both style keys (B, 3, bins).

        Returns
        -------
        (B, C, H, W) float32
            Predicted clean stack (objective "clean").

        Raises
        ------
        ModelError
            The source or a style key is missing, or H or W is not divisible.
        """
        y = self._check(x_t, condition.source)
        e = self.embed(t, condition)
        h = self.stem(self._blocks(x_t, y))  # (B, w0, H/2, W/2)
        skips = []
        for shrink, down in zip(self.shrink, self.down, strict=True):
            skips.append(h)
            h = down(shrink(h), e)
        h = self.middle(self.mix(h), e)
        for grow, fuse, up in zip(reversed(self.grow), reversed(self.fuse), reversed(self.up), strict=True):
            h = F.interpolate(grow(h), scale_factor=2.0, mode="nearest")
            h = up(fuse(torch.cat([h, skips.pop()], dim=1)), e)
        h = F.silu(self.norm(h))
        offset, g1, g2 = F.pixel_shuffle(self.head(h), 2).float().chunk(3, dim=1)
        said: Tensor = offset + g1 * y + g2 * x_t
        if self.fine is not None:
            said = said + self.fine(torch.cat([said, y, x_t], dim=1).contiguous(memory_format=torch.channels_last), h, e).float()
        return said

    def _check(self, x_t: Tensor, source: Tensor | None) -> Tensor:
        if source is None:
            raise ModelError("This network translates a source image", "none arrived")
        if x_t.shape[-1] % self.multiple or x_t.shape[-2] % self.multiple:
            raise ModelError(
                f"Height and width must be divisible by {self.multiple}",
                f"slices of {x_t.shape[-2]} x {x_t.shape[-1]} arrived",
                "Pad the slices",
            )
        return source

    def _blocks(self, x_t: Tensor, y: Tensor) -> Tensor:
        """Pixel blocks of both inputs, and where in the slice they lie (-1..1)."""
        blocks = F.pixel_unshuffle(torch.cat([x_t, y], dim=1), 2)  # (B, 8C, H/2, W/2)
        b, _, h, w = blocks.shape
        rows = torch.linspace(-1, 1, h, device=y.device).expand(b, 1, w, h).transpose(-1, -2)
        columns = torch.linspace(-1, 1, w, device=y.device).expand(b, 1, h, w)
        # channels last makes the narrow convolutions a quarter faster on processors
        return torch.cat([blocks, rows, columns], dim=1).contiguous(memory_format=torch.channels_last)
