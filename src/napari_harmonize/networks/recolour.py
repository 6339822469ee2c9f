"""Recolours the source by one curve per stack, for T1 sources that have the right detail in the wrong tones. Nothing here is learnt.

The curve takes fluid to fluid, grey matter to grey matter and white matter to white matter, as three tissues fitted to both style
keys say. Matching quantiles would be wrong here: the wished key is another person's or an average, whose
shares of the tissues are not this person's, so that equal quantiles are not equal tissues.

Whether a source is such a T1 nobody has to say: where it is not, the curve makes something else of it than the layers do.
So the recolouring counts as far as the two agree within the stack.

Symbols: B batch, K knots of a curve; y source, c(y) its recolouring, n what the layers say, r their agreement in the
brain, w share of the recolouring: x0 = (1 − w) n + w c(y).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TISSUES = (0.18, 0.46, 0.36)
"""Usual shares of fluid, grey and white matter in a stripped brain; they count as much as the key itself."""
MIDDLES = (0.09, 0.41, 0.82)
"""Where the middle of each lies among the sorted voxels: where the fit begins."""
WIDTHS = (0.015, 0.1)
ROUNDS = 30
LOWEST = 0.01
"""Quantile of the dark end of the curve; the bright end is 1, which every key has as its 99.5th percentile."""
BACKGROUND = -0.999
"""A source voxel counts as background where it and its eight neighbours are no brighter."""
AGREEMENT, SOFTNESS = 0.77, 0.02
"""Agreement at which half of the largest share is reached, and how fast."""
KNOTS = 65
FEWEST = 500


def tissues(key: Tensor) -> Tensor:
    """Intensities of fluid, grey and white matter in a T1: a mixture of three normal distributions, by expectation maximisation.

    The shares are held towards the usual ones (a Dirichlet prior), so that two tissues that look alike are still told apart.

    Parameters
    ----------
    key : (B, 3, bins) float32
        Style keys; voxels count from 0.001 to 1, so the background takes no part.

    Returns
    -------
    (B, 3) float32
        Means 0..1, rising.
    """
    h = _shares(key)
    x = (torch.arange(h.shape[1], device=h.device) + 0.5)[None, :, None] / h.shape[1]
    usual = torch.tensor(TISSUES, device=h.device)
    means = _quantiles(h, MIDDLES)
    widths, shares = torch.full_like(means, 0.08), usual.expand_as(means)
    for _ in range(ROUNDS):
        density = shares[:, None] / widths[:, None] * torch.exp(-0.5 * ((x - means[:, None]) / widths[:, None]) ** 2)
        weight = density / (density.sum(2, keepdim=True) + 1e-9) * h[:, :, None]  # (B, bins, 3)
        count = weight.sum(1) + 1e-6
        means = (weight * x).sum(1) / count
        spread = (weight * (x - means[:, None]) ** 2).sum(1) / count
        widths = (spread + 1e-4).sqrt().clamp(*WIDTHS)
        shares = (count / count.sum(1, keepdim=True) + usual) / 2
    return means.sort(dim=1).values


def recolouring(source_style: Tensor, style: Tensor, knots: int) -> Tensor:
    """Tables of the rising curve that takes the tissues of one key to those of the other, at evenly spaced v from 0 to 1.

    Parameters
    ----------
    source_style, style : (B, 3, bins) float32
        Keys of what is there and of what is wished.
    knots : int
        Entries of a table.

    Returns
    -------
    (B, knots) float32
        Values 0..1, rising along each row; between equal keys v itself, from the key's darkest hundredth on.
    """
    there, wished = (_places(key) for key in (source_style, style))
    apart = torch.arange(there.shape[1], device=there.device) * 1e-4  # so that no two places are the same
    v = torch.linspace(0, 1, knots, device=there.device).expand(len(there), -1)
    return _interpolate(v, there + apart, wished + apart).clamp(0, 1)


def _places(key: Tensor) -> Tensor:
    """Dark end, three tissues, bright end: (B, 5), never falling."""
    found = tissues(key)
    ends = torch.ones_like(found[:, :1])
    return torch.cat([_quantiles(_shares(key), (LOWEST,)), found, ends], dim=1).cummax(dim=1).values


def _shares(key: Tensor) -> Tensor:
    """Share of the voxels in each bin, (B, bins)."""
    h = key[:, 0].float().clamp_min(0) + 1e-9
    return h / h.sum(1, keepdim=True)


def _quantiles(h: Tensor, q: tuple[float, ...]) -> Tensor:
    """Middles of the bins that hold these quantiles, (B, len(q))."""
    asked = torch.tensor(q, device=h.device).expand(len(h), -1).contiguous()
    return (torch.searchsorted(h.cumsum(1), asked).clamp_max(h.shape[1] - 1) + 0.5) / h.shape[1]


def _interpolate(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Linear interpolation row by row: x (B, N) between the rising xs (B, M) at which ys (B, M) are known; beyond, the ends."""
    right = torch.searchsorted(xs.contiguous(), x.contiguous()).clamp(1, xs.shape[1] - 1)
    x0, x1, y0, y1 = xs.gather(1, right - 1), xs.gather(1, right), ys.gather(1, right - 1), ys.gather(1, right)
    return y0 + (y1 - y0) * ((x - x0) / (x1 - x0)).clamp(0, 1)


def read_off(heights: Tensor, values: Tensor) -> Tensor:
    """Read values (B, ...) in -1..1 off each item's own curve, heights (B, K) at evenly spaced knots; beyond, the ends."""
    last = heights.shape[1] - 1
    place = ((values.clamp(-1, 1) + 1) * (last / 2)).flatten(1)
    left = place.detach().floor().long().clamp_max(last - 1)
    low, high = heights.gather(1, left), heights.gather(1, left + 1)
    return (low + (high - low) * (place - left)).reshape(values.shape)


def recolour(y: Tensor, source_style: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """Give c(y) and where the brain is.

    Parameters
    ----------
    y : (B, C, H, W) float32
        Source, -1..1.
    source_style, style : (B, 3, bins) float32
        Key of the source and the wished one.

    Returns
    -------
    (B, C, H, W) float32
        Background stays background, and does not become as bright as the darkest tissue.
    (B, C, H, W) bool
    """
    heights = recolouring(source_style, style, KNOTS) * 2 - 1
    brain = F.max_pool2d(y, 3, stride=1, padding=1) > BACKGROUND
    return torch.where(brain, read_off(heights, y), y), brain


def agreement(said: Tensor, recoloured: Tensor, brain: Tensor) -> Tensor:
    """Share of what varies in the brain in one stack that the other explains, 1 − mean (n − c)² / var n.

    Parameters
    ----------
    said, recoloured : (B, C, H, W) float32
        n and c(y).
    brain : (B, C, H, W) bool
        Where to look.

    Returns
    -------
    (B,) float32
        At most 1; 0 where there are too few voxels to tell.
    """
    weight = brain.flatten(1).float()
    count = weight.sum(1).clamp_min(1)
    one, two = (values.flatten(1).float() for values in (said, recoloured))
    mean = (one * weight).sum(1) / count
    varies = ((one - mean[:, None]) ** 2 * weight).sum(1) / count
    apart = ((one - two) ** 2 * weight).sum(1) / count
    return torch.where(count < FEWEST, 0.0, 1 - apart / varies.clamp_min(1e-6))


def mixed(said: Tensor, y: Tensor, source_style: Tensor, style: Tensor, most: float) -> Tensor:
    """Put the clean image together.

    Parameters
    ----------
    said, y : (B, C, H, W) float32
        What the layers say and the source, -1..1.
    source_style, style : (B, 3, bins) float32
        Key of the source and the wished one.
    most : float
        Largest share of the recolouring, 0..1.

    Returns
    -------
    (B, C, H, W) float32
    """
    recoloured, brain = recolour(y, source_style, style)
    r = agreement(said.detach(), recoloured, brain)
    w = most * torch.sigmoid((r - AGREEMENT) / SOFTNESS)[:, None, None, None]
    return said + w * (recoloured - said)
