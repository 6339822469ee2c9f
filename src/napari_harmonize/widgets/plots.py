"""A plot in the colours of the window's theme, and how each volume's curve is drawn everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QPalette

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

# hue of a colour wheel (0..1) and dash of each curve; saturation and lightness follow the theme
SERIES: dict[str, tuple[float | None, Qt.PenStyle]] = {
    "source": (None, Qt.PenStyle.DotLine),
    "key": (0.09, Qt.PenStyle.SolidLine),
    "result": (0.09, Qt.PenStyle.SolidLine),
    "truth": (0.55, Qt.PenStyle.DashLine),
    "loss": (0.58, Qt.PenStyle.SolidLine),
    "ssim": (0.36, Qt.PenStyle.SolidLine),
    "psnr": (0.02, Qt.PenStyle.SolidLine),
}
_STROKES = {Qt.PenStyle.SolidLine: "━━", Qt.PenStyle.DashLine: "╍╍", Qt.PenStyle.DotLine: "••"}


class ThemedPlot(pg.PlotWidget):
    """Plot without mouse zoom or menu whose colours follow the palette.

    Parameters
    ----------
    across, up : str
        Words at the axes.
    parent : QWidget, optional
        Qt parent.
    named : bool
        Whether a legend names the curves.

    Attributes
    ----------
    recoloured : Signal()
        The theme changed; what else is drawn into the plot should follow.
    """

    recoloured = Signal()

    def __init__(self, across: str, up: str, parent: QWidget | None = None, *, named: bool = True) -> None:
        super().__init__(parent, enableMenu=False)
        menu = self.getPlotItem().ctrlMenu
        # pyqtgraph makes this menu without an owner, so it would outlive the plot
        menu.setParent(self, menu.windowFlags())
        self._words = {"bottom": across, "left": up}
        self._curves: dict[str, pg.PlotDataItem] = {}
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        self.setMinimumSize(140, 120)
        self._named = named
        for side in self._words:
            self.getAxis(side).enableAutoSIPrefix(False)
        # pyqtgraph leaves less than its label needs
        self.getAxis("bottom").setHeight(2 * self.fontMetrics().height() + 14)
        self.take_colours()

    def show_curve(self, name: str, x: Any, y: Any) -> None:
        """Draw or redraw a curve of :data:`SERIES`; ``None`` takes it away."""
        if y is None:
            if name in self._curves:
                self.removeItem(self._curves.pop(name))
                self._name_curves()
            return
        if name not in self._curves:
            self._curves[name] = self.plot(name=name, pen=self.pen(name))
            self._name_curves()
        self._curves[name].setData(x, y)

    def legend(self) -> tuple[str, ...]:
        """Names of the curves, as they stand above the plot, where no curve runs through them."""
        return tuple(name for name in SERIES if name in self._curves) if self._named else ()

    def _name_curves(self) -> None:
        if self._named:
            parts = (
                f"<span style='color:{self.pen(name).color().name()}'>{_STROKES[SERIES[name][1]]} {name}</span>" for name in self.legend()
            )
            self.setTitle("&nbsp; ".join(parts) or None, size="8pt")

    def curve(self, name: str) -> tuple[Any, Any] | None:
        """Points of a curve that is drawn."""
        return self._curves[name].getData() if name in self._curves else None

    def pen(self, name: str) -> Any:
        """Pen of a volume's curve under this theme."""
        hue, dash = SERIES[name]
        colour = self.text_colour() if hue is None else pg.QtGui.QColor.fromHslF(hue, 0.9, 0.6 if self.is_dark() else 0.4)
        return pg.mkPen(colour, width=2, style=dash)

    def text_colour(self) -> Any:
        """Colour of text under this theme."""
        return self.palette().color(QPalette.ColorRole.WindowText)

    def is_dark(self) -> bool:
        """Whether text is lighter than its ground."""
        return bool(self.text_colour().lightness() > self.palette().color(QPalette.ColorRole.Window).lightness())

    def take_colours(self) -> None:
        """Follow the palette."""
        self.setBackground(self.palette().color(QPalette.ColorRole.Window))
        text = self.text_colour()
        for side, words in self._words.items():
            axis = self.getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)
            self.setLabel(side, words, color=text.name())
        for name, curve in self._curves.items():
            curve.setPen(self.pen(name))
        self._name_curves()
        self.recoloured.emit()

    def changeEvent(self, event: Any) -> None:
        """Follow the palette when it changes."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and hasattr(self, "_curves"):
            self.take_colours()
