"""Consistency from slice to slice, and numbers for every slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import Undefined, VolumeError
from napari_harmonize.metrics.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

NEIGHBOURHOOD = 9
LIMIT = 4.0
LEAST_SPREAD = 0.03
FEW = 0.2


@dataclass(frozen=True, eq=False)
class PerSlice:
    """Numbers for every slice along an axis; NaN where the mask has no voxel in the slice.

    Parameters
    ----------
    mae : (n,) float64
        Mean absolute difference, on the scale 0..1 of the whole volume.
    psnr : (n,) float64
        Peak signal-to-noise ratio in dB, data range 1; infinite where the slices are equal.
    voxels : (n,) int64
        Mask voxels in the slice.
    """

    mae: NDArray[np.float64]
    psnr: NDArray[np.float64]
    voxels: NDArray[np.int64]


def changes(data: NDArray[Any], mask: NDArray[Any] | None, axis: int) -> NDArray[np.float64]:
    """Measure how much a volume changes from each slice to the next.

    Parameters
    ----------
    data : (i, j, k) array
        The volume, in whatever scale the answer shall have.
    mask : (i, j, k) array, optional
        Only pairs of voxels that are both inside count; without one all do.
    axis : int
        Axis across the slices, 0 to 2.

    Returns
    -------
    (n - 1,) float64
        Mean absolute difference of slice k + 1 and slice k; NaN where no pair is inside the mask.

    Raises
    ------
    VolumeError
        The mask is empty or of another shape, or a value inside it is not finite.
    """
    case = Comparison(data, mask=mask)
    difference, paired = _neighbours(case.result, case.inside, axis)
    return _slice_means(np.abs(difference), paired)


def consistency_error(result: NDArray[Any], truth: NDArray[Any], mask: NDArray[Any] | None, axis: int) -> float:
    """Measure how wrong the steps from slice to slice are: the mean of |D(result) - D(truth)|.

    D is the signed difference of neighbouring slices, voxel by voxel; voxels count where both neighbours are inside
    the mask. A result that is wrong alike in all slices has none of it.

    Parameters
    ----------
    result, truth : (i, j, k) array
        On one grid and one scale; the metric table puts both on the scale 0..1 first.
    mask : (i, j, k) array, optional
        Not zero inside.
    axis : int
        Axis across the slices, 0 to 2.

    Returns
    -------
    float
        In units of the volumes; 0 is best.

    Raises
    ------
    VolumeError
        The volumes do not fit together, or a value inside the mask is not finite.
    Undefined
        No two neighbours along the axis are inside the mask.
    """
    case = Comparison(result, truth, mask=mask)
    ours, paired = _neighbours(result, case.inside, axis)
    theirs, _ = _neighbours(truth, case.inside, axis)
    if not paired.any():
        raise Undefined("Slice consistency compares neighbouring slices", f"none are inside the mask along axis {axis}")
    return float(np.abs(ours - theirs)[paired].mean())


def along(axis: int) -> Callable[[Comparison], float]:
    """Build the slice-consistency metric of one axis."""

    def slice_consistency(case: Comparison) -> float:
        """Mean of |D(result) - D(truth)| in the mask, D the difference of neighbouring slices, on the scale 0..1."""
        return consistency_error(case.scaled_result, case.scaled_truth, case.inside, axis)

    return slice_consistency


def pairs(mask: NDArray[Any], axis: int) -> NDArray[np.int64]:
    """Count the pairs of voxels that each place of :func:`changes` is the mean of.

    Parameters
    ----------
    mask : (i, j, k) array
        Not zero inside.
    axis : int
        Axis across the slices, 0 to 2.

    Returns
    -------
    (n - 1,) int64
        Pairs of neighbours that are both inside.

    Raises
    ------
    VolumeError
        There is no such axis.
    """
    _check_axis(axis)
    slices = np.moveaxis(mask != 0, axis, 0)
    return np.asarray((slices[1:] & slices[:-1]).sum((1, 2)), np.int64)


def outliers(curve: ArrayLike, reference: ArrayLike | None = None, voxels: ArrayLike | None = None) -> tuple[int, ...]:
    """Find the places where a curve of slice changes jumps.

    Looked at is the logarithm of the curve, or of the curve over the reference curve, less its own running median
    of nine, so that a slow trend and another contrast do not count. A place is an outlier where that is more than 4
    robust standard deviations (1.4826 times the median absolute deviation, and never less than 0.03) from zero.

    Parameters
    ----------
    curve : (n,) array_like
        As :func:`changes` gives it; NaN is passed over.
    reference : (n,) array_like, optional
        The same curve of the truth or the source.
    voxels : (n,) array_like, optional
        As :func:`pairs` gives it. Places with less than a fifth of the most are passed over: the tip of a head
        changes too fast to tell.

    Returns
    -------
    tuple of int
        Places in the curve, ascending; place k is the step from slice k to slice k + 1.

    Raises
    ------
    VolumeError
        The curves differ in length, or a value is below zero.
    """
    values = np.asarray(curve, np.float64)
    base = np.ones_like(values) if reference is None else np.asarray(reference, np.float64)
    counts = np.ones_like(values) if voxels is None else np.asarray(voxels, np.float64)
    _check_curves(values, base, counts)
    known = np.isfinite(values) & np.isfinite(base) & (counts >= FEW * counts.max(initial=0))
    if known.sum() < 3:
        return ()
    ratio = np.log(_above_zero(values[known]) / _above_zero(base[known]))
    off = np.abs(ratio - _running_median(ratio))
    strange = off > LIMIT * max(1.4826 * float(np.median(off)), LEAST_SPREAD)
    return tuple(np.flatnonzero(known)[strange].tolist())


def per_slice(result: NDArray[Any], truth: NDArray[Any], mask: NDArray[Any] | None, axis: int) -> PerSlice:
    """Measure every slice along an axis against the truth, on the scale of the whole volume.

    Parameters
    ----------
    result, truth : (i, j, k) array
        On one grid; each is divided by its 99.5th percentile inside the mask and clipped to 0..1.
    mask : (i, j, k) array, optional
        Not zero inside.
    axis : int
        Axis across the slices, 0 to 2.

    Returns
    -------
    PerSlice
        Numbers for all slices.

    Raises
    ------
    VolumeError
        The volumes do not fit together, the mask is empty, or a value inside it is not finite.
    """
    case = Comparison(result, truth, mask=mask)
    _check_axis(axis)
    difference = np.moveaxis(np.where(case.inside, case.scaled_result - case.scaled_truth, 0), axis, 0)
    inside = np.moveaxis(case.inside, axis, 0)
    squared = _slice_means(difference**2, inside)
    with np.errstate(divide="ignore"):
        psnr = -10 * np.log10(squared)
    return PerSlice(_slice_means(np.abs(difference), inside), psnr + 0.0, inside.sum((1, 2)))


def _neighbours(data: NDArray[Any], inside: NDArray[np.bool_], axis: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Signed difference of neighbouring slices, slices first, and where both are inside; 0 elsewhere."""
    _check_axis(axis)
    slices, mask = np.moveaxis(data, axis, 0), np.moveaxis(inside, axis, 0)
    paired = mask[1:] & mask[:-1]
    known = np.where(mask, slices, 0).astype(np.float64)
    return np.where(paired, np.diff(known, axis=0), 0.0), paired


def _slice_means(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the counted voxels of each slice of the first axis; NaN where there are none."""
    voxels = counted.sum((1, 2))
    sums = np.where(counted, values, 0).sum((1, 2))
    return np.asarray(np.divide(sums, voxels, out=np.full(len(voxels), np.nan), where=voxels > 0))


def _running_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = NEIGHBOURHOOD // 2
    return np.array([np.median(values[max(0, k - reach) : k + reach + 1]) for k in range(len(values))])


def _above_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add a thousandth of the usual, so that a frozen slice has a logarithm."""
    return np.asarray(values + 1e-3 * max(float(np.median(values)), 1e-3 * float(values.max()), 1e-12))


def _check_curves(*curves: NDArray[np.float64]) -> None:
    if curves[0].ndim != 1 or len({curve.shape for curve in curves}) > 1:
        shapes = " and ".join(str(curve.shape) for curve in curves)
        raise VolumeError("Curves of slice changes are compared place by place", f"shapes {shapes} arrived")
    if any((curve < 0).any() for curve in curves):
        raise VolumeError("A curve of slice changes is not below zero", "one of the curves is")


def _check_axis(axis: int) -> None:
    if axis not in (0, 1, 2):
        raise VolumeError("A volume has the axes 0, 1 and 2", f"axis {axis} was asked for")
