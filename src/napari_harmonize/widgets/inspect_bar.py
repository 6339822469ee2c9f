"""The row of switches above the inspect grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QMenu, QPushButton, QWidget

from napari_harmonize.session import Convention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.session import Display

COMPARISONS = ("side by side", "curtain", "checkerboard")


class InspectBar(QWidget):
    """Says how the volumes are compared and shown.

    Parameters
    ----------
    parent : QWidget, optional
        Qt parent.

    Attributes
    ----------
    comparison_requested : Signal(str)
        "side by side", "curtain" or "checkerboard".
    flicker_requested : Signal(bool)
        Result and truth in turn.
    display_requested : Signal(object)
        {field of Display: new value}.
    window_requested : Signal(str)
        A preset was picked, by name.
    reset_requested, picture_requested : Signal()
        Windows back to the whole volumes'; save what is shown.
    curves_requested : Signal(bool)
        Show or fold the curves and numbers.
    canvas_requested : Signal(bool)
        Show or hide napari's own canvas.
    """

    comparison_requested = Signal(str)
    flicker_requested = Signal(bool)
    display_requested = Signal(object)
    window_requested = Signal(str)
    reset_requested = Signal()
    picture_requested = Signal()
    curves_requested = Signal(bool)
    canvas_requested = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self.comparison = self._box(COMPARISONS, "How result and truth are laid on each other (C)")
        self.comparison.textActivated.connect(self.comparison_requested)
        self.flicker = self._switch("Flicker", "Show result and truth in turn (F)")
        self.flicker.toggled.connect(self.flicker_requested)
        self.windows = self._box((), "Window of the source: black and white values (1 to 9 in the pictures)")
        self.windows.setPlaceholderText("window")
        self.windows.textActivated.connect(self.window_requested)
        self.reset = self._button("Reset", "Windows and zoom back to those of the whole volumes")
        self.reset.clicked.connect(lambda: self.reset_requested.emit())
        self._row.addStretch(1)
        self.view = self._button("View", "Convention, crosshair, smoothing, mark, picture")
        self.view.setMenu(self._menu())
        self.curves = self._switch("Curves", "Show slice consistency and numbers under the pictures")
        self.curves.setChecked(True)
        self.curves.toggled.connect(self.curves_requested)
        self.canvas = self._switch("Canvas", "Show napari's own canvas beside this (3D, other tools)")
        self.canvas.toggled.connect(self.canvas_requested)

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        self.conventions = {item: self._field(menu, item.words[:1].upper() + item.words[1:], "convention", item) for item in Convention}
        menu.addSeparator()
        self.crosshair = self._field(menu, "Crosshair (X)", "crosshair_visible")
        self.smooth = self._field(menu, "Smooth pixels (off shows the real voxels)", "interpolate")
        self.mark = self._field(menu, "Synthetic mark (switching it off is recorded)", "mark")
        menu.addSeparator()
        menu.addAction("Save picture…", lambda: self.picture_requested.emit())
        return menu

    def _field(self, menu: QMenu, text: str, name: str, value: Any = None) -> Any:
        """Add an entry that sets a field of the display: to a value, or on and off."""
        action = menu.addAction(text)
        action.setCheckable(True)
        action.triggered.connect(lambda on: self.display_requested.emit({name: on if value is None else value}))
        return action

    def show_display(self, display: Display) -> None:
        """Show the entries as they are; nothing is emitted."""
        for convention, action in self.conventions.items():
            action.setChecked(convention is display.convention)
        for action, on in ((self.crosshair, display.crosshair_visible), (self.smooth, display.interpolate), (self.mark, display.mark)):
            action.setChecked(on)

    def show_windows(self, names: Sequence[str]) -> None:
        """Offer window presets of the source, in the order of the number keys."""
        self.windows.clear()
        self.windows.addItems(list(names))
        self.windows.setEnabled(bool(names))
        self.windows.setCurrentIndex(-1)

    def show_canvas(self, shown: bool) -> None:
        """Show whether napari's canvas is there; nothing is emitted."""
        was = self.canvas.blockSignals(True)
        self.canvas.setChecked(shown)
        self.canvas.blockSignals(was)

    def _box(self, names: Sequence[str], tip: str) -> QComboBox:
        box = QComboBox(self)
        box.addItems(list(names))
        box.setToolTip(tip)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(10)
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._row.addWidget(box)
        return box

    def _switch(self, text: str, tip: str) -> QCheckBox:
        return self._add(QCheckBox(text, self), tip)

    def _button(self, text: str, tip: str) -> QPushButton:
        return self._add(QPushButton(text, self), tip)

    def _add(self, made: Any, tip: str) -> Any:
        made.setToolTip(tip)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._row.addWidget(made)
        return made
