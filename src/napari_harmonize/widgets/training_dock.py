"""The Training dock: a network trained on pairs of one's own, and watched while it learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QProgressBar, QScrollArea, QSplitter, QVBoxLayout, QWidget

from napari_harmonize.session import Action, Phase
from napari_harmonize.widgets.asked_form import AskedForm, PathRow
from napari_harmonize.widgets.curves_view import CurvesView
from napari_harmonize.widgets.dock import Dock, button, heading, sentence
from napari_harmonize.widgets.progress_view import time_text
from napari_harmonize.widgets.trials_view import TrialsView

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QResizeEvent

    from napari_harmonize.session import Display, Progressed, State, Trial
    from napari_harmonize.training.asked import Asked

# how often the folder of a run that is driven from elsewhere is looked into
WATCH_MS = 5000
# narrower than this what is asked stands above what came out, not beside it
WIDE = 760
FOLDER_TIP = "A new folder for checkpoint, log, pictures and the finished model; or that of a run, to watch it or to go on with it"
ENDS = {
    Phase.IDLE: "",
    Phase.RUNNING: "Training",
    Phase.STOPPED: "Stopped; Continue goes on from the last step.",
    Phase.FAILED: "Failed; the message says why.",
    Phase.DONE: "Done; the model is written.",
}


class TrainingDock(Dock):
    """Asks for a training run, starts and stops it, and shows its curves and its validations.

    Parameters
    ----------
    viewer : Viewer
        Gives the session.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, scroll=False)
        self.form = AskedForm(self)
        self.folder = PathRow("Folder…", FOLDER_TIP, self)
        self.curves = CurvesView(self)
        self.trials = TrialsView(self)
        self.stage = sentence("", self)
        self.bar = QProgressBar(self)
        self.start_button = button("Start", self._start, "Train with these settings")
        self.stop_button = button("Stop", lambda: self.attempt(self.session.training.stop), "Stop after this step; it can go on later")
        self.use_button = button("Translate with it", self._use, "Choose the finished model in the Translate dock")
        self._watch_timer = QTimer(self)
        self._watch_timer.setInterval(WATCH_MS)
        self._lay_out()
        self._connect()
        self._show_everything()
        self._watch_timer.start()

    def _lay_out(self) -> None:
        asked, column = QWidget(self), QVBoxLayout()
        for widget in (heading("What is trained", self), self.form, heading("Folder of the run", self), self.folder):
            column.addWidget(widget)
        column.addStretch(1)
        asked.setLayout(column)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(asked)
        results = QSplitter(Qt.Orientation.Vertical, self)
        results.addWidget(self.curves)
        results.addWidget(self.trials)
        results.setStretchFactor(1, 1)
        results.setSizes([210, 600])
        self.splitter = QSplitter(Qt.Orientation.Vertical, self)
        self.splitter.addWidget(area)
        self.splitter.addWidget(results)
        self.splitter.setStretchFactor(1, 1)
        self.body.addWidget(self.splitter, 1)
        line = QHBoxLayout()
        line.addWidget(self.stage, 1)
        line.addWidget(self.bar, 1)
        self.column.insertLayout(1, line)
        self.start_button.setDefault(True)
        for widget, share in ((self.start_button, 2), (self.stop_button, 1), (self.use_button, 1)):
            self.foot.addWidget(widget, share)

    def _connect(self) -> None:
        session, training = self.session, self.session.training
        self.allow(Action.TRAIN, self.start_button)
        self.allow(Action.STOP_TRAINING, self.stop_button)
        self.allow(Action.USE_TRAINED, self.use_button)
        self.form.valueChanged.connect(self._ask)
        self.folder.path_requested.connect(self._open)
        self.folder.browse.clicked.connect(lambda _checked=False: self._browse())
        self.curves.step_requested.connect(self._look_at)
        self.trials.step_requested.connect(self._look_at)
        self._watch_timer.timeout.connect(self._watch_folder)
        self.ties.tie(session.model.catalogue_changed, self._offer)
        self.ties.tie(session.display.changed, self._show_display)
        self.ties.tie(training.changed, self._show_training)
        self.ties.tie(training.progressed, self._show_progress)
        self.ties.tie(training.curves_changed, self.curves.show_curves)
        self.ties.tie(training.trial_changed, self._show_trial)

    def _show_everything(self) -> None:
        training = self.session.training
        self._offer()
        self._show_display(self.session.display.value)
        self.curves.show_curves(training.found.curves)
        self._show_training()
        self._show_progress(training.progress)
        self._show_trial(training.trial)

    # -- what the user does

    def _start(self) -> None:
        self.form.commit()
        self.folder.line.editingFinished.emit()
        self.attempt(self.session.training.start)

    def _use(self) -> None:
        self.attempt(self.session.training.use)

    def _ask(self, asked: Asked) -> None:
        self.attempt(self.session.training.ask, **{item.name: getattr(asked, item.name) for item in dataclasses.fields(asked)})

    def _open(self, path: str) -> None:
        if path:
            self.attempt(self.session.training.open, Path(path).absolute())

    def _browse(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Choose the folder of the run")
        if name:
            self._open(name)

    def _look_at(self, step: int) -> None:
        if step in self.session.training.found.trials:
            self.attempt(self.session.training.show, step)

    def _watch_folder(self) -> None:
        if self.seen():
            self.session.training.look()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put what is asked beside what came out where there is room for both."""
        super().resizeEvent(event)
        wide = Qt.Orientation.Horizontal if self.width() >= WIDE else Qt.Orientation.Vertical
        if wide != self.splitter.orientation():
            self.splitter.setOrientation(wide)
            self.splitter.setSizes([360, 800] if wide == Qt.Orientation.Horizontal else [300, 600])

    # -- what is shown

    def _offer(self, _: Any = None) -> None:
        models = {name: package.card.title for name, package in self.session.model.catalogue.items()}
        self.form.offer(self.session.training.recipes(), models)

    def _show_display(self, display: Display) -> None:
        self.trials.set_display(display)

    def _show_training(self) -> None:
        training = self.session.training
        if self.form.value() != training.asked:
            self.form.setValue(training.asked)
        self.form.show_counts(_counts_text(training.table.counts, training.table.refusal, reading=training.table.reading))
        self.folder.show_path("" if training.folder is None else str(training.folder))
        running = training.phase is Phase.RUNNING
        self.form.setEnabled(not running)
        self.folder.setEnabled(not running)
        self.bar.setVisible(running)
        self.start_button.setText("Continue" if training.goes_on else "Start")
        self.trials.show_steps(training.found.trials)
        self.show_state(self.session.state)

    def _show_progress(self, progress: Progressed) -> None:
        if self.session.training.phase is not Phase.RUNNING:
            return
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        parts = [progress.stage, progress.detail]
        if progress.total:
            parts.append(f"step {progress.done} of {progress.total}")
        if progress.seconds_left is not None:
            parts.append(f"{time_text(progress.seconds_left)} left")
        self.stage.setText(", ".join(part for part in parts if part))

    def _show_trial(self, trial: Trial | None) -> None:
        self.trials.show_steps(self.session.training.found.trials)
        self.trials.show_trial(trial)
        self.curves.set_step(None if trial is None else trial.step)

    def show_state(self, state: State) -> None:
        """Say how it ended, or why it may not start where it is asked for, not only in the tooltip."""
        phase, reason = self.session.training.phase, state[Action.TRAIN].reason
        if phase is not Phase.RUNNING:
            self.stage.setText(ENDS[phase] if phase in (Phase.DONE, Phase.FAILED) else reason or ENDS[phase])


def _counts_text(counts: Any, refusal: str, *, reading: bool) -> str:
    if reading:
        return "Reading the table…"
    if refusal:
        return f"✖ {refusal}"
    return ", ".join(f"{number} for {split}" for split, number in counts.items())
