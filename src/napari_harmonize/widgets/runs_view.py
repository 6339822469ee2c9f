"""The runs so far: one row each, a click looks at one, two can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_harmonize.session import RunState
from napari_harmonize.widgets.table_view import TableView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.session import Run

HEADERS = ("Run", "State", "Sampler", "Steps", "Seconds")


class RunsView(QWidget):
    """Shows the history of runs, newest first.

    Parameters
    ----------
    parent : QWidget, optional
        Qt parent.

    Attributes
    ----------
    shown_requested : Signal(object, object)
        Ids of the run to look at and of the one to compare it with, each a str or None.
    discard_requested : Signal(str)
        A run is to be forgotten.
    """

    shown_requested = Signal(object, object)
    discard_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ids: list[str] = []
        self.table = TableView(self)
        self.table.row_requested.connect(lambda row: self.shown_requested.emit(self._ids[row], None))
        self.first, self.second = QComboBox(self), QComboBox(self)
        self.first.setToolTip("Run A: the one looked at")
        self.second.setToolTip("Run B: shown beside A instead of the ground truth")
        self.discard = QPushButton("Discard", self)
        self.discard.setToolTip("Forget run A and its result")
        self.discard.clicked.connect(self._discard)
        for box in (self.first, self.second):
            box.activated.connect(self._picked)
        row = QHBoxLayout()
        for widget in (QLabel("A", self), self.first, QLabel("B", self), self.second):
            row.addWidget(widget, 1 if isinstance(widget, QComboBox) else 0)
        row.addWidget(self.discard)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.table)
        column.addLayout(row)

    def show_runs(self, runs: Sequence[Run], shown: str | None, compared: str | None) -> None:
        """Show runs and which of them are looked at."""
        newest = list(reversed(runs))
        self._ids = [run.id for run in newest]
        self.table.show_rows(HEADERS, [_row(run, shown, compared) for run in newest])
        done = [run.id for run in newest if run.state is RunState.DONE]
        _fill(self.first, done, shown, "none")
        _fill(self.second, [name for name in done if name != shown], compared, "ground truth")
        self.discard.setEnabled(shown is not None)
        self.second.setEnabled(len(done) > 1)

    def _picked(self) -> None:
        first, second = self.first.currentData(), self.second.currentData()
        self.shown_requested.emit(first, second if second != first else None)

    def _discard(self) -> None:
        if self.first.currentData() is not None:
            self.discard_requested.emit(self.first.currentData())


def _row(run: Run, shown: str | None, compared: str | None) -> tuple[str, ...]:
    mark = " (A)" if run.id == shown else " (B)" if run.id == compared else ""
    sampler, steps = (run.settings.sampler, str(run.settings.steps)) if run.settings is not None else ("", "")
    seconds = run.result.run.volatile.get("seconds") if run.result is not None else None
    return run.id + mark, run.state.value, sampler, steps, "" if seconds is None else f"{seconds:.1f}"


def _fill(box: QComboBox, names: Sequence[str], chosen: str | None, nothing: str) -> None:
    box.clear()
    box.addItem(nothing, None)
    for name in names:
        box.addItem(name, name)
    box.setCurrentIndex(max(box.findData(chosen), 0) if chosen is not None else 0)
