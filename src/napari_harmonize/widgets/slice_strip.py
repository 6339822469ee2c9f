"""A strip of small slices, marked as a preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QImage, QPainter, QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_harmonize.session.display import Convention
from napari_harmonize.widgets.letters import MARK, edge_letters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class SliceStrip(QWidget):
    """Shows slices of a model's frame side by side, turned to the radiological way up.

    Attributes
    ----------
    slice_requested : Signal(int)
        A slice was clicked: its position along the model's axis.
    """

    slice_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(110)
        self._images: list[tuple[int, QImage]] = []
        self._label, self._stale = "preview", False
        self._plane, self._convention, self._aspect = "axial", Convention.RADIOLOGICAL, 1.0

    def set_frame(self, plane: str, convention: Convention = Convention.RADIOLOGICAL, aspect: float = 1.0) -> None:
        """Say what the slices are slices of.

        Parameters
        ----------
        plane : str
            "axial", "coronal" or "sagittal".
        convention : Convention
            Which side the patient's left is on.
        aspect : float
            Height of a pixel as share of its width.
        """
        if (plane, convention, aspect) != (self._plane, self._convention, self._aspect):
            self._plane, self._convention, self._aspect = plane, Convention(convention), aspect
            self._images = []
            self._describe()

    def show_slices(self, images: Sequence[tuple[int, NDArray[np.float32]]], *, stale: bool = False, label: str = "preview") -> None:
        """Show slices.

        Parameters
        ----------
        images : sequence of (int, (height, width) float32)
            Position along the model's axis, and values 0..1 in the model's frame: rows towards superior (axial:
            anterior), columns towards right (sagittal: anterior). The picture is turned, the values are not.
        stale : bool
            Whether a newer one is being computed; said in words.
        label : str
            What they are; "preview" for all that is not the final volume.
        """
        mirrored = self._plane == "sagittal" or self._convention is Convention.RADIOLOGICAL
        self._images = [(position, _grey(values[::-1, :: -1 if mirrored else 1])) for position, values in images]
        self._label, self._stale = label, stale
        self._describe()

    def set_stale(self, stale: bool) -> None:
        """Say that what is shown is out of date, or no longer."""
        self._stale = stale
        self._describe()

    def clear(self) -> None:
        """Show nothing."""
        self.show_slices(())

    def caption(self) -> str:
        """Words under the slices."""
        if not self._images:
            return "no preview yet"
        return f"{self._label}{' – out of date' if self._stale else ''} · {MARK}"

    def _describe(self) -> None:
        self.setAccessibleName(self.caption())
        self.setToolTip(self.caption())
        self.update()

    def sizeHint(self) -> QSize:
        """Room for three small slices."""
        return QSize(300, 130)

    def cells(self) -> list[QRect]:
        """Where each slice is drawn."""
        height = self.height() - 2 * self.fontMetrics().height()
        width = self.width() // max(len(self._images), 1)
        found = []
        for number, (_, image) in enumerate(self._images):
            shape = QSize(image.width(), max(1, round(image.height() * self._aspect)))
            size = shape.scaled(QSize(width - 2, height), Qt.AspectRatioMode.KeepAspectRatio)
            found.append(QRect(number * width + (width - size.width()) // 2, self.fontMetrics().height(), size.width(), size.height()))
        return found

    def paintEvent(self, event: Any) -> None:
        """Draw the slices with their edges' letters, and the words under them."""
        painter = QPainter(self)
        try:
            self._draw(painter)
        finally:  # a painter that outlives its widget brings the program down
            painter.end()

    def _draw(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        line = self.fontMetrics().height()
        edges = edge_letters(np.eye(4), self._plane, self._convention)
        for (position, image), cell in zip(self._images, self.cells(), strict=True):
            painter.drawImage(cell, image)
            head = QRect(cell.left(), 0, cell.width(), line)
            painter.drawText(head, Qt.AlignmentFlag.AlignLeft, edges.left)
            painter.drawText(head, Qt.AlignmentFlag.AlignRight, edges.right)
            painter.drawText(head, Qt.AlignmentFlag.AlignCenter, str(position))
        caption = self.fontMetrics().elidedText(self.caption(), Qt.TextElideMode.ElideLeft, self.width())
        painter.drawText(QRect(0, self.height() - line, self.width(), line), Qt.AlignmentFlag.AlignLeft, caption)

    def mouseReleaseEvent(self, event: Any) -> None:
        """Ask for the slice that was clicked."""
        for (position, _), cell in zip(self._images, self.cells(), strict=True):
            if cell.contains(event.position().toPoint()):
                self.slice_requested.emit(position)


def _grey(values: NDArray[Any]) -> QImage:
    """Image of values 0..1; NaN is black."""
    clipped = np.clip(np.nan_to_num(np.asarray(values, np.float32)), 0.0, 1.0)
    data = np.ascontiguousarray(clipped * 255, np.uint8)
    height, width = data.shape
    return QImage(data.data, width, height, width, QImage.Format.Format_Grayscale8).copy()
