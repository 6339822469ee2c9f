"""From where the slices of a DICOM series lie to one affine, as ImagePositionPatient says and not as they ought to lie.

The third axis is the step from slice to slice. Where a gantry was tilted that is not the normal of the slices, and the
volume is sheared. Uneven steps: up to 1 % of the step are noted, up to 10 % the slices are interpolated onto even
places between the first and the last, and beyond that the series is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.volumes.files import refusal

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE = 0.02
ROUNDING = 0.001
EVEN_ENOUGH = 0.01
UNEVEN_AT_MOST = 0.1
SIDEWAYS_MM = 0.5
TILT_DEGREES = 0.1
RULE = "The slices of a series lie side by side at even steps"


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in their order in space.

    Parameters
    ----------
    order : (n,) int64
        Which slice comes first, second, ... along the normal.
    affine : (4, 4) float64
        Column, row and slice index to RAS+ mm.
    places : (n,) float64, optional
        Where each ordered slice lies, in steps from the first, if they must be interpolated to whole numbers.
    step : float
        Distance of the slices along their normal, in mm.
    tilt : float
        Angle between the step and the normal, in degrees.
    notes : tuple of str
        What is odd.
    """

    order: NDArray[np.int64]
    affine: NDArray[np.float64]
    places: NDArray[np.float64] | None
    step: float
    tilt: float
    notes: tuple[str, ...]


def stack(path: Path | str, positions: NDArray[np.float64], orientation: NDArray[np.float64], pixel: tuple[float, float]) -> Stack:
    """Find order and affine of slices.

    Parameters
    ----------
    path : Path or str
        For the words of an error.
    positions : (n, 3) array
        ImagePositionPatient of each slice, LPS mm.
    orientation : (6,) array
        ImageOrientationPatient: direction of increasing column, then of increasing row, LPS.
    pixel : (2,) tuple
        PixelSpacing: distance of rows, then of columns, mm.

    Returns
    -------
    Stack

    Raises
    ------
    ReadError
        One slice, duplicated or missing slices, or steps too uneven to make even.
    """
    across, down = orientation[:3], orientation[3:]
    normal = np.cross(across, down)
    _check_directions(path, orientation, normal)
    normal /= np.linalg.norm(normal)
    order = np.argsort(positions @ normal, kind="stable")
    ordered = positions[order]
    along = ordered @ normal
    _check_gaps(path, np.diff(along))
    step = (ordered[-1] - ordered[0]) / (len(order) - 1)
    affine = np.eye(4)
    affine[:3] = np.column_stack([across * pixel[1], down * pixel[0], step, ordered[0]])
    places, notes = _unevenness(path, ordered, step, normal)
    tilt = float(np.degrees(np.arccos(np.clip(step @ normal / np.linalg.norm(step), -1.0, 1.0))))
    if tilt > TILT_DEGREES:
        notes += (f"The slices are tilted {tilt:.1f} degrees against the direction they are stacked in; the grid is kept sheared.",)
    return Stack(order, LPS_TO_RAS @ affine + 0.0, places, float(step @ normal), tilt, notes)


def _check_directions(path: Path | str, orientation: NDArray[np.float64], normal: NDArray[np.float64]) -> None:
    lengths = np.linalg.norm(orientation.reshape(2, 3), axis=1)
    if np.abs(lengths - 1.0).max() > 0.01 or np.linalg.norm(normal) < 0.99:
        arrived = f"ImageOrientationPatient is {np.round(orientation, 4).tolist()}"
        raise refusal(path, "Rows and columns of a slice stand at a right angle", arrived, "Export the series again from its source")


def _check_gaps(path: Path | str, gaps: NDArray[np.float64]) -> None:
    """Refuse single, duplicated and missing slices."""
    if len(gaps) == 0:
        raise refusal(path, "A volume has at least two slices", "there is one slice: a 2D image", "Give the folder with the whole series")
    apart = gaps[gaps > max(1e-3, SAME_PLACE * float(gaps.max()))]
    if len(apart) < len(gaps):
        twice, places = len(gaps) - len(apart), len(apart) + 1
        arrived = f"{len(gaps) + 1} slices lie at {places} places ({twice} share a place with another: copies, echoes or time points)"
        raise refusal(
            path, "A series has one slice at each place", arrived, "Keep one of those at each place, or export one echo or time point"
        )
    ratio = gaps / np.median(gaps)
    steps = np.round(ratio)
    missing = (steps >= 2) & (np.abs(ratio - steps) <= UNEVEN_AT_MOST * steps)
    if missing.any():
        first, absent = int(np.argmax(missing)) + 1, int((steps[missing] - 1).sum())
        arrived = f"{absent} of {len(gaps) + 1 + absent} slices are missing, the first after slice {first}"
        raise refusal(path, RULE, arrived, "Export the whole series again")


def _unevenness(
    path: Path | str, ordered: NDArray[np.float64], step: NDArray[np.float64], normal: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    """Places in steps from the first slice where they must be evened out, and what to say."""
    size = float(step @ normal)
    away = ordered - ordered[0] - np.arange(len(ordered))[:, None] * step
    along = away @ normal
    sideways = float(np.linalg.norm(away - np.outer(along, normal), axis=1).max())
    off = max(float(np.abs(along).max()), float(np.abs(np.diff(along)).max()))
    words = f"steps differ by up to {off:.2f} mm from their mean of {size:.2f} mm ({100 * off / size:.1f} %)"
    if off > UNEVEN_AT_MOST * size or sideways > max(SIDEWAYS_MM, UNEVEN_AT_MOST * size):
        remedy = "Resample the series onto even slices with a tool that knows how it was scanned"
        raise refusal(path, RULE, f"{words}; sideways they stray by {sideways:.2f} mm", remedy)
    if off > EVEN_ENOUGH * size:
        note = f"Slice {words}: the slices were interpolated linearly onto even places between the first and the last."
        return np.arange(len(ordered)) + along / size, (note,)
    return None, ((f"Slice {words}; they are taken as even.",) if off > ROUNDING * size else ())


def evened(slices: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate slices linearly to whole places.

    Parameters
    ----------
    slices : (i, j, n) float32
        In the order of ``places``.
    places : (n,) float64, increasing
        Where they lie, in steps; the first is 0 and the last n - 1.

    Returns
    -------
    (i, j, n) float32
        At 0, 1, ..., n - 1.
    """
    wanted = np.interp(np.arange(len(places)), places, np.arange(len(places)))
    lower = np.minimum(wanted.astype(int), len(places) - 2)
    weight = (wanted - lower).astype(np.float32)
    return np.asarray((1 - weight) * slices[..., lower] + weight * slices[..., lower + 1])
