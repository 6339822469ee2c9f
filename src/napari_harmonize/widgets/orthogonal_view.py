"""The inspect grid: three planes of several volumes side by side, with one crosshair."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_harmonize.session.display import Display, Window
from napari_harmonize.widgets import pictures
from napari_harmonize.widgets.columns import Column, first_windows, with_data
from napari_harmonize.widgets.letters import PLANES
from napari_harmonize.widgets.scene import NOTHING, Scene
from napari_harmonize.widgets.slice_pane import SlicePane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from qtpy.QtGui import QImage

__all__ = ["Column", "OrthogonalView"]

_FLICKER_MS = 400
# dragging over so many pixels changes the window by the width it started with
_WINDOW_PIXELS = 250.0
_DIGITS = {getattr(Qt.Key, f"Key_{number}"): number for number in range(1, 10)}
Where = tuple[str, str]


class OrthogonalView(QWidget):
    """Three planes times the columns that have data.

    Mouse: left moves the crosshair, wheel scrolls one slice, right drags window and level, middle pans, Ctrl and wheel
    zooms, double click maximises one picture and back. Keys, only while the view has the focus: 1 to 9 window presets,
    X crosshair, F flicker, C comparison, 0 reset of windows and zoom (R is Reject), arrows and Page Up and Down move by one voxel.

    Attributes
    ----------
    crosshair_requested : Signal(object)
        Patient position (RAS+ mm) of a voxel's centre; the view has already moved.
    window_requested : Signal(str, object)
        Group and its new :class:`Window`; already shown.
    display_requested : Signal(object)
        Mapping from a field of :class:`Display` to its new value; already shown.
    comparison_requested : Signal(str)
        The comparison was changed by its key; already shown.
    """

    crosshair_requested = Signal(object)
    window_requested = Signal(str, object)
    display_requested = Signal(object)
    comparison_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._scene = Scene()
        self._active: Where = ("axial", "")
        self._maximised: Where | None = None
        self.panes: dict[Where, SlicePane] = {}
        self._heads: dict[str, QLabel] = {}
        self._flicker = QTimer(self)
        self._flicker.setInterval(_FLICKER_MS)
        self._flicker.timeout.connect(self._swap)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        self._cells = QGridLayout()
        self._cells.setSpacing(2)
        outer.addLayout(self._cells, 1)
        self.place_label, self.facts_label = QLabel(NOTHING, self), QLabel(self)
        for label in (self.place_label, self.facts_label):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            outer.addWidget(label)

    # what is shown

    def show_columns(self, columns: Sequence[Column], affine: NDArray[np.float64], *, oblique_note: str = "") -> None:
        """Show volumes; position and zoom are kept where the grid is the same, windows by their group.

        Parameters
        ----------
        columns : sequence of Column
            Those without data are left out.
        affine : (4, 4) float64
            Voxel index to RAS+ mm of the grid that all share, in any axis order.
        oblique_note : str
            Said instead of "oblique 19°" where the caller knows better ("resampled").

        Raises
        ------
        GeometryError
            The arrays differ in shape.
        """
        self._scene.load(columns, affine, oblique_note)
        if self._maximised is not None and self._maximised[1] not in self._scene.columns:
            self._maximised = None
        self._arrange()
        self._turn()

    def set_data(self, key: str, data: NDArray[Any] | None) -> None:
        """Replace the values of one column, on the same grid; ``None`` takes the column away."""
        columns = [with_data(column, data) if column.key == key else column for column in self._scene.columns.values()]
        self.show_columns(columns, self._scene.grid.affine, oblique_note=self._scene.oblique_note)

    def set_crosshair(self, xyz: ArrayLike) -> None:
        """Move the crosshair to the voxel nearest to a patient position (RAS+ mm)."""
        self._draw(self._scene.go(self._scene.look_at(xyz)))

    def crosshair(self) -> tuple[float, float, float]:
        """Patient position (RAS+ mm) of the voxel under the crosshair."""
        return self._scene.grid.position(self._scene.ijk)

    def index(self) -> tuple[int, int, int]:
        """Voxel under the crosshair."""
        return self._scene.ijk

    def set_window(self, group: str, window: Window) -> None:
        """Show a group of columns with a window; a diverging one keeps zero in the middle."""
        if self._scene.set_window(group, window):
            self._draw(PLANES, group)

    def window(self, group: str) -> Window:
        """Window a group is shown with."""
        return self._scene.window(group)

    def reset_windows(self) -> None:
        """Show every group with the window it started with, and everything of every picture."""
        self._scene.views = {}
        self._zoom_panes()
        for group, window in first_windows(self._scene.columns).items():
            self._ask_window(group, window)

    def set_display(self, display: Display) -> None:
        """Take over convention, interpolation, crosshair, mark and zoom link from the session; not position and windows."""
        self._scene.display = display
        self._scene.lay()
        for pane in self.panes.values():
            pane.set_smooth(display.interpolate)
        self._turn()

    def set_comparison(self, comparison: str) -> None:
        """Show the result "side by side" with, or mixed by "curtain" or "checkerboard" with, what it is compared to."""
        self._scene.comparison = comparison
        self._draw(PLANES)

    def comparison(self) -> str:
        """How the result is compared."""
        return self._scene.comparison

    def set_flicker(self, on: bool) -> None:
        """Let the result's pictures alternate with what it is compared to."""
        self._scene.flickering = self._scene.flickered = on and self._scene.partner() is not None
        if self._scene.flickering:
            self._flicker.start()
        else:
            self._flicker.stop()
        self._draw(PLANES)

    def maximise(self, plane: str, key: str) -> None:
        """Show one picture alone."""
        self._maximised = (plane, key)
        self._arrange()

    def restore(self) -> None:
        """Show all pictures again."""
        self._maximised = None
        self._arrange()

    def values(self) -> dict[str, float]:
        """Value of every column at the crosshair."""
        return self._scene.values()

    def screenshot(self) -> QImage:
        """Picture of the view, marks and all."""
        return self.grab().toImage()

    # arranging the panes

    def _arrange(self) -> None:
        """Give every picture a cell, and let go of panes whose column is gone."""
        keys = list(self._scene.columns)
        for where in [where for where in self.panes if where[1] not in keys]:
            _drop(self.panes.pop(where))
        for key in [key for key in self._heads if key not in keys]:
            _drop(self._heads.pop(key))
        for column, key in enumerate(keys):
            if key not in self._heads:
                self._heads[key] = _head(self)
            self._cells.addWidget(self._heads[key], 0, column)
            self._heads[key].setVisible(self._maximised is None or self._maximised[1] == key)
            for row, plane in enumerate(PLANES, start=1):
                pane = self._pane((plane, key))
                self._cells.addWidget(pane, row, column)
                pane.setVisible(self._maximised in (None, (plane, key)))
        self._stretch(keys)

    def _stretch(self, keys: list[str]) -> None:
        alone = self._maximised
        for column in range(self._cells.columnCount()):
            shown = column < len(keys) and (alone is None or keys[column] == alone[1])
            self._cells.setColumnStretch(column, int(shown))
        for row, plane in enumerate(PLANES, start=1):
            self._cells.setRowStretch(row, int(alone is None or plane == alone[0]))

    def _pane(self, where: Where) -> SlicePane:
        if where not in self.panes:
            pane = self.panes[where] = SlicePane(self)
            pane.set_smooth(self._scene.display.interpolate)
            pane.pointed.connect(lambda across, up: self._point(where, across, up))
            pane.scrolled.connect(lambda steps: self._scroll(where, steps))
            pane.windowed.connect(lambda dx, dy: self._drag_window(where, dx, dy))
            pane.maximised.connect(lambda: self._toggle(where))
            pane.zoomed.connect(lambda zoom: self._zoom(where, zoom))
            pane.panned.connect(lambda across, up: self._pan(where, across, up))
            pane.curtained.connect(self._hang)
        return self.panes[where]

    def _turn(self) -> None:
        """Lay the planes on the screen; the data stay as they are."""
        for (plane, _), pane in self.panes.items():
            scene = self._scene
            pane.place(scene.layouts[plane], scene.edges(plane), scene.shape(plane), scene.spacing(plane))
        self._draw(PLANES)
        self._zoom_panes()

    def _draw(self, planes: Sequence[str], group: str = "") -> None:
        """Draw the pictures of some planes again, of one window group only where it is named; then crosshair and texts."""
        scene = self._scene
        for plane in planes:
            for key, column in scene.columns.items():
                if group in ("", column.window_group) or key == "result":
                    picture, pane = scene.picture(plane, key), self.panes[plane, key]
                    pane.show_picture(picture.data, picture.table)
                    pane.set_curtain(picture.curtain)
                    pane.set_texts(picture.title, picture.mark)
        for (plane, _), pane in self.panes.items():
            pane.set_cross(scene.cross(plane), scene.display.crosshair_visible)
        for key, label in self._heads.items():
            label.setText(scene.head(key))
            label.setToolTip(scene.preset_lines(key))
        self.place_label.setText(scene.place_text())
        self.facts_label.setText(scene.facts_text())

    def _zoom_panes(self) -> None:
        for (plane, _), pane in self.panes.items():
            pane.set_view(*self._scene.view(plane))

    # what the user does

    def _ask_move(self, ijk: tuple[int, int, int]) -> None:
        if ijk != self._scene.ijk and self._scene.columns:
            self._scene.outside = False
            self._draw(self._scene.go(ijk))
            self.crosshair_requested.emit(self.crosshair())

    def _point(self, where: Where, across: float, up: float) -> None:
        self._active = where
        self._ask_move(self._scene.at(where[0], across, up))

    def _scroll(self, where: Where, steps: int) -> None:
        self._active = where
        placed = self._scene.layouts[where[0]]
        self._ask_move(self._scene.beside(placed.through, steps * placed.forward))

    def _zoom(self, where: Where, zoom: float) -> None:
        self._scene.zoom(where[0], zoom)
        self._zoom_panes()

    def _pan(self, where: Where, across: float, up: float) -> None:
        self._scene.pan(where[0], across, up)
        self._zoom_panes()

    def _toggle(self, where: Where) -> None:
        if self._maximised is None:
            self.maximise(*where)
        else:
            self.restore()

    def _drag_window(self, where: Where, dx: int, dy: int) -> None:
        self._active = where
        column = self._scene.columns[where[1]]
        now, unit = self.window(column.window_group), column.first_window.width / _WINDOW_PIXELS
        width = max(now.width + dx * unit, column.first_window.width / 1000)
        self._ask_window(column.window_group, Window(width, now.level + dy * unit))

    def _ask_window(self, group: str, window: Window) -> None:
        if self._scene.set_window(group, window):
            self._draw(PLANES, group)
            self.window_requested.emit(group, self.window(group))

    def _preset(self, number: int) -> None:
        columns = self._scene.columns
        column = columns.get(self._active[1]) or columns.get("result") or next(iter(columns.values()), None)
        if column is not None and number <= len(column.presets):
            self._ask_window(column.window_group, list(column.presets.values())[number - 1])

    def _hang(self, share: float) -> None:
        self._scene.share = share
        self._draw(PLANES, "result")

    def _swap(self) -> None:
        self._scene.flickered = not self._scene.flickered
        self._draw(PLANES, "result")

    def _toggle_crosshair(self) -> None:
        visible = not self._scene.display.crosshair_visible
        self._scene.display = dataclasses.replace(self._scene.display, crosshair_visible=visible)
        self._draw(())
        self.display_requested.emit({"crosshair_visible": visible})

    def _next_comparison(self) -> None:
        modes = pictures.COMPARISONS
        self.set_comparison(modes[(modes.index(self._scene.comparison) + 1) % len(modes)])
        self.comparison_requested.emit(self._scene.comparison)

    def _action(self, key: int) -> Callable[[], None] | None:
        """What a key stands for."""
        if key in _DIGITS:
            return lambda: self._preset(_DIGITS[Qt.Key(key)])
        actions: dict[int, Callable[[], None]] = {
            Qt.Key.Key_X: self._toggle_crosshair,
            Qt.Key.Key_F: lambda: self.set_flicker(not self._scene.flickering),
            Qt.Key.Key_C: self._next_comparison,
            Qt.Key.Key_0: self.reset_windows,
        }
        placed = self._scene.layouts[self._active[0]]
        steps = {
            Qt.Key.Key_Right: (placed.across, placed.right),
            Qt.Key.Key_Left: (placed.across, -placed.right),
            Qt.Key.Key_Up: (placed.up, placed.top),
            Qt.Key.Key_Down: (placed.up, -placed.top),
            Qt.Key.Key_PageUp: (placed.through, placed.forward),
            Qt.Key.Key_PageDown: (placed.through, -placed.forward),
        }
        if key in steps:
            return lambda: self._ask_move(self._scene.beside(*steps[Qt.Key(key)]))
        return actions.get(key)

    def keyPressEvent(self, event: Any) -> None:
        """Do what the key stands for; leave every other key to the window."""
        action = self._action(event.key()) if _plain(event) else None
        if action is None:
            super().keyPressEvent(event)
        else:
            action()

    def event(self, event: Any) -> bool:
        """Keep our single keys from the shortcuts of the window while the view has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and _plain(event) and self._action(event.key()) is not None:
            event.accept()
            return True
        return bool(super().event(event))


def _plain(event: Any) -> bool:
    return bool(event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier))


def _head(parent: QWidget) -> QLabel:
    label = QLabel(parent)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    label.setMinimumWidth(1)
    return label


def _drop(widget: QWidget) -> None:
    widget.hide()
    widget.setParent(None)
    widget.deleteLater()
