"""Between a prepared volume (i, j, k in RAS+ order) and the slices a network sees (slice, row, column)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIRECTIONS = {"R": (0, False), "L": (0, True), "A": (1, False), "P": (1, True), "S": (2, False), "I": (2, True)}


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
    flips : tuple of bool
        Whether rows and columns run against the RAS+ direction of their axis.
    """

    axis: int
    rows: str = "later"
    flips: tuple[bool, bool] = (False, False)

    @classmethod
    def of(cls, orientation: str) -> Frame:
        """Read the directions of slice, row and column.

        Parameters
        ----------
        orientation : str
            Three letters, one of each of R or L, A or P, S or I: where slice number, row number and column number rise to.

        Raises
        ------
        SettingsError
            They are not three such letters, or the slices rise to L, P or I.
        """
        letters = [DIRECTIONS.get(letter) for letter in orientation]
        axes = [letter[0] for letter in letters if letter]
        if len(orientation) != 3 or sorted(axes) != [0, 1, 2]:
            raise SettingsError(
                "An orientation names where slice, row and column rise to, one letter of each of R or L, A or P, S or I",
                f"{orientation!r} arrived",
                'Axial slices with rows from left to right are "SRA"',
            )
        flips = [letter[1] for letter in letters if letter]
        if flips[0]:
            raise SettingsError("Slices rise to R, A or S", f"{orientation!r} arrived", "Turn the slices' order round")
        return cls(axes[0], "later" if axes[1] > axes[2] else "earlier", (flips[1], flips[2]))

    @property
    def _turned(self) -> tuple[slice, slice, slice]:
        """Index of (slice, row, column) data that applies the flips; its own inverse."""
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return slice(None), rows, columns

    @property
    def axes(self) -> tuple[int, int, int]:
        """Array axes that run along slice, row and column."""
        earlier, later = (axis for axis in range(3) if axis != self.axis)
        return (self.axis, later, earlier) if self.rows == "later" else (self.axis, earlier, later)

    def to_slices(self, data: NDArray[Any]) -> NDArray[Any]:
        """Give (i, j, k) data as (slice, row, column); a view."""
        return data.transpose(self.axes)[self._turned]

    def upright(self, slices: NDArray[Any]) -> NDArray[Any]:
        """Give (..., row, column) data with rows along the later axis and both rising in RAS+, as pictures are shown; a view."""
        turned = slices[(..., *self._turned[1:])]
        return turned if self.rows == "later" else turned.swapaxes(-1, -2)

    def from_slices(self, slices: NDArray[Any]) -> NDArray[Any]:
        """Give (slice, row, column) data as (i, j, k); a view."""
        return slices[self._turned].transpose(tuple(np.argsort(self.axes)))


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
