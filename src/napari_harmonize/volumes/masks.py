"""Masks: what counts as inside, and the box around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import GeometryError, VolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_mask(shape: tuple[int, ...], mask: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Turn a mask into true and false.

    Parameters
    ----------
    shape : tuple of int
        Shape of the volumes.
    mask : array, optional
        Not zero inside; without one everything is inside.

    Returns
    -------
    array of bool
        Of the given shape.

    Raises
    ------
    GeometryError
        The mask has another shape.
    VolumeError
        The mask is empty.
    """
    if mask is None:
        return np.ones(shape, bool)
    if mask.shape != shape:
        raise GeometryError("A mask lies on the grid of its volumes", f"it has shape {mask.shape}, the volumes {shape}")
    inside = np.asarray(mask != 0)
    if not inside.any():
        raise VolumeError("A mask has voxels in it", "the mask is empty", "Give another mask, or none")
    return inside


def bounding_box(inside: NDArray[np.bool_], margin: int, least: int) -> tuple[slice, ...]:
    """Slices around a mask with a margin, at least ``least`` wide where the volume is.

    Parameters
    ----------
    inside : array of bool
        The mask, not empty.
    margin : int
        Voxels on each side.
    least : int
        Least width along each axis.

    Returns
    -------
    tuple of slice
        One for each axis, within the volume.
    """
    box = []
    for axis, length in enumerate(inside.shape):
        found = np.flatnonzero(inside.any(tuple(other for other in range(inside.ndim) if other != axis)))
        start, stop = max(int(found[0]) - margin, 0), min(int(found[-1]) + 1 + margin, length)
        start = max(min(start, length - least), 0)
        box.append(slice(start, max(stop, min(start + least, length))))
    return tuple(box)
