"""One level of the CDF 9/7 wavelet on periodic images: PyWavelets' ``bior4.4`` in mode "periodization".

Coefficients of a signal x with analysis taps f are ``c[n] = sum_k f[k] x[2 n + 4 - k]``, indices taken round the border. The
four bands are products of low and high pass along rows (axis H) and columns (axis W): low-low, high along H,
high along W, high-high.

Symbols: :func:`analyse`, :func:`synthesise`.

Paper: Cohen, Daubechies and Feauveau, "Biorthogonal bases of compactly supported wavelets", 1992.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

# halves of the filters, from the middle outwards
_LOW = (0.852698679009, 0.377402855613, -0.110624404418, -0.023849465020, 0.037828455507)
_HIGH = (-0.788485616406, 0.418092273222, 0.040689417609, -0.064538882629)

BANDS = 4
TAPS = 9
CENTRE = TAPS // 2


def _filter(half: Sequence[float], centre: int, signs: tuple[int, int] = (1, 1)) -> list[float]:
    """Nine taps, mirrored about one; ``signs`` are those of even and odd places."""
    taps = [0.0] * TAPS
    for away, value in enumerate(half):
        for place in {centre - away, centre + away}:
            taps[place] = signs[place % 2] * value
    return taps


def _bank(low: list[float], high: list[float], like: Tensor) -> Tensor:
    """Kernels of the four bands, (4, 1, 9, 9)."""
    pair = torch.tensor([low, high], dtype=like.dtype, device=like.device)
    kernels = [torch.outer(pair[along_h], pair[along_w]) for along_w in (0, 1) for along_h in (0, 1)]
    return torch.stack(kernels)[:, None]


def analysis_kernels(like: Tensor) -> Tensor:
    """Taps of the analysis as 2D kernels (4, 1, 9, 9), in the type and place of ``like``."""
    return _bank(_filter(_LOW, CENTRE), _filter(_HIGH, CENTRE - 1), like)


def synthesis_kernels(like: Tensor) -> Tensor:
    """Taps of the synthesis as 2D kernels (4, 1, 9, 9), in the type and place of ``like``."""
    return _bank(_filter(_HIGH, CENTRE - 1, (1, -1)), _filter(_LOW, CENTRE, (-1, 1)), like)


def _wrapped(x: Tensor, before: int, after: int) -> Tensor:
    """Continue an image periodically, also further than its own size."""
    for axis in (-2, -1):
        size = x.shape[axis]
        x = x.index_select(axis, torch.arange(-before, size + after, device=x.device) % size)
    return x


def analyse(images: Tensor) -> Tensor:
    """Split images into four bands of half the resolution.

    Parameters
    ----------
    images : (B, C, H, W) float
        H and W even.

    Returns
    -------
    (B, 4 C, H / 2, W / 2) Tensor
        Bands low-low, high along H, high along W, high-high; within each the C images.
    """
    b, c = images.shape[:2]
    wrapped = _wrapped(images.flatten(0, 1)[:, None], CENTRE, CENTRE)  # (B C, 1, H + 8, W + 8)
    bands = F.conv2d(wrapped, analysis_kernels(images).flip(-1, -2), stride=2)  # (B C, 4, H / 2, W / 2)
    return bands.reshape(b, c, *bands.shape[1:]).transpose(1, 2).flatten(1, 2)


def synthesise(bands: Tensor) -> Tensor:
    """Put images together from their bands; the inverse of :func:`analyse`.

    Parameters
    ----------
    bands : (B, 4 C, h, w) float
        As :func:`analyse` gives them.

    Returns
    -------
    (B, C, 2 h, 2 w) Tensor
    """
    b, c, h, w = len(bands), bands.shape[1] // BANDS, *bands.shape[-2:]
    single = bands.reshape(b, BANDS, c, h, w).transpose(1, 2).flatten(0, 1)  # (B C, 4, h, w)
    spread = F.conv_transpose2d(_wrapped(single, CENTRE, CENTRE), synthesis_kernels(bands), stride=2)
    # the first tap of the coefficient that was number 0 before wrapping lands 2 * 4 places in, and taps lead by 3
    start = 2 * CENTRE + CENTRE - 1
    return spread[..., start : start + 2 * h, start : start + 2 * w].reshape(b, c, 2 * h, 2 * w)
