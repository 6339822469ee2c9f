"""Between a prepared volume (i, j, k in RAS+ order) and the slices a network sees (slice, row, column)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Frame:
    """How slices are cut out of a volume.

    Parameters
    ----------
    axis : int
        Array axis the slices are stacked along.
    rows : str
        "later" where the rows run along the later in-plane axis, so that axial slices are (k, j, i) as in published
        preparations; "earlier" for (k, i, j).
    """

    axis: int
    rows: str = "later"

    @property
    def axes(self) -> tuple[int, int, int]:
        """Array axes that run along slice, row and column."""
        earlier, later = (axis for axis in range(3) if axis != self.axis)
        return (self.axis, later, earlier) if self.rows == "later" else (self.axis, earlier, later)

    def to_slices(self, data: NDArray[Any]) -> NDArray[Any]:
        """Give (i, j, k) data as (slice, row, column); a view."""
        return data.transpose(self.axes)

    def upright(self, slices: NDArray[Any]) -> NDArray[Any]:
        """Give (..., row, column) data with rows along the later axis, as pictures are shown; a view."""
        return slices if self.rows == "later" else slices.swapaxes(-1, -2)

    def from_slices(self, slices: NDArray[Any]) -> NDArray[Any]:
        """Give (slice, row, column) data as (i, j, k); a view."""
        return slices.transpose(tuple(np.argsort(self.axes)))


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
