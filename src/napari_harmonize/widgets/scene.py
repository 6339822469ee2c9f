"""What the inspect grid knows: volumes, position, windows, comparison, and what each picture and text of it is. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.session.display import Convention, Display, Window
from napari_harmonize.widgets import pictures
from napari_harmonize.widgets.columns import Column, Grid, first_windows, shown_columns
from napari_harmonize.widgets.letters import (
    MARK,
    PLANES,
    Edges,
    Layout,
    convention_text,
    edge_letters,
    index_text,
    layout,
    number_text,
    oblique_text,
    position_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

NOTHING = "Nothing to inspect yet."
_WHOLE = (1.0, (0.5, 0.5))
View = tuple[float, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture and what is written on it.

    Parameters
    ----------
    data : (across, up) uint8
        In the order of the voxels.
    table : (256, 4) uint8
        Its colours.
    title : str
        Plane, slice, and what is shown where that is not the column's own volume.
    mark : bool
        Whether it says that it is synthetic.
    curtain : float, optional
        Share of the width where the curtain hangs.
    """

    data: NDArray[np.uint8]
    table: NDArray[np.uint8]
    title: str
    mark: bool
    curtain: float | None


class Scene:
    """Holds what is shown; every method that changes something says what has to be drawn again."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self.grid = Grid((1, 1, 1), np.eye(4))
        self.layouts: dict[str, Layout] = {plane: layout(np.eye(4), plane) for plane in PLANES}
        self.windows: dict[str, Window] = {}
        self.ijk = (0, 0, 0)
        self.outside = False
        self.display = Display()
        self.comparison, self.share = pictures.SIDE_BY_SIDE, 0.5
        self.flickering, self.flickered = False, False
        self.oblique_note = ""
        self.views: dict[str, View] = {}

    @property
    def convention(self) -> Convention:
        """Which side the patient's left is on."""
        return Convention(self.display.convention)

    def load(self, columns: Sequence[Column], affine: NDArray[np.float64], oblique_note: str) -> None:
        """Take other volumes; position and zoom are kept on the same grid, windows by their group."""
        found = shown_columns(columns)
        shape = next((column.data.shape for column in found.values() if column.data is not None), (1, 1, 1))
        grid = Grid((shape[0], shape[1], shape[2]), np.asarray(affine, np.float64))
        if grid.shape != self.grid.shape or not np.allclose(grid.affine, self.grid.affine):
            self.grid, self.ijk, self.views = grid, grid.middle, {}
        self.columns, self.oblique_note = found, oblique_note
        self.windows = {group: self.windows.get(group, window) for group, window in first_windows(found).items()}
        self.lay()

    def lay(self) -> None:
        """Find again how the planes lie on the screen."""
        self.layouts = {plane: layout(self.grid.affine, plane, self.convention) for plane in PLANES}

    def edges(self, plane: str) -> Edges:
        """Letters at the edges of a plane."""
        return edge_letters(self.grid.affine, plane, self.convention)

    def shape(self, plane: str) -> tuple[int, int]:
        """Voxels across and up a plane."""
        placed = self.layouts[plane]
        return self.grid.shape[placed.across], self.grid.shape[placed.up]

    def spacing(self, plane: str) -> tuple[float, float]:
        """Mm between voxels across and up a plane."""
        placed = self.layouts[plane]
        return self.grid.spacing[placed.across], self.grid.spacing[placed.up]

    def cross(self, plane: str) -> tuple[float, float]:
        """Voxel (across, up) of a plane under the crosshair."""
        placed = self.layouts[plane]
        return self.ijk[placed.across], self.ijk[placed.up]

    # position

    def go(self, ijk: tuple[int, int, int]) -> tuple[str, ...]:
        """Go to a voxel; the planes whose slice changed."""
        before, self.ijk = self.ijk, ijk
        return tuple(plane for plane in PLANES if before[self.layouts[plane].through] != ijk[self.layouts[plane].through])

    def at(self, plane: str, across: float, up: float) -> tuple[int, int, int]:
        """Voxel at a place of a plane's slice."""
        wished, placed = list(map(float, self.ijk)), self.layouts[plane]
        wished[placed.across], wished[placed.up] = across, up
        return self.grid.clamp(wished)

    def beside(self, axis: int, steps: int) -> tuple[int, int, int]:
        """Voxel some steps along an array axis."""
        wished = list(self.ijk)
        wished[axis] += steps
        return self.grid.clamp(wished)

    def look_at(self, xyz: ArrayLike) -> tuple[int, int, int]:
        """Voxel nearest to a patient position, remembering whether that lies outside."""
        self.outside = not self.grid.inside(xyz)
        return self.grid.nearest(xyz)

    # zoom

    def view(self, plane: str) -> View:
        """Zoom and centre of a plane, the centre as shares of its extent."""
        return self.views.get(plane, _WHOLE)

    def zoom(self, plane: str, zoom: float) -> None:
        """Zoom about the crosshair, all planes where zooms are linked."""
        for other in PLANES if self.display.linked_zoom else (plane,):
            centre = [(place + 0.5) / length for place, length in zip(self.cross(other), self.shape(other), strict=True)]
            self.views[other] = (zoom, (centre[0], centre[1])) if zoom > 1 else _WHOLE

    def pan(self, plane: str, across: float, up: float) -> None:
        """Move a zoomed plane by voxels."""
        zoom, (x, y) = self.view(plane)
        width, height = self.shape(plane)
        self.views[plane] = (zoom, (x - across / width, y - up / height))

    # windows and values

    def window(self, group: str) -> Window:
        """Window a group is shown with."""
        return self.windows.get(group, Window(1.0, 0.5))

    def set_window(self, group: str, window: Window) -> bool:
        """Window a group, zero staying in the middle of a diverging one; whether anything changed."""
        if any(column.diverging for column in self.columns.values() if column.window_group == group):
            window = Window(window.width, 0.0)
        changed = self.windows.get(group) != window
        self.windows[group] = window
        return changed

    def values(self) -> dict[str, float]:
        """Value of every column at the crosshair."""
        return {key: float(column.data[self.ijk]) for key, column in self.columns.items() if column.data is not None}

    def partner(self) -> Column | None:
        """What the result is compared to: the truth, or the source where there is none."""
        return None if "result" not in self.columns else self.columns.get("truth", self.columns.get("source"))

    # pictures

    def picture(self, plane: str, key: str) -> Picture:
        """Make one picture; the only place where voxels are read."""
        placed, own = self.layouts[plane], self.columns[key]
        other = self.partner() if key == "result" else None
        shown = other if other is not None and self.flickered else own
        data, curtain = self._bytes(shown, placed), None
        if other is not None and not self.flickered and self.comparison != pictures.SIDE_BY_SIDE:
            data, curtain = self._mixed(plane, data, self._bytes(other, placed))
        title = f"{plane} {self.ijk[placed.through]}/{self.grid.shape[placed.through] - 1}"
        title = title if shown is own else f"{title} {shown.words}"
        table = pictures.diverging_table() if shown.diverging else pictures.lookup_table(shown.colormap)
        return Picture(data, table, title, shown.synthetic and self.display.mark, curtain)

    def _bytes(self, column: Column, placed: Layout) -> NDArray[np.uint8]:
        if column.data is None:
            raise AssertionError("only columns with data are shown")
        return pictures.to_bytes(pictures.cut(column.data, placed, self.ijk[placed.through]), self.window(column.window_group))

    def _mixed(self, plane: str, own: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float | None]:
        if self.comparison == pictures.CURTAIN:
            return pictures.curtain(own, other, self.share, self.layouts[plane].right), self.share
        return pictures.checkerboard(own, other, self.spacing(plane)), None

    # texts

    def head(self, key: str) -> str:
        """Words above a column, with its window; both names where two volumes are mixed in it."""
        column = self.columns[key]
        window, words = self.window(column.window_group), self._head_words(column, self.partner() if key == "result" else None)
        if column.diverging:
            return f"{words} · ±{number_text(window.high)}"
        return f"{words} · W {number_text(window.width)} L {number_text(window.level)}"

    def _head_words(self, column: Column, other: Column | None) -> str:
        """Name a column; the curtain has the second volume on its right, the checkerboard in every other square."""
        if other is None or self.comparison == pictures.SIDE_BY_SIDE:
            return column.words
        return f"{column.words} | {other.words}" if self.comparison == pictures.CURTAIN else f"{column.words} / {other.words}"

    def preset_lines(self, key: str) -> str:
        """Presets of a column with their keys and numbers."""
        numbered = enumerate(self.columns[key].presets.items(), start=1)
        lines = [f"{digit}: {name} (W {number_text(window.width)} L {number_text(window.level)})" for digit, (name, window) in numbered]
        return "\n".join(lines[:9])

    def place_text(self) -> str:
        """Where the crosshair is, and the value of every volume there."""
        if not self.columns:
            return NOTHING
        values = " | ".join(f"{self.columns[key].words} {number_text(value)}" for key, value in self.values().items())
        outside = "outside, nearest voxel shown" if self.outside else ""
        parts = (position_text(self.grid.position(self.ijk)), index_text(self.ijk), outside, values)
        return " · ".join(part for part in parts if part)

    def facts_text(self) -> str:
        """Convention, obliquity, comparison and mark in words."""
        if not self.columns:
            return ""
        marked = MARK if self.display.mark and any(column.synthetic for column in self.columns.values()) else ""
        oblique = self.oblique_note or oblique_text(self.grid.affine)
        parts = (convention_text(self.convention), oblique, self._comparison_text(), marked)
        return " · ".join(part for part in parts if part)

    def _comparison_text(self) -> str:
        other = self.partner()
        if other is None or (self.comparison == pictures.SIDE_BY_SIDE and not self.flickering):
            return ""
        return f"{'flicker' if self.flickering else self.comparison} with {other.words}"
