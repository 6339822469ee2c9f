"""What the inspect grid shows: columns of arrays on one grid, and how each looks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import GeometryError
from napari_harmonize.session.display import Window
from napari_harmonize.volumes import Meaning, index, spacing, world
from napari_harmonize.widgets.presets import preset_windows, symmetric_window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Column:
    """One column of the inspect grid.

    Parameters
    ----------
    key : str
        "source", "result", "truth", "difference", or any other name of its own.
    title : str
        Words above the column.
    data : (i, j, k) array, optional
        Values; a column without is not shown.
    group : str
        Columns of one group share one window; its own unless given.
    meaning : Meaning
        What the numbers mean; chooses the window presets.
    synthetic : bool
        Whether a model made it; every picture of it is then marked.
    diverging : bool
        Whether zero is the middle of the colours (blue below, black, orange above) and the limits are symmetrical.
    colormap : str
        A name napari knows; not used where diverging.
    """

    key: str
    title: str = ""
    data: NDArray[Any] | None = None
    group: str = ""
    meaning: Meaning = Meaning.UNKNOWN
    synthetic: bool = False
    diverging: bool = False
    colormap: str = "gray"

    @property
    def window_group(self) -> str:
        """Group whose window it is shown with."""
        return self.group or self.key

    @property
    def words(self) -> str:
        """Its title, or its key where it has none."""
        return self.title or self.key

    @cached_property
    def presets(self) -> Mapping[str, Window]:
        """Windows for the number keys."""
        return {} if self.data is None or self.diverging else preset_windows(self.meaning, self.data)

    @cached_property
    def first_window(self) -> Window:
        """Window it starts with, taken from the whole volume."""
        if self.data is None:
            return Window(1.0, 0.5)
        return symmetric_window(self.data) if self.diverging else next(iter(self.presets.values()))


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxels shared by all columns.

    Parameters
    ----------
    shape : (int, int, int)
        Voxels along each axis.
    affine : (4, 4) float64
        Voxel index to RAS+ mm.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @cached_property
    def spacing(self) -> tuple[float, float, float]:
        """Mm between voxels."""
        return spacing(self.affine)

    @property
    def middle(self) -> tuple[int, int, int]:
        """Voxel in the middle."""
        i, j, k = ((length - 1) // 2 for length in self.shape)
        return i, j, k

    def nearest(self, xyz: ArrayLike) -> tuple[int, int, int]:
        """Voxel nearest to a patient position; the border's where it lies outside."""
        return self.clamp(index(self.affine, xyz).tolist())

    def clamp(self, ijk: Iterable[float]) -> tuple[int, int, int]:
        """Voxel nearest to an index that is not rounded."""
        i, j, k = (min(max(round(place), 0), length - 1) for place, length in zip(ijk, self.shape, strict=True))
        return i, j, k

    def inside(self, xyz: ArrayLike) -> bool:
        """Whether a patient position lies within half a voxel of the grid."""
        place = index(self.affine, xyz)
        return bool(((place >= -0.5) & (place <= np.array(self.shape) - 0.5)).all())

    def position(self, ijk: Sequence[int]) -> tuple[float, float, float]:
        """Patient position (RAS+ mm) of a voxel's centre."""
        x, y, z = world(self.affine, ijk).tolist()
        return x, y, z


def shown_columns(columns: Sequence[Column]) -> dict[str, Column]:
    """Columns that have data, by key, in their order.

    Raises
    ------
    GeometryError
        Two of them have different shapes.
    """
    found = {column.key: column for column in columns if column.data is not None}
    shapes = {column.key: column.data.shape for column in found.values() if column.data is not None}
    if len(set(shapes.values())) > 1:
        arrived = ", ".join(f"{key} has {shape}" for key, shape in shapes.items())
        raise GeometryError("Columns shown together lie on one grid", arrived, "Resample them onto the source's grid first")
    return found


def first_windows(columns: Mapping[str, Column]) -> dict[str, Window]:
    """Window of every group: a real volume's where the group has one, else the first's."""
    windows: dict[str, Window] = {}
    for column in sorted(columns.values(), key=lambda column: column.synthetic):
        windows.setdefault(column.window_group, column.first_window)
    return windows


def with_data(column: Column, data: NDArray[Any] | None) -> Column:
    """Copy of a column with other values."""
    return dataclasses.replace(column, data=data)
