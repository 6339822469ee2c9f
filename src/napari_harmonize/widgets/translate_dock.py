"""The Translate dock: which model, how it is run, what it will cost, and what became of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget
from superqt import QCollapsible

from napari_harmonize.errors import HarmonizeError
from napari_harmonize.events import Preview, Progress, Stage
from napari_harmonize.session import Action, RunState, State
from napari_harmonize.settings import replace
from napari_harmonize.translation import TranslationSettings
from napari_harmonize.widgets import layers
from napari_harmonize.widgets.card_view import CardView
from napari_harmonize.widgets.dock import Dock, button, heading, sentence
from napari_harmonize.widgets.form import Form
from napari_harmonize.widgets.frames import canonical_spacing, pixel_aspect
from napari_harmonize.widgets.importer import Importer
from napari_harmonize.widgets.model_choice import ModelChoice
from napari_harmonize.widgets.progress_view import ProgressView
from napari_harmonize.widgets.runs_view import RunsView

if TYPE_CHECKING:
    from collections.abc import Mapping

    import napari.viewer
    from napari.layers import Layer
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

    from napari_harmonize.session import Pair, Run
    from napari_harmonize.translation import ModelPackage

UNIT = "network evaluations"
# every new number lays out a part of the window again; more often than this nobody reads it
COUNT_S = 0.2
USUAL = ("sampler", "steps", "consistency", "seed")
MORE = ("eta", "guidance", "spacing", "correction", "clip", "device", "precision", "batch", "threads")


class TranslateDock(Dock):
    """Chooses a model, runs it on the pair, and puts results into the viewer.

    Parameters
    ----------
    viewer : Viewer
        Gets the results as layers, each with everything about its run in ``layer.metadata``.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._results: dict[str, Layer] = {}
        self._heard: tuple[Any, ...] = ()
        self._counted = 0.0
        self._previewed: Preview | None = None
        self.choice = ModelChoice(self)
        self.importer = Importer(self)
        self.card = CardView(self)
        self.usual = Form(TranslationSettings, self, only=USUAL)
        self.more = Form(TranslationSettings, self, only=MORE)
        self.cost = sentence("", self)
        self.progress = ProgressView(self)
        self.runs = RunsView(self)
        self.run_button = button("Run", self._run, "Translate the source with these settings")
        self.stop_button = button("Stop", lambda: self.attempt(self.session.stop), "Stop the running translation")
        self._lay_out()
        self._connect()
        for inner in self.findChildren(QWidget):
            inner.setAcceptDrops(False)  # a line of text would take a file's name for text
        self.setAcceptDrops(True)
        self._show_everything()

    def _lay_out(self) -> None:
        card, more = _fold("Model card", self.card), _fold("More settings", self.more)
        self.body.addWidget(heading("Model", self))
        for widget in (self.choice, card, heading("Settings", self), self.usual, more):
            self.body.addWidget(widget)
        files = QHBoxLayout()
        files.addStretch(1)
        files.addWidget(button("Load settings…", self._load, "Take model, settings and style from a settings file"))
        files.addWidget(button("Save settings…", self._save, "Write the settings file that the command line reads"))
        self.body.addLayout(files)
        self.body.addWidget(heading("Runs", self))
        self.body.addWidget(self.runs)
        self.body.addStretch(1)
        column = self.column
        column.insertWidget(1, self.cost)
        column.insertWidget(2, self.progress)
        self.run_button.setDefault(True)
        self.foot.addWidget(self.run_button, 2)
        self.foot.addWidget(self.stop_button, 1)
        self.progress.hide()
        self.progress.stop.hide()  # Stop stands at the foot, beside Run
        self.progress.notes.hide()

    def _connect(self) -> None:
        session = self.session
        self.allow(Action.RUN, self.run_button)
        self.allow(Action.STOP, self.stop_button)
        self.choice.wishes_changed.connect(lambda *_: self._offer_models())
        self.choice.model_requested.connect(self._choose)
        self.choice.package_requested.connect(self.importer.choose_package)
        self.choice.checkpoint_requested.connect(self.importer.choose_checkpoint)
        for form in (self.usual, self.more):
            form.valueChanged.connect(self._edited)
        self.progress.stop_requested.connect(lambda: self.attempt(session.stop))
        self.runs.shown_requested.connect(lambda first, second: self.attempt(session.runs.show, first, second))
        self.runs.discard_requested.connect(lambda run: self.attempt(session.runs.discard, run))
        self.ties.tie(session.model.catalogue_changed, self._show_catalogue)
        self.ties.tie(session.model.changed, self._show_model)
        self.ties.tie(session.model.settings_changed, self._show_settings)
        self.ties.tie(session.pair.changed, self._show_pair)
        self.ties.tie(session.runs.changed, self._show_runs)
        self.ties.tie(session.runs.shown_changed, self._show_shown)
        self.ties.tie(session.runs.run_changed, self._show_progress)

    def _show_everything(self) -> None:
        model = self.session.model
        self._show_catalogue(model.catalogue)
        self._show_model(model.package)
        self._show_settings(model.settings)
        self._show_pair(self.session.pair.value)
        self._show_runs()
        self.show_state(self.session.state)

    # -- what the user does

    def _run(self) -> None:
        for form in (self.usual, self.more):
            form.commit()
        self.attempt(self.session.start_translation)

    def _choose(self, name: str) -> None:
        if name:
            self.attempt(self.session.model.choose, name)

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save settings", "settings.json", "Settings (*.json)")
        if name:
            self.attempt(self.session.save_settings, Path(name))

    def _load(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Load settings", "", "Settings (*.json);;All files (*)")
        if name:
            self.attempt(self.session.load_settings, Path(name))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take a model package or a checkpoint; anything else is napari's."""
        if self.importer.takes(event.mimeData()) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped as a model."""
        path = self.importer.takes(event.mimeData())
        if path is not None:
            event.acceptProposedAction()
            self.importer.open(path)

    def _edited(self, settings: TranslationSettings) -> None:
        before = self.session.model.settings
        steps = self.session.state.default_steps.get(settings.sampler)
        if settings.sampler != before.sampler and steps is not None:
            settings = replace(settings, steps=steps)
        self.attempt(self.session.model.set_settings, settings)

    # -- what is shown

    def _show_catalogue(self, catalogue: dict[str, ModelPackage]) -> None:
        self.choice.show_contrasts(package.card for package in catalogue.values())
        self._show_pair(self.session.pair.value)

    def _show_pair(self, pair: Pair) -> None:
        have = "" if pair.source is None else pair.source.modality
        want = "" if pair.truth is None else pair.truth.modality
        self.choice.show_wishes(have, want)
        self._offer_models()

    def _offer_models(self) -> None:
        model = self.session.model
        names = model.suited(*self.choice.wishes())
        used = model.settings.model
        titles = {name: model.catalogue[name].card.title for name in names}
        if used in model.catalogue:
            titles.setdefault(used, f"{model.catalogue[used].card.title} (does not suit)")
        self.choice.show_models(titles, used)

    def _show_model(self, package: ModelPackage | None) -> None:
        self.card.show_card(None if package is None else package.card)
        self._offer_models()

    def _show_settings(self, settings: TranslationSettings) -> None:
        for form in (self.usual, self.more):
            form.setValue(settings)
        self._offer_models()

    def show_state(self, state: State) -> None:
        """Grey out what has no effect, each with its reason, and say what the next run costs."""
        names = ("seed", "eta", "correction", "guidance", "spacing")
        rows = {name: getattr(state, name) for name in names}
        reasons = {name: permission.reason for name, permission in rows.items() if not permission}
        self.usual.enable_only({name: reason for name, reason in reasons.items() if name in USUAL})
        self.more.enable_only({name: reason for name, reason in reasons.items() if name in MORE})
        for name, refused in state.refusals.items():
            _refuse((self.usual if name in USUAL else self.more).editor(name), refused)
        self._limit_steps(state.steps)
        self.cost.setText(state.cost)

    def _limit_steps(self, limits: tuple[int, int]) -> None:
        """Let the row take what the sampler takes, and what stands there, which a file may have brought."""
        steps = self.session.model.settings.steps
        box = self.usual.editor("steps").box
        was = box.blockSignals(True)
        box.setRange(min(limits[0], steps), max(limits[1], steps))
        box.blockSignals(was)

    def _show_runs(self, _: Any = None) -> None:
        runs = self.session.runs
        self.runs.show_runs(runs.value, runs.shown, runs.compared)
        self._show_results()

    def _show_shown(self, *_: Any) -> None:
        self._show_runs()

    def _show_results(self) -> None:
        runs = self.session.runs
        wanted = {run.id: run for run in runs.value if run.result is not None}
        for gone in self._results.keys() - wanted.keys():
            layer = self._results.pop(gone)
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        for run in wanted.values():
            if run.id not in self._results:
                self._results[run.id] = self._add_result(run)
        for name, layer in self._results.items():
            layer.visible = name in (runs.shown, runs.compared)

    def _add_result(self, run: Run) -> Layer:
        assert run.result is not None
        facts = run.result.run.to_json()
        layer = layers.to_layer(run.result.volume, name=f"{run.id}: synthetic", synthetic=True, run=facts)
        self.viewer.add_layer(layer)
        layers.mark(self.viewer, self.session.display.value.mark)
        return layer

    def _show_progress(self, run: Run) -> None:
        now = (run.id, run.state, run.stage, run.detail)
        if run.state is RunState.RUNNING:
            self._show_running(run, fresh=now != self._heard)
        else:
            self._show_ended(run)
        self._heard = now

    def _show_running(self, run: Run, *, fresh: bool) -> None:
        if not self._heard or self._heard[:2] != (run.id, run.state):
            self.progress.show()
            self.progress.strip.hide()
            self.progress.started(run.id)
            self._frame_preview(run)
        if fresh:
            self.progress.receive(Stage(run.stage, run.detail))
        now = time.monotonic()
        if run.total and (fresh or run.done == run.total or now - self._counted >= COUNT_S):
            self._counted = now
            self.progress.receive(Progress(run.done, run.total, UNIT))
        if run.preview is not None and run.preview is not self._previewed:
            self._previewed = run.preview
            self.progress.receive(run.preview)
            self.progress.strip.show()

    def _frame_preview(self, run: Run) -> None:
        """Say which way the slices of the preview lie; the model may work on voxels of another size."""
        if run.package is None or run.case is None:
            return
        recipe = run.package.recipe
        resampled = next((settings.get("spacing") for name, settings in recipe.steps if name == "resample"), None)
        spacing = resampled or canonical_spacing(run.case.source)
        self.progress.strip.set_frame(recipe.axis, self.session.display.value.convention, pixel_aspect(recipe.axis, spacing))

    def _show_ended(self, run: Run) -> None:
        self.progress.strip.hide()
        if run.state is RunState.DONE:
            self.progress.finished(f"{run.id} is done")
        elif run.state is RunState.STOPPED:
            self.progress.finished(f"{run.id} was stopped")
        elif run.state is RunState.FAILED:
            self.progress.failed(HarmonizeError(run.error))


def _fold(title: str, widget: Any) -> QCollapsible:
    fold = QCollapsible(title, expandedIcon="▾", collapsedIcon="▸")
    fold.setDuration(0)
    fold.addWidget(widget)
    fold.collapse(animate=False)
    return fold


def _refuse(editor: Any, reasons: Mapping[str, str]) -> None:
    """Grey out the choices that do not suit the model, each with its reason."""
    box = editor.box
    for row in range(box.count()):
        reason = reasons.get(box.itemText(row), "")
        box.model().item(row).setEnabled(not reason)
        box.setItemData(row, reason, Qt.ItemDataRole.ToolTipRole)
