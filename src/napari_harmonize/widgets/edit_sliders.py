"""Brightness, contrast and gamma of the wished look on three sliders, and the share of key B on a fourth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QSlider, QWidget

from napari_harmonize.settings import declarations, replace
from napari_harmonize.style import Edit

if TYPE_CHECKING:
    from collections.abc import Callable

TICKS = 200


class Slide(QWidget):
    """A slider with its number beside it; a double click puts it back.

    Parameters
    ----------
    low, high, rest : float
        Limits, and the value that changes nothing.
    ratio : bool
        Whether equal ways of the slider are equal factors.
    tip : str
        One sentence.

    Attributes
    ----------
    moved : Signal(float)
        While the user moves it.
    released : Signal()
        The user let go.
    """

    moved = Signal(float)
    released = Signal()

    def __init__(self, low: float, high: float, rest: float, *, ratio: bool = False, tip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._into: Callable[[float], float] = math.log if ratio else float
        self._out: Callable[[float], float] = math.exp if ratio else float
        self._low, self._high, self._rest = self._into(low), self._into(high), rest
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, TICKS)
        self.slider.setToolTip(tip)
        self.slider.setMinimumWidth(60)
        self.number = QLabel(self)
        self.number.setMinimumWidth(self.number.fontMetrics().horizontalAdvance("+0.000"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        self.setValue(rest)
        self.slider.valueChanged.connect(self._moved)
        self.slider.sliderReleased.connect(self.released)

    def value(self) -> float:
        """The number, exactly as it was set or where the user put it."""
        return self._value

    def setValue(self, value: float) -> None:
        """Show a number; nothing is emitted."""
        was = self.slider.blockSignals(True)
        self.slider.setValue(round((self._into(value) - self._low) / (self._high - self._low) * TICKS))
        self.slider.blockSignals(was)
        self._value = value
        self.number.setText(f"{value:.2f}")

    def _moved(self, tick: int) -> None:
        self._value = round(self._out(self._low + tick / TICKS * (self._high - self._low)), 4)
        self.number.setText(f"{self._value:.2f}")
        self.moved.emit(self._value)
        if not self.slider.isSliderDown():
            self.released.emit()

    def mouseDoubleClickEvent(self, _: object) -> None:
        """Back to the value that changes nothing."""
        self.setValue(self._rest)
        self.moved.emit(self._rest)
        self.released.emit()


class EditSliders(QWidget):
    """A form for :class:`~napari_harmonize.style.Edit`; its handles are dragged in the histogram and kept here.

    Parameters
    ----------
    parent : QWidget, optional
        Qt parent.

    Attributes
    ----------
    valueChanged : Signal(Edit)
        While the user moves a slider.
    released : Signal()
        The user let go.
    """

    valueChanged = Signal(object)
    released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value = Edit()
        rows = QFormLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        self.slides: dict[str, Slide] = {}
        for name, declared in declarations(Edit).items():
            if declared.kind is float and declared.low is not None and declared.high is not None:
                ratio = declared.low > 0
                slide = Slide(declared.low, declared.high, declared.default, ratio=ratio, tip=declared.help, parent=self)
                slide.moved.connect(lambda number, name=name: self._moved(name, number))
                slide.released.connect(self.released)
                self.slides[name] = slide
                rows.addRow(name.capitalize(), slide)

    def value(self) -> Edit:
        """The edit as it stands."""
        return self._value

    def setValue(self, edit: Edit) -> None:
        """Show an edit; nothing is emitted."""
        self._value = edit
        for name, slide in self.slides.items():
            if not slide.slider.isSliderDown():
                slide.setValue(getattr(edit, name))

    def _moved(self, name: str, number: float) -> None:
        self._value = replace(self._value, **{name: number})
        self.valueChanged.emit(self._value)
