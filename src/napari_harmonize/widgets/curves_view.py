"""The curves of a training run: loss, and SSIM and PSNR of its validations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_harmonize.widgets.plots import ThemedPlot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORDS = {"loss": "loss", "ssim": "SSIM", "psnr": "PSNR, dB"}
VALIDATED = ("ssim", "psnr")
# more points than this are a line without dots
_DOTS = 100


class CurvesView(QWidget):
    """Draws (step, value) points.

    Attributes
    ----------
    step_requested : Signal(int)
        The validation nearest to the step that was clicked.
    """

    step_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: dict[str, Sequence[tuple[int, float]]] = {}
        self._step: int | None = None
        self.plots = {name: ThemedPlot("step", words, self, named=False) for name, words in WORDS.items()}
        self._dots = {name: pg.ScatterPlotItem(size=6) for name in self.plots}
        self._here = {name: pg.InfiniteLine(angle=90, movable=False) for name in VALIDATED}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for name, plot in self.plots.items():
            plot.setMinimumWidth(90)
            plot.addItem(self._dots[name])
            plot.recoloured.connect(self._colour)
            row.addWidget(plot, 1)
        for name, line in self._here.items():
            self.plots[name].addItem(line)
            self.plots[name].scene().sigMouseClicked.connect(lambda event, name=name: self._clicked(name, event))
        self.show_curves({})

    def show_curves(self, curves: Mapping[str, Sequence[tuple[int, float]]]) -> None:
        """Draw curves, by "loss", "ssim" and "psnr"; what is not there is taken away.

        Parameters
        ----------
        curves : mapping of str to sequence of (int, float)
            Rising steps and finite values.
        """
        self._curves = dict(curves)
        for name, plot in self.plots.items():
            points = self._curves.get(name, ())
            steps, values = ([step for step, _ in points], [value for _, value in points])
            plot.show_curve(name, steps or None, values or None)
            self._dots[name].setData(*((steps, values) if len(points) <= _DOTS else ([], [])))
            _fit(plot, steps, values)
        self._colour()

    def set_step(self, step: int | None) -> None:
        """Mark the validation that is looked at."""
        self._step = step
        self._colour()

    def _colour(self) -> None:
        for name, plot in self.plots.items():
            self._dots[name].setBrush(pg.mkBrush(plot.pen(name).color()))
            self._dots[name].setPen(pg.mkPen(None))
        for name, line in self._here.items():
            line.setPen(pg.mkPen(self.plots[name].text_colour(), width=1))
            line.setVisible(self._step is not None and bool(self._curves.get(name)))
            line.setValue(self._step or 0)

    def _clicked(self, name: str, event: Any) -> None:
        steps = [step for step, _ in self._curves.get(name, ())]
        if steps and event.button() == Qt.MouseButton.LeftButton:
            place = self.plots[name].getPlotItem().vb.mapSceneToView(QPointF(event.scenePos())).x()
            self.step_requested.emit(min(steps, key=lambda step: abs(step - place)))


def _fit(plot: ThemedPlot, steps: Sequence[int], values: Sequence[float]) -> None:
    """Show all of a curve; a single point stands in the middle."""
    if not steps:
        plot.setRange(xRange=(0, 1), yRange=(0, 1), padding=0)
        return
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    plot.setRange(xRange=(0, max(steps) or 1), yRange=(low - room, high + room), padding=0.02)
