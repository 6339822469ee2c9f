"""How two segmentations into fluid, grey and white matter agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.tissue import TISSUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def volumes(labels: NDArray[np.uint8], spacing: Sequence[float]) -> dict[str, float]:
    """Measure every tissue in mm³.

    Parameters
    ----------
    labels : (i, j, k) uint8
        As :func:`napari_harmonize.tissue.segment` gives them.
    spacing : sequence of float
        Voxel size in mm.
    """
    voxel = float(np.prod(np.asarray(spacing, float)))
    return {name: float((labels == number).sum()) * voxel for number, name in enumerate(TISSUES, 1)}


def agreement(labels: NDArray[np.uint8], truth: NDArray[np.uint8], spacing: Sequence[float]) -> dict[str, float]:
    """Compare two segmentations tissue by tissue: Dice, Hausdorff distance in mm, difference of volumes in mm³.

    Parameters
    ----------
    labels, truth : (i, j, k) uint8
        As :func:`napari_harmonize.tissue.segment` gives them, on one grid.
    spacing : sequence of float
        Voxel size in mm.

    Returns
    -------
    dict of str to float
        "dice-csf", "hausdorff-csf", "volume-difference-csf" and so on; a Hausdorff distance is NaN where one of the two lacks
        the tissue.
    """
    found: dict[str, float] = {}
    ours, theirs = volumes(labels, spacing), volumes(truth, spacing)
    for number, name in enumerate(TISSUES, 1):
        one, other = labels == number, truth == number
        found[f"dice-{name}"] = dice(one, other)
        found[f"hausdorff-{name}"] = hausdorff(one, other, spacing)
        found[f"volume-difference-{name}"] = abs(ours[name] - theirs[name])
    return found


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Twice the voxels that both hold, over the voxels of each: 1 where they are the same; NaN where both are empty.

    Parameters
    ----------
    one, other : (i, j, k) bool
        On one grid.
    """
    import SimpleITK as sitk

    if not one.any() and not other.any():
        return float("nan")
    measure = sitk.LabelOverlapMeasuresImageFilter()
    measure.Execute(_image(one, (1, 1, 1)), _image(other, (1, 1, 1)))
    return float(measure.GetDiceCoefficient())


def hausdorff(one: NDArray[np.bool_], other: NDArray[np.bool_], spacing: Sequence[float]) -> float:
    """How far the voxel of one lies from the other that lies furthest from it, in mm; NaN where one is empty.

    Parameters
    ----------
    one, other : (i, j, k) bool
        On one grid.
    spacing : sequence of float
        Voxel size in mm.
    """
    import SimpleITK as sitk

    if not (one.any() and other.any()):
        return float("nan")
    measure = sitk.HausdorffDistanceImageFilter()
    measure.Execute(_image(one, spacing), _image(other, spacing))
    return float(measure.GetHausdorffDistance())


def _image(inside: NDArray[np.bool_], spacing: Sequence[float]) -> Any:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(inside.T).astype(np.uint8))
    image.SetSpacing([float(size) for size in spacing])
    return image
