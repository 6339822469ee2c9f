"""Numbers as Koch et al. (2025) report them for angiographies: of whole slices in 0..1, and of volumes in Hounsfield units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import GeometryError, Undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW, DEVIATION = 11, 1.5
SPAN = 400.0
"""Range of a volume in HU: -50 to 350."""


def slice_scores(result: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Mean over slices of "mse", "mae", "psnr" in dB and "ssim", background included.

    SSIM slides a Gaussian of 11 pixels and standard deviation 1.5 and counts only places where it lies within the slice.

    Parameters
    ----------
    result, truth : (slices, rows, columns) array
        0..1; sides of at least 11.

    Raises
    ------
    GeometryError
        The shapes differ.
    Undefined
        A slice is smaller than the window.
    """
    a, b = _pair(result, truth, 3)
    found = [_scores(one, other, 1.0) for one, other in zip(a, b, strict=True)]
    return {name: float(np.mean([scores[name] for scores in found])) for name in found[0]}


def volume_scores(result: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """Give the "mse", "mae", "psnr" in dB and "ssim" of a volume whose range is 400 HU; the Gaussian window is one of volumes.

    Parameters
    ----------
    result, truth : (i, j, k) array
        HU; sides of at least 11.

    Raises
    ------
    GeometryError
        The shapes differ.
    Undefined
        The volume is smaller than the window.
    """
    return _scores(*_pair(result, truth, 3), SPAN)


def _pair(result: NDArray[Any], truth: NDArray[Any], axes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if result.shape != truth.shape or result.ndim != axes:
        raise GeometryError("Result and truth are on one grid of three axes", f"they have shapes {result.shape} and {truth.shape}")
    return np.asarray(result, np.float64), np.asarray(truth, np.float64)


def _scores(result: NDArray[np.float64], truth: NDArray[np.float64], span: float) -> dict[str, float]:
    from skimage.metrics import structural_similarity

    if min(result.shape) < WINDOW:
        raise Undefined(f"SSIM slides a window of {WINDOW} voxels along each axis", f"the shape is {result.shape}")
    mse = float(((result - truth) ** 2).mean())
    full = structural_similarity(
        truth, result, data_range=span, gaussian_weights=True, sigma=DEVIATION, use_sample_covariance=False, win_size=WINDOW, full=True
    )[1]
    edge = WINDOW // 2
    within = full[tuple(slice(edge, size - edge) for size in full.shape)]
    psnr = float("inf") if mse == 0 else 10 * float(np.log10(span**2 / mse))
    return {"mse": mse, "mae": float(np.abs(result - truth).mean()), "psnr": psnr, "ssim": float(within.mean())}
