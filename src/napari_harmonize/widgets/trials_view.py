"""The first validation pair of a training run, as translated at one step after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from napari_harmonize.widgets.orthogonal_view import Column, OrthogonalView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.session import Display, Trial

NONE_YET = "No validation yet: the first pair of the split “validation” is translated at fixed steps and shown here."


class TrialsView(QWidget):
    """Source, result and target in three planes, and a slider over the validations so far.

    Attributes
    ----------
    step_requested : Signal(int)
        The validation of this step is wanted.
    """

    step_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps: tuple[int, ...] = ()
        self.caption = QLabel(NONE_YET, self)
        self.caption.setWordWrap(True)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setPageStep(1)
        self.slider.setToolTip("Validations so far, the newest at the right")
        self.view = OrthogonalView(self)
        row = QHBoxLayout()
        row.addWidget(self.caption, 1)
        row.addWidget(self.slider, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.view, 1)
        self.slider.valueChanged.connect(lambda place: self.step_requested.emit(self._steps[place]))
        self.show_steps(())
        self.show_trial(None)

    def show_steps(self, steps: Sequence[int]) -> None:
        """Offer the validations of these steps, rising; nothing is emitted."""
        self._steps = tuple(steps)
        with QSignalBlocker(self.slider):
            self.slider.setRange(0, max(len(steps) - 1, 0))
        self.slider.setVisible(len(steps) > 1)

    def show_trial(self, trial: Trial | None) -> None:
        """Show a validation; position, zoom and windows stay as they are."""
        self.view.setVisible(trial is not None)
        if trial is None:
            self.caption.setText(NONE_YET)
            self.view.show_columns((), np.eye(4))
            return
        place = self._steps.index(trial.step) if trial.step in self._steps else len(self._steps) - 1
        with QSignalBlocker(self.slider):
            self.slider.setValue(place)
        self.caption.setText(f"Validation at step {trial.step}, {place + 1} of {len(self._steps)}")
        columns = (
            Column("source", "Source", trial.source.data, meaning=trial.source.meaning),
            Column("result", "Result", trial.result.data, "shared", trial.result.meaning, synthetic=True),
            Column("truth", "Target", trial.target.data, "shared", trial.target.meaning),
        )
        self.view.show_columns(columns, trial.source.affine)

    def set_display(self, display: Display) -> None:
        """Take over convention, mark and interpolation."""
        self.view.set_display(display)
