"""The style key as curves: histograms, the intensity mapping, and three handles on the tissue peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import replace
from napari_harmonize.style import Edit, StyleKey, drag, handles_on, mapping
from napari_harmonize.widgets.plots import ThemedPlot
from napari_harmonize.widgets.slice_strip import SliceStrip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TISSUES = ("dark", "middle", "bright")
# without an answer to what changes from bin to bin
_KERNEL = np.array([1, 4, 6, 4, 1]) / 16
_MOST_PASSES = 20


class HistogramView(QWidget):
    """Shows the key beside source and truth, and lets the tissue peaks be dragged.

    Attributes
    ----------
    edit_requested : Signal(Edit)
        While a handle is dragged: the edit with that handle moved.
    edit_finished : Signal(Edit)
        A handle was let go.
    slice_requested : Signal(int)
        A preview slice was clicked.
    """

    edit_requested = Signal(object)
    edit_finished = Signal(object)
    slice_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edit = Edit()
        self._base: StyleKey | None = None
        self.plot = ThemedPlot("intensity", "share", self)
        # fixed, so that a spike at an end does not flatten the tissue peaks
        self.plot.setRange(xRange=(0, 1), yRange=(0, 1.05), padding=0.02)
        self.mapping_plot = ThemedPlot("was", "becomes", self, named=False)
        self.mapping_plot.setRange(xRange=(0, 1), yRange=(0, 1), padding=0.02)
        self.mapping_plot.getAxis("bottom").setTickSpacing(0.5, 0.1)
        self.mapping_plot.plot([0, 1], [0, 1], pen=pg.mkPen(self.palette().mid().color(), style=Qt.PenStyle.DotLine))
        self.handles: list[Any] = []
        self.warning = QLabel(self)
        self.warning.setWordWrap(True)
        self.warning.setVisible(False)
        self.strip = SliceStrip(self)
        self.strip.slice_requested.connect(self.slice_requested)
        plots = QHBoxLayout()
        plots.addWidget(self.plot, 3)
        plots.addWidget(self.mapping_plot, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.strip, 2)
        column.addLayout(plots, 3)
        column.addWidget(self.warning)
        for number in range(len(_TISSUES)):
            self._add_handle(number)
        self.plot.recoloured.connect(self._place)
        self._place()

    def _add_handle(self, number: int) -> None:
        line = pg.InfiniteLine(
            angle=90, movable=True, label=_TISSUES[number], labelOpts={"position": 0.06 + 0.1 * number, "movable": False}
        )
        line.sigDragged.connect(lambda: self._dragged(number))
        line.sigPositionChangeFinished.connect(lambda: self.edit_finished.emit(self._edit))
        line.setZValue(1)  # its name stands over the curves
        self.plot.addItem(line)
        self.handles.append(line)

    def show_keys(
        self, key: StyleKey | None = None, source: StyleKey | None = None, truth: StyleKey | None = None, base: StyleKey | None = None
    ) -> None:
        """Show histograms.

        Parameters
        ----------
        key : StyleKey, optional
            The key in use, edits and all.
        source, truth : StyleKey, optional
            Those of the two volumes, to compare.
        base : StyleKey, optional
            The key before the edit; its tissue peaks carry the handles. The key itself unless given.
        """
        for name, shown in (("source", source), ("truth", truth), ("key", key)):
            self.plot.show_curve(name, *((None, None) if shown is None else (shown.centres, _shape(shown))))
        self._base = base or key
        self._place()

    def set_edit(self, edit: Edit) -> None:
        """Show an edit: where its handles stand and what the mapping does; nothing is emitted."""
        self._edit = edit
        self._place()

    def set_warning(self, sentence: str) -> None:
        """Say that the key is far from what the model was trained on; empty says nothing."""
        self.warning.setText(f"Warning: {sentence}" if sentence else "")
        self.warning.setVisible(bool(sentence))

    def show_slices(self, images: Sequence[tuple[int, NDArray[np.float32]]], *, stale: bool = False) -> None:
        """Show preview slices; the arguments are those of :meth:`SliceStrip.show_slices`."""
        self.strip.show_slices(images, stale=stale)

    def _handled(self) -> Edit:
        """The edit, with handles on the base key's peaks where it has none yet."""
        if self._edit.handles or self._base is None:
            return self._edit
        return replace(self._edit, handles=handles_on(self._base))

    def _place(self) -> None:
        edit = self._handled()
        curve = mapping(edit)
        colour, ground = self.plot.text_colour(), self.palette().color(QPalette.ColorRole.Window)
        for number, line in enumerate(self.handles):
            there = number < len(edit.handles)
            line.setVisible(there)
            line.setPen(pg.mkPen(colour, width=1))
            line.setHoverPen(pg.mkPen(colour, width=3))
            line.label.setColor(colour)
            line.label.fill = pg.mkBrush(ground)
            if there:
                line.blockSignals(True)
                line.setValue(float(curve(edit.handles[number][0])))
                line.blockSignals(False)
        steps = np.linspace(0, 1, 201)
        self.mapping_plot.show_curve("key", steps, curve(steps))

    def _dragged(self, number: int) -> None:
        edit = self._handled()
        try:
            self._edit = drag(edit, number, float(self.handles[number].value()))
        except SettingsError:  # a neighbour is in the way: the handle stays where it was
            self._edit = edit
        self._place()
        self.edit_requested.emit(self._edit)


def _shape(key: StyleKey) -> NDArray[np.float64]:
    """Histogram as share of its highest bin but the outermost two, so that background and clipping do not flatten it."""
    counts = _even(np.asarray(key.histogram, np.float64))
    return counts / max(counts[2:-2].max(), 1e-12)


def _even(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Even out the comb that whole numbers leave in bins of another width, for drawing only; the two ends stay as they are."""
    inner = counts[1:-1]
    filled = np.flatnonzero(inner)
    if filled.size < 2:
        return counts
    gap = (filled[-1] - filled[0] + 1) / filled.size
    for _ in range(min(int(np.ceil(gap * gap / 2)), _MOST_PASSES)):
        inner = np.convolve(np.pad(inner, 2, mode="edge"), _KERNEL, mode="valid")
    return np.concatenate([counts[:1], inner, counts[-1:]])
