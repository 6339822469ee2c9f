"""One slice on the screen: picture, crosshair, letters, scale bar and the synthetic mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_harmonize.widgets.letters import MARK, Edges, Layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BARS = (1, 2, 5, 10, 20, 50, 100, 200)
_GAP = 4.0
_CURTAIN_REACH = 8.0
_MOST_ZOOM = 16.0
_EDGE = tuple(QPointF(x, y) for x, y in ((-1, -1), (1, -1), (-1, 1), (1, 1)))


class SlicePane(pg.GraphicsView):
    """Shows one picture and says what the mouse did to it; positions are voxels of the array, not rounded.

    Attributes
    ----------
    pointed : Signal(float, float)
        The left button went down or was dragged at (across, up); also the bare mouse with Shift.
    scrolled : Signal(int)
        Wheel steps; above 0 is superior, anterior or right.
    windowed : Signal(int, int)
        The right button was dragged by so many pixels to the right and up.
    maximised : Signal()
        Double click.
    zoomed : Signal(float)
        Ctrl and wheel: the new zoom, 1 shows everything.
    panned : Signal(float, float)
        The middle button moved the picture by (across, up) voxels.
    curtained : Signal(float)
        The curtain was dragged to this share of the picture's width.
    """

    pointed = Signal(float, float)
    scrolled = Signal(int)
    windowed = Signal(int, int)
    maximised = Signal()
    zoomed = Signal(float)
    panned = Signal(float, float)
    curtained = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, useOpenGL=False)
        self.box = pg.ViewBox(enableMouse=False, enableMenu=False, defaultPadding=0.0)
        self.box.setAspectLocked(True, 1.0)
        self.image = pg.ImageItem(axisOrder="col-major")
        self.box.addItem(self.image)
        self.setCentralItem(self.box)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(60, 60)
        self.setMouseTracking(True)
        self._spacing = (1.0, 1.0)
        self._shape = (1, 1)
        self._rect: tuple[tuple[int, int], tuple[float, float]] | None = None
        self._layout: Layout | None = None
        self._zoom, self._centre = 1.0, (0.5, 0.5)
        self._edges: Edges | None = None
        self._cross: tuple[float, float] | None = None
        self._cross_visible = True
        self._curtain: float | None = None
        self._title, self._mark = "", False
        self._pressed: QPointF | None = None
        self._drags_curtain = False
        self._wheel = 0
        self._take_colours()

    def place(self, placed: Layout, edges: Edges, shape: tuple[int, int], spacing: tuple[float, float]) -> None:
        """Say how the picture lies on the screen.

        Parameters
        ----------
        placed : Layout
            Which axes, and which way they run.
        edges : Edges
            Letters at the edges.
        shape : (int, int)
            Voxels across and up.
        spacing : (float, float)
            mm between them.
        """
        self._layout, self._edges, self._shape, self._spacing = placed, edges, shape, spacing
        self.box.invertX(placed.right < 0)
        self.box.invertY(placed.top < 0)
        self._show_range()

    def show_picture(self, picture: NDArray[np.uint8], table: NDArray[np.uint8]) -> None:
        """Show bytes (across, up) through a lookup table (256, 4)."""
        self.image.setImage(picture, autoLevels=False, levels=(0, 255), lut=table)
        if self._rect != (self._shape, self._spacing):
            self._rect = self._shape, self._spacing
            (across, up), (dx, dy) = self._rect
            self.image.setRect(QRectF(-dx / 2, -dy / 2, across * dx, up * dy))

    def set_texts(self, title: str, mark: bool) -> None:
        """Write a title into the corner, and whether the picture is synthetic."""
        if (title, mark) != (self._title, self._mark):
            self._title, self._mark = title, mark
            self.viewport().update()

    def set_cross(self, cross: tuple[float, float] | None, visible: bool = True) -> None:
        """Draw the crosshair at a voxel (across, up)."""
        if (cross, visible) != (self._cross, self._cross_visible):
            self._cross, self._cross_visible = cross, visible
            self.viewport().update()

    def set_curtain(self, share: float | None) -> None:
        """Draw the curtain's edge; ``None`` takes it away."""
        if share != self._curtain:
            self._curtain = share
            self.viewport().update()

    def set_smooth(self, smooth: bool) -> None:
        """Interpolate between voxels on the screen, or show them as they are."""
        self.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        self.viewport().update()

    def set_view(self, zoom: float, centre: tuple[float, float]) -> None:
        """Zoom (1 shows everything) about a centre, given as shares of the picture's extent."""
        if (zoom, centre) != (self._zoom, self._centre):
            self._zoom, self._centre = zoom, centre
            self._show_range()

    def _show_range(self) -> None:
        extent = [length * step for length, step in zip(self._shape, self._spacing, strict=True)]
        width, height = (length / self._zoom for length in extent)
        x, y = (share * length - step / 2 for share, length, step in zip(self._centre, extent, self._spacing, strict=True))
        self.box.setRange(QRectF(x - width / 2, y - height / 2, width, height), padding=0)

    def voxel_at(self, position: QPointF) -> tuple[float, float]:
        """Voxel (across, up) under a point of the widget."""
        point = self.box.mapSceneToView(self.mapToScene(position.toPoint()))
        return point.x() / self._spacing[0], point.y() / self._spacing[1]

    def point_of(self, across: float, up: float) -> QPointF:
        """Point of the widget at a voxel; undoes :meth:`voxel_at`."""
        scene = self.box.mapViewToScene(QPointF(across * self._spacing[0], up * self._spacing[1]))
        return QPointF(self.viewportTransform().map(scene))

    # what the mouse does

    def mousePressEvent(self, event: Any) -> None:
        """Point with the left button, unless it takes hold of the curtain."""
        self._pressed = event.position()
        self._drags_curtain = self._on_curtain(event.position())
        if event.button() == Qt.MouseButton.LeftButton and not self._drags_curtain:
            self.pointed.emit(*self.voxel_at(event.position()))
        event.accept()
        if self.parentWidget() is not None:
            self.parentWidget().setFocus(Qt.FocusReason.MouseFocusReason)

    def mouseMoveEvent(self, event: Any) -> None:
        """Say what is being dragged with which button."""
        here = event.position()
        step = here - (self._pressed or here)
        buttons, shifted = event.buttons(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if buttons & Qt.MouseButton.RightButton:
            self.windowed.emit(round(step.x()), -round(step.y()))
        elif buttons & Qt.MouseButton.MiddleButton:
            (x, y), (x0, y0) = self.voxel_at(here), self.voxel_at(self._pressed or here)
            self.panned.emit(x - x0, y - y0)
        elif buttons & Qt.MouseButton.LeftButton and self._drags_curtain:
            self.curtained.emit(self._share_at(here))
        elif buttons & Qt.MouseButton.LeftButton or (shifted and not buttons):
            self.pointed.emit(*self.voxel_at(here))
        if buttons:
            self._pressed = here
        event.accept()

    def mouseReleaseEvent(self, event: Any) -> None:
        """Let go."""
        self._pressed, self._drags_curtain = None, False
        event.accept()

    def mouseDoubleClickEvent(self, event: Any) -> None:
        """Ask to be shown alone, or no longer."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.maximised.emit()
        event.accept()

    def wheelEvent(self, event: Any) -> None:
        """Scroll, or zoom with Ctrl; small steps of a touch pad add up."""
        self._wheel += event.angleDelta().y()
        steps = int(self._wheel / 120)
        self._wheel -= 120 * steps
        if steps and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoomed.emit(min(max(self._zoom * 1.25**steps, 1.0), _MOST_ZOOM))
        elif steps:
            self.scrolled.emit(steps)
        event.accept()

    def _on_curtain(self, position: QPointF) -> bool:
        if self._curtain is None:
            return False
        return abs(position.x() - self._curtain_x()) <= _CURTAIN_REACH

    def _curtain_x(self) -> float:
        share = self._curtain or 0.0
        across = share * self._shape[0] if self._layout is None or self._layout.right > 0 else (1 - share) * self._shape[0]
        return float(self.point_of(across - 0.5, 0).x())

    def _share_at(self, position: QPointF) -> float:
        share = (self.voxel_at(position)[0] + 0.5) / self._shape[0]
        share = share if self._layout is None or self._layout.right > 0 else 1 - share
        return min(max(share, 0.0), 1.0)

    # what is written over the picture

    def changeEvent(self, event: Any) -> None:
        """Follow the palette when it changes."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and hasattr(self, "_colour"):
            self._take_colours()

    def _take_colours(self) -> None:
        palette = self.palette()
        both = [palette.color(role) for role in (QPalette.ColorRole.Window, QPalette.ColorRole.WindowText)]
        dark, light = sorted(both, key=lambda colour: colour.lightness())
        # pictures are judged on a dark ground under every theme
        self._colour = {"text": light, "back": dark, "cross": QColor.fromHslF(0.33, 0.6, 0.55)}
        if self.backgroundBrush().color() != self._colour["back"]:
            self.setBackground(self._colour["back"])

    def drawForeground(self, painter: Any, rect: Any) -> None:
        """Draw crosshair, curtain and texts over the picture, in pixels of the widget."""
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        if self._cross is not None and self._cross_visible:
            self._draw_cross(painter, *self._cross)
        if self._curtain is not None:
            self._line(painter, QPointF(self._curtain_x(), 0), QPointF(self._curtain_x(), self.viewport().height()), "text")
        self._draw_texts(painter)
        painter.restore()

    def _draw_cross(self, painter: QPainter, across: float, up: float) -> None:
        centre = self.point_of(across, up)
        width, height, gap = self.viewport().width(), self.viewport().height(), 6.0
        for ends in (
            (QPointF(0, centre.y()), QPointF(centre.x() - gap, centre.y())),
            (QPointF(centre.x() + gap, centre.y()), QPointF(width, centre.y())),
            (QPointF(centre.x(), 0), QPointF(centre.x(), centre.y() - gap)),
            (QPointF(centre.x(), centre.y() + gap), QPointF(centre.x(), height)),
        ):
            self._line(painter, *ends, "cross")

    def _line(self, painter: QPainter, start: QPointF, end: QPointF, colour: str, thick: float = 1.0) -> None:
        painter.setPen(QPen(self._colour[colour], thick))
        painter.drawLine(start, end)

    def _draw_texts(self, painter: QPainter) -> None:
        width, height = float(self.viewport().width()), float(self.viewport().height())
        font, metrics = self._font(1.0)
        line = metrics.height()
        foot = height - _GAP
        if self._mark:
            for text in reversed(self._mark_lines(width - 2 * _GAP)):
                small, small_metrics = self._fitting(text, width - 2 * _GAP)
                self._write(painter, small, QPointF(_GAP, foot - small_metrics.descent()), text)
                foot -= small_metrics.height()
            foot -= _GAP / 2
        self._write(painter, font, QPointF(_GAP, _GAP + metrics.ascent()), self._short_title(metrics, width / 2 - 3 * _GAP))
        self._draw_bar(painter, font, metrics, foot)
        if self._edges is not None:
            bold = QFont(font)
            bold.setBold(True)
            middle = height / 2 + metrics.ascent() / 2
            self._write(painter, bold, QPointF(_GAP, middle), self._edges.left)
            self._write(painter, bold, QPointF(width - _GAP - metrics.averageCharWidth() * 1.6, middle), self._edges.right)
            self._write(
                painter, bold, QPointF(width / 2 - metrics.averageCharWidth() / 2, _GAP + line - metrics.descent()), self._edges.top
            )
            self._write(painter, bold, QPointF(width / 2 - metrics.averageCharWidth() / 2, foot - metrics.descent()), self._edges.bottom)

    def _font(self, size: float) -> tuple[QFont, QFontMetricsF]:
        font = QFont(self.font())
        font.setPointSizeF(max(font.pointSizeF(), 7.0) * size)
        return font, QFontMetricsF(font)

    def _short_title(self, metrics: QFontMetricsF, width: float) -> str:
        """Title without the number of slices where that would run into the letter at the top."""
        return self._title if metrics.horizontalAdvance(self._title) <= width else self._title.partition("/")[0]

    def _mark_lines(self, width: float) -> list[str]:
        _, metrics = self._font(0.9)
        return [MARK] if metrics.horizontalAdvance(MARK) <= width else [part.strip() for part in MARK.split("–")]

    def _fitting(self, text: str, width: float) -> tuple[QFont, QFontMetricsF]:
        size = 0.9
        font, metrics = self._font(size)
        while metrics.horizontalAdvance(text) > width and size > 0.4:
            size -= 0.05
            font, metrics = self._font(size)
        return font, metrics

    def _write(self, painter: QPainter, font: QFont, where: QPointF, text: str) -> None:
        """Text with a dark edge, readable on black and on white pictures."""
        painter.setFont(font)
        painter.setPen(self._colour["back"])
        for shift in _EDGE:
            painter.drawText(where + shift, text)
        painter.setPen(self._colour["text"])
        painter.drawText(where, text)

    def _draw_bar(self, painter: QPainter, font: QFont, metrics: QFontMetricsF, foot: float) -> None:
        millimetre = abs(self.point_of(1.0, 0.0).x() - self.point_of(0.0, 0.0).x()) / self._spacing[0]
        room = min(self.viewport().width() / 4, self._shape[0] * self._spacing[0] * millimetre / 2)
        fitting = [length for length in _BARS if length * millimetre <= room]
        if self._edges is None or not fitting or self.viewport().height() < 8 * metrics.height():
            return
        length = fitting[-1] * millimetre
        y = foot - _GAP
        self._line(painter, QPointF(_GAP, y), QPointF(_GAP + length, y), "back", 4.0)
        self._line(painter, QPointF(_GAP, y), QPointF(_GAP + length, y), "text", 2.0)
        self._write(painter, font, QPointF(_GAP, y - _GAP), f"{fitting[-1]} mm")
