"""Between a prepared volume (i, j, k in RAS+ order) and the slices a network sees (slice, row, column).

Rows run along the later in-plane axis, columns along the earlier one: axial slices are (k, j, i), coronal (j, k, i),
sagittal (i, k, j).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDER = {0: (0, 2, 1), 1: (1, 2, 0), 2: (2, 1, 0)}


def array_axes(axis: int) -> tuple[int, int, int]:
    """Array axes that run along slice, row and column."""
    return _ORDER[axis]


def to_slices(data: NDArray[Any], axis: int) -> NDArray[Any]:
    """Give (i, j, k) data as (slice, row, column) along ``axis``; a view."""
    return data.transpose(_ORDER[axis])


def from_slices(slices: NDArray[Any], axis: int) -> NDArray[Any]:
    """Give (slice, row, column) data as (i, j, k); a view."""
    return slices.transpose(tuple(np.argsort(_ORDER[axis])))


def kept_slices(slices: NDArray[Any], at_least: int = 0, above: float = 1e-15) -> NDArray[np.intp]:
    """Indices of the slices with more than ``at_least`` pixels above ``above``.

    The published preparation keeps slices with more than 50 pixels above 1e-15.
    """
    return np.flatnonzero((slices > above).sum((1, 2)) > at_least)


def stack(slices: NDArray[np.float32], radius: int, outside: float = 0.0) -> NDArray[np.float32]:
    """Put every slice together with its neighbours; ``outside`` stands beyond the ends.

    Parameters
    ----------
    slices : (n, h, w) float32
        Slices of one volume.
    radius : int
        Neighbours on each side.

    Returns
    -------
    (n, 2 radius + 1, h, w) float32
    """
    padded = np.pad(slices, ((radius, radius), (0, 0), (0, 0)), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0)
    return np.ascontiguousarray(np.moveaxis(windows, -1, 1))
