"""Metrics of structure: windows, edges and visual information."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import Undefined
from napari_harmonize.metrics.comparison import Comparison, scale
from napari_harmonize.volumes.masks import bounding_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 7
VIF_LEAST = 41
VIF_BATCH = 16


def ssim(case: Comparison) -> float:
    """Structural similarity: scikit-image's default map (uniform windows of 7 x 7 x 7, data range 1) averaged inside the mask.

    Windows at the border of the mask reach three voxels out of it; values further away play no part. There is no
    number for volumes with fewer than 7 voxels along an axis: another window would be another metric.
    """
    result, truth = case.scaled_result, case.scaled_truth
    if min(result.shape) < WINDOW:
        raise Undefined(f"SSIM slides a window of {WINDOW} voxels along each axis", f"the volume has shape {result.shape}")
    box = bounding_box(case.inside, WINDOW // 2, WINDOW)
    known = np.isfinite(case.result[box]) & np.isfinite(case.need_truth()[box])
    if not known.all() and not known[_windows(case.inside[box])].all():
        raise Undefined("SSIM needs finite values up to three voxels around the mask", "a volume has others")
    return float(_ssim_map(np.where(known, result[box], 0), np.where(known, truth[box], 0))[case.inside[box]].mean())


def structure_agreement(case: Comparison) -> float:
    """Agreement of edges with the source, whatever the contrast: correlation of squared normalised gradients.

    With n = g / sqrt(|g|² + e²), where g is the gradient per voxel and e the mean of |g| inside the mask (the
    normalised gradient field of Haber and Modersitzki 2006, one for each volume):
    sum (n_a . n_b)² / sqrt(sum |n_a|⁴ sum |n_b|⁴), which is 1 where all edges lie alike, also with contrast
    inverted, and near 1/3 for unrelated directions. Measured in the mask without its outermost voxels, so that its
    own outline does not count as structure.
    """
    from scipy.ndimage import binary_erosion

    core = binary_erosion(case.inside)
    if not core.any():
        raise Undefined("Edges are compared inside the mask without its outermost voxels", "no voxel is left")
    a, b = (_normalised_gradient(data, core, name) for data, name in ((case.result, "result"), (case.need_source(), "source")))
    together = float(((a * b).sum(0) ** 2).sum())
    return together / float(np.sqrt(((a * a).sum(0) ** 2).sum() * ((b * b).sum(0) ** 2).sum()))


def over_pointwise(case: Comparison) -> float:
    """How many dB of PSNR the result gains over the best that recolouring the source could reach, had it known the truth."""
    from napari_harmonize.metrics.intensity import psnr

    recoloured = pointwise_mapping(scale(case.need_source(), case.inside, "source"), case.scaled_truth, case.inside)
    rival = float(((recoloured[case.inside] - case.scaled_truth[case.inside]) ** 2).mean())
    if rival == 0:
        raise Undefined("The gain is over what recolouring the source can reach", "recolouring reaches the truth itself")
    return psnr(case) + 10 * float(np.log10(rival))


def vif(case: Comparison) -> float:
    """Visual information fidelity (torchmetrics), mean over the slices of the last axis that hold mask voxels.

    On the scale 0..1 times 255, as its noise variance of 2 is made for 8-bit images; outside the mask both volumes
    are set to 0.
    """
    import torch
    from torchmetrics.functional.image import visual_information_fidelity

    box = bounding_box(case.inside, 0, VIF_LEAST)[:2]
    kept = np.flatnonzero(case.inside.any((0, 1)))
    stacks = [np.where(case.inside, data, 0)[box][:, :, kept] * 255 for data in (case.scaled_result, case.scaled_truth)]
    if min(stacks[0].shape[:2]) < VIF_LEAST:
        raise Undefined(f"VIF needs slices of at least {VIF_LEAST} x {VIF_LEAST} voxels", f"they are {case.result.shape[:2]}")
    if np.ptp(stacks[1]) == 0:
        raise Undefined("VIF needs a truth that varies inside the mask", "it is constant there")
    total = 0.0
    for start in range(0, len(kept), VIF_BATCH):
        batch = [torch.from_numpy(np.moveaxis(stack[:, :, start : start + VIF_BATCH], 2, 0).copy())[:, None] for stack in stacks]
        total += float(visual_information_fidelity(*batch)) * len(batch[0])
    return total / len(kept)


def pointwise_mapping(
    source: NDArray[np.float64], truth: NDArray[np.float64], mask: NDArray[Any] | None = None, bins: int = 256
) -> NDArray[np.float64]:
    """Recolour the source as well as the truth allows: every source intensity becomes the mean of the truth there.

    No translation that looks at one voxel at a time can have a smaller squared error, up to the width of the bins.

    Parameters
    ----------
    source, truth : array
        On one grid.
    mask : array, optional
        Where the mean is taken; without one everywhere.
    bins : int
        Number of equal bins over the range of the source inside the mask.

    Returns
    -------
    float64 array
        The recoloured source, also outside the mask; there, intensities never seen inside take the nearest one that was.

    Raises
    ------
    VolumeError
        The mask is empty or the shapes differ.
    """
    case = Comparison(source, truth, mask=mask)
    seen, wished = source[case.inside], truth[case.inside].astype(np.float64)
    edges = np.linspace(seen.min(), seen.max(), bins + 1)[1:-1]
    place = np.digitize(seen, edges)
    counts = np.bincount(place, minlength=bins)
    filled = np.flatnonzero(counts)
    means = np.bincount(place, wished, minlength=bins)[filled] / counts[filled]
    everywhere = np.digitize(np.nan_to_num(source), edges)
    closest = np.abs(np.arange(bins)[:, None] - filled[None]).argmin(1)
    return np.asarray(means[closest[everywhere]])


def _windows(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Every voxel that a window of SSIM around a mask voxel holds."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(inside, WINDOW))


def _ssim_map(result: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    from skimage.metrics import structural_similarity

    return np.asarray(structural_similarity(truth, result, data_range=1, full=True)[1])


def _normalised_gradient(data: NDArray[Any], core: NDArray[np.bool_], name: str) -> NDArray[np.float64]:
    """Gradient per voxel at the core's voxels, shortened by the mean length there, (3, voxels)."""
    gradient = np.stack([_central_difference(data, axis, core) for axis in range(3)])
    length = np.sqrt((gradient**2).sum(0))
    typical = float(length.mean())
    if typical == 0:
        raise Undefined("Edges are compared where there are some", f"the {name} is constant inside the mask")
    return np.asarray(gradient / np.sqrt(length**2 + typical**2))


def _central_difference(data: NDArray[Any], axis: int, core: NDArray[np.bool_]) -> NDArray[np.float64]:
    i, j, k = np.nonzero(core)
    step = np.eye(3, dtype=int)[axis]
    after = data[i + step[0], j + step[1], k + step[2]].astype(np.float64)
    return np.asarray((after - data[i - step[0], j - step[1], k - step[2]]) / 2)
