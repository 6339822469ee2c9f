"""The slice-consistency instrument: change between neighbouring slices, beside the same curve of source and truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_harmonize.widgets.plots import ThemedPlot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CURVES = ("source", "result", "truth")


@dataclass(frozen=True, eq=False)
class Profile:
    """Change between neighbouring slices of one plane.

    Parameters
    ----------
    plane : str
        "axial", "coronal" or "sagittal".
    axis : int
        Array axis that runs through the plane.
    source, result, truth : (n - 1,) array, optional
        Mean change inside the mask from slice k to slice k + 1.
    outliers : tuple of int
        Steps k at which the result jumps.
    """

    plane: str
    axis: int
    source: NDArray[np.float64] | None = None
    result: NDArray[np.float64] | None = None
    truth: NDArray[np.float64] | None = None
    outliers: tuple[int, ...] = ()


class ProfileView(QWidget):
    """Shows one plane's curves at a time.

    Attributes
    ----------
    slice_requested : Signal(int, int)
        Array axis and slice that was clicked; near an outlier, the slice after the jump.
    plane_requested : Signal(str)
        Another plane was chosen; already shown.
    """

    slice_requested = Signal(int, int)
    plane_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._profiles: dict[str, Profile] = {}
        self._slices: dict[int, int] = {}
        self.planes = QComboBox(self)
        self.count = QLabel("", self)
        self.plot = ThemedPlot("slice, to the next", "change", self)
        self.marks = pg.ScatterPlotItem(symbol="t", size=11)
        self.here = pg.InfiniteLine(angle=90, movable=False)
        self.plot.addItem(self.marks)
        self.plot.addItem(self.here)
        row = QHBoxLayout()
        row.addWidget(QLabel("Slice consistency", self))
        row.addWidget(self.planes)
        row.addWidget(self.count, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.plot, 1)
        self.planes.currentTextChanged.connect(self._chosen)
        self.plot.scene().sigMouseClicked.connect(self._clicked)
        self.plot.recoloured.connect(self._draw_here)
        self._draw()

    def show_profiles(self, profiles: Sequence[Profile]) -> None:
        """Show the curves of some planes; the chosen plane is kept where it is still there."""
        chosen = self.planes.currentText()
        self._profiles = {profile.plane: profile for profile in profiles}
        self.planes.blockSignals(True)
        self.planes.clear()
        self.planes.addItems(list(self._profiles))
        self.planes.setCurrentIndex(max(self.planes.findText(chosen), 0) if self._profiles else -1)
        self.planes.blockSignals(False)
        self._draw()

    def set_plane(self, plane: str) -> None:
        """Show a plane; nothing is emitted."""
        self.planes.blockSignals(True)
        self.planes.setCurrentText(plane)
        self.planes.blockSignals(False)
        self._draw()

    def plane(self) -> str:
        """Plane that is shown."""
        return str(self.planes.currentText())

    def set_slice(self, axis: int, index: int) -> None:
        """Draw where the crosshair is along an array axis."""
        self._slices[axis] = index
        self._draw_here()

    def profile(self) -> Profile | None:
        """Curves that are shown."""
        return self._profiles.get(self.plane())

    def _chosen(self, plane: str) -> None:
        self._draw()
        self.plane_requested.emit(plane)

    def _draw(self) -> None:
        profile = self.profile()
        for name in _CURVES:
            values = None if profile is None else getattr(profile, name)
            self.plot.show_curve(name, *((None, None) if values is None else (np.arange(len(values)), np.asarray(values))))
        outliers = () if profile is None else profile.outliers
        heights = [] if profile is None or profile.result is None else [float(profile.result[step]) for step in outliers]
        self.marks.setData(list(outliers)[: len(heights)], heights)
        self.count.setText(_count_text(profile))
        self._fit(profile)
        self._draw_here()

    def _fit(self, profile: Profile | None) -> None:
        """Show all steps, from zero up."""
        drawn = [np.asarray(values) for name in _CURVES if (values := getattr(profile, name, None)) is not None]
        heights = np.concatenate([values[np.isfinite(values)] for values in drawn]) if drawn else np.zeros(0)
        top = float(heights.max()) if heights.size else 1.0
        self.plot.setRange(xRange=(0, max((len(values) for values in drawn), default=1)), yRange=(0, (top or 1.0) * 1.1), padding=0.01)

    def _draw_here(self) -> None:
        profile = self.profile()
        colour = self.plot.text_colour()
        self.marks.setBrush(pg.mkBrush(self.plot.pen("result").color()))
        self.marks.setPen(pg.mkPen(colour))
        self.here.setPen(pg.mkPen(colour, width=1))
        there = profile is not None and profile.axis in self._slices
        self.here.setVisible(there)
        if there and profile is not None:
            self.here.setValue(self._slices[profile.axis])

    def _clicked(self, event: Any) -> None:
        profile = self.profile()
        if profile is None or event.button() != Qt.MouseButton.LeftButton:
            return
        place = self.plot.getPlotItem().vb.mapSceneToView(QPointF(event.scenePos())).x()
        length = max((len(values) for values in (profile.source, profile.result, profile.truth) if values is not None), default=0)
        reach = max(1.5, length / 60)
        near = [step for step in profile.outliers if abs(step - place) <= reach]
        wished = min(near, key=lambda step: abs(step - place)) + 1 if near else round(place)
        self.slice_requested.emit(profile.axis, min(max(wished, 0), length))


def _count_text(profile: Profile | None) -> str:
    if profile is None or profile.result is None:
        return "no result yet"
    number = len(profile.outliers)
    return "no outliers" if not number else f"{number} outlier{'s' if number > 1 else ''}: click to jump"
