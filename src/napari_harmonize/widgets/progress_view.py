"""How a run is getting on: stage, determinate bar, time left, live preview, what it said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_harmonize.events import Event, Note, Preview, Progress, Stage
from napari_harmonize.widgets.slice_strip import SliceStrip

if TYPE_CHECKING:
    from napari_harmonize.errors import HarmonizeError

_MOST_NOTES = 500


class ProgressView(QWidget):
    """Shows the events of one run.

    Attributes
    ----------
    stop_requested : Signal()
        Stop was pressed.
    """

    stop_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.left = QLabel("No run yet.", self), QLabel("", self)
        self.title.setWordWrap(True)
        self.bar = QProgressBar(self)
        self.bar.setVisible(False)
        self.stop = QPushButton("Stop", self)
        self.stop.setEnabled(False)
        self.strip = SliceStrip(self)
        self.notes = QPlainTextEdit(self)
        self.notes.setReadOnly(True)
        self.notes.setMaximumBlockCount(_MOST_NOTES)
        self.notes.setMaximumHeight(90)
        self.notes.setPlaceholderText("What the run says")
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.stop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.title)
        column.addLayout(row)
        column.addWidget(self.left)
        column.addWidget(self.strip, 1)
        column.addWidget(self.notes)
        self.stop.clicked.connect(self.stop_requested)
        self._run = ""
        self._done, self._since = 0, (0, 0.0)

    def started(self, title: str) -> None:
        """Begin to show a run."""
        self._run, self._done, self._since = title, 0, (0, time.monotonic())
        self.title.setText(title)
        self.left.setText("")
        self.notes.clear()
        self.strip.clear()
        self.bar.setRange(0, 0)
        self.bar.setVisible(True)
        self.stop.setText("Stop")
        self.stop.setEnabled(True)

    def receive(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Stage):
            self._since = (self._done, time.monotonic())
            self.title.setText(f"{self._run}: {event.name}{f' ({event.detail})' if event.detail else ''}")
        elif isinstance(event, Progress):
            self._count(event)
        elif isinstance(event, Preview):
            label = f"preview, step {event.step} of {event.steps}"
            self.strip.show_slices(list(zip(event.indices, np.asarray(event.slices), strict=True)), label=label)
        elif isinstance(event, Note):
            self.notes.appendPlainText(f"Warning: {event.text}" if event.level == "warning" else event.text)

    def stopping(self) -> None:
        """Say that the stop was heard."""
        self.stop.setEnabled(False)
        self.stop.setText("Stopping")
        self.left.setText("Stopping at the next batch")

    def finished(self, sentence: str) -> None:
        """Say how it ended."""
        self.title.setText(sentence)
        self.left.setText("")
        self.bar.setVisible(False)
        self.stop.setText("Stop")
        self.stop.setEnabled(False)

    def failed(self, error: HarmonizeError) -> None:
        """Say why it failed."""
        self.finished(str(error))
        self.notes.appendPlainText(f"Failed: {error}")

    def _count(self, event: Progress) -> None:
        self.bar.setRange(0, max(event.total, 1))
        self.bar.setValue(event.done)
        self._done = event.done
        before, began = self._since
        text = f"{event.done} of {event.total} {event.unit}"
        if before < event.done < event.total:
            rest = (time.monotonic() - began) / (event.done - before) * (event.total - event.done)
            text += f", {time_text(rest)} left"
        self.left.setText(text)


def time_text(seconds: float) -> str:
    """Write a time as one would say it: "8 s", "2 min 05 s", "1 h 10 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
