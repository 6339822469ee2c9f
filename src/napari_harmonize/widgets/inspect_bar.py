"""The row of switches above the inspect grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QWidget

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
        self.comparison = self._box(COMPARISONS, "How result and truth are laid on each other")
        self.comparison.textActivated.connect(self.comparison_requested)
        self.flicker = self._switch("Flicker", "Show result and truth in turn, twice a second")
        self.flicker.toggled.connect(self.flicker_requested)
        self._row.addWidget(QLabel("Window", self))
        self.windows = self._box((), "Black and white values of the source")
        self.windows.textActivated.connect(self.window_requested)
        reset = self._button("Reset", "Windows and zoom back to those of the whole volumes")
        reset.clicked.connect(lambda: self.reset_requested.emit())
        self._row.addStretch(1)
        self.convention = self._box([item.value for item in Convention], "Which side the patient's left is on")
        self.convention.textActivated.connect(lambda name: self.display_requested.emit({"convention": Convention(name)}))
        self.crosshair = self._switch("Crosshair", "Show the crosshair (X)")
        self.crosshair.toggled.connect(lambda on: self.display_requested.emit({"crosshair_visible": on}))
        self.smooth = self._switch("Smooth", "Smooth pixels; off shows the real voxels")
        self.smooth.toggled.connect(lambda on: self.display_requested.emit({"interpolate": on}))
        self.mark = self._switch("Mark", "Write SYNTHETIC into the pictures; switching it off is recorded")
        self.mark.toggled.connect(lambda on: self.display_requested.emit({"mark": on}))
        picture = self._button("Picture…", "Save what is shown as a PNG")
        picture.clicked.connect(lambda: self.picture_requested.emit())
        self.curves = self._switch("Curves", "Show slice consistency and numbers under the pictures")
        self.curves.setChecked(True)
        self.curves.toggled.connect(self.curves_requested)
        self.canvas = self._switch("Canvas", "Show napari's own canvas beside this (3D, other tools)")
        self.canvas.toggled.connect(self.canvas_requested)

    def show_display(self, display: Display) -> None:
        """Show the switches as they are; nothing is emitted."""
        self.convention.setCurrentText(display.convention.value)
        for switch, on in ((self.crosshair, display.crosshair_visible), (self.smooth, display.interpolate), (self.mark, display.mark)):
            was = switch.blockSignals(True)
            switch.setChecked(on)
            switch.blockSignals(was)

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
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
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
