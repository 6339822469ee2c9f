"""A window system for the tests of forms and views, and a check that every test leaves no widget behind."""

from __future__ import annotations

import gc
import os
import time

import pytest
from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer
from qtpy.QtWidgets import QApplication

from display import has_display


def pytest_collection_modifyitems():
    """Without a screen the widgets are drawn nowhere."""
    if not has_display():
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def _settle() -> None:
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QCoreApplication.processEvents()


def _widgets_but(before: set[int]) -> list:
    return [widget for widget in QApplication.topLevelWidgets() if id(widget) not in before]


@pytest.fixture(autouse=True)
def no_leaked_widgets(qapp):
    """Every top-level widget that a test makes is gone when it ends."""
    _settle()
    kept = QApplication.topLevelWidgets()
    before = {id(widget) for widget in kept}
    yield
    _settle()
    if _widgets_but(before):  # collecting is slow with the whole of napari loaded, so only where it may help
        gc.collect()
        _settle()
    left = _widgets_but(before)
    names = [f"{type(widget).__name__} {widget.objectName() or widget.windowTitle()!r}" for widget in left]
    for widget in left:
        widget.deleteLater()
    _settle()
    assert not names, f"left behind: {', '.join(names)}"


class Heartbeat(QObject):
    """Measures the longest time the event loop did not answer, in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self.beats = 0
        self._last = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(5)
        self._timer.timeout.connect(self._beat)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, (now - self._last) * 1000)
        self._last = now
        self.beats += 1

    def __enter__(self) -> Heartbeat:
        self.longest, self.beats, self._last = 0.0, 0, time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._beat()
        self._timer.stop()


@pytest.fixture
def heartbeat(qapp):
    """A stopped :class:`Heartbeat`; use it as a context manager round the work."""
    beat = Heartbeat()
    yield beat
    beat.deleteLater()
