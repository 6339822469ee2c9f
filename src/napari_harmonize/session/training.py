"""Training: what is asked for, whether it may start, how it gets on, and what it has made so far."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_harmonize.errors import HarmonizeError, SessionError, StoppedError
from napari_harmonize.events import Note, Point, Progress, Stage, Written
from napari_harmonize.session.backend import job
from napari_harmonize.session.training_facts import Phase, Progressed, Table, TrainingFacts, Trial
from napari_harmonize.settings import replace
from napari_harmonize.training.asked import Asked
from napari_harmonize.training.curves import add_point
from napari_harmonize.training.folder import RESULT, Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.events import Event
    from napari_harmonize.session.backend import Backend
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.session.model import ModelPart
    from napari_harmonize.translation import ModelPackage


class TrainingPart:
    """Trains a model, and watches a run wherever it was begun.

    Attributes
    ----------
    asked : Asked
        What is to be trained; write with :meth:`ask`.
    folder : Path, optional
        Of the run; write with :meth:`open`.
    table : Table
        What is known of the table of pairs.
    phase : Phase
        Where the run stands.
    found : Found
        Checkpoint, model, curves and validations of the folder, kept up while it trains here.
    progress : Progressed
        Stage, steps and time left.
    trial : Trial, optional
        The validation that is looked at.
    changed : Signal()
        Anything but progress and curves changed.
    progressed : Signal(Progressed)
        The run said how far it is.
    curves_changed : Signal(dict)
        (step, value) points of "loss", "ssim" and "psnr".
    trial_changed : Signal(object)
        The validation looked at: a Trial, or None.
    """

    changed = Signal()
    progressed = Signal(object)
    curves_changed = Signal(object)
    trial_changed = Signal(object)

    def __init__(self, desk: Desk, backend: Backend, model: ModelPart, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk, self._backend, self._model, self._clock = desk, backend, model, clock
        self.asked = Asked()
        self.folder: Path | None = None
        self.table = Table()
        self.phase = Phase.IDLE
        self.found = Found()
        self.progress = Progressed()
        self.trial: Trial | None = None
        self._begun: Asked | None = None
        self._looking = False
        self._number: int | None = None
        self._since: tuple[int, float] | None = None
        self._wanted: int | None = None

    @property
    def facts(self) -> TrainingFacts:
        """What it depends on whether training may start."""
        asked = self.asked
        return TrainingFacts(
            named=bool(asked.recipe or asked.start),
            table=Path(asked.table).name,
            pairs=self.table,
            folder="" if self.folder is None else self.folder.name,
            looking=self._looking,
            finished=self.found.finished,
            differs=self._begun is not None and not self._begun.same_run(asked),
            running=self.phase is Phase.RUNNING,
        )

    @property
    def goes_on(self) -> bool:
        """Whether starting means going on with a run that was begun."""
        return not self.found.finished and (self.found.checkpoint or self.phase is Phase.STOPPED)

    @property
    def model_path(self) -> Path | None:
        """The finished package, where there is one."""
        return self.folder / RESULT if self.folder is not None and self.found.finished else None

    def recipes(self) -> dict[str, str]:
        """Names of the recipes that come with the plugin, and one sentence on each."""
        return self._backend.recipes()

    # -- what is asked

    def ask(self, **changes: Any) -> None:
        """Change what is to be trained; a new table is read."""
        before, self.asked = self.asked, replace(self.asked, **changes)
        if self.asked.table != before.table:
            self._read_table()
        if self.asked != before:
            self.changed.emit()

    def open(self, folder: Path) -> Request:
        """Take the folder of a run; one that was begun brings what it was asked for, its curves and its validations."""
        self._not_running()
        self.folder, self.found, self._begun, self.phase = folder, Found(), None, Phase.IDLE
        self.progress, self.trial, self._wanted, self._looking = Progressed(), None, None, True
        self.changed.emit()
        self.curves_changed.emit({})
        self.trial_changed.emit(None)
        return self._look(folder)

    def look(self) -> Request | None:
        """Look into the folder again, for a run that is driven from elsewhere."""
        if self.folder is None or self.phase is Phase.RUNNING or self._looking:
            return None
        return self._look(self.folder)

    # -- what is done

    def start(self) -> Request:
        """Train, or go on where the run of the folder stopped.

        Raises
        ------
        SessionError
            It is not allowed now; the sentence says why.
        """
        refusal = self.facts.refusal()
        if refusal or self.folder is None:
            raise SessionError(refusal)
        self.phase, self.progress, self._since = Phase.RUNNING, Progressed("Starting"), None
        self._number, work = self._desk.number(), self._backend.train(self.asked, self.folder)
        title = f"Training in {self.folder.name}"
        request = self._desk.ask("train", title, work, self._done, hear=self._hear, refuse=self._fail, number=self._number)
        self.changed.emit()
        return request

    def stop(self) -> None:
        """Stop training; answers at once. The job keeps its last step before it goes."""
        if self.phase is not Phase.RUNNING or self._number is None:
            raise SessionError("Only a run that is training can be stopped", "nothing is training")
        self.phase, number = Phase.STOPPED, self._number
        self._begun = self._begun or self.asked
        self._desk.drop(number)
        self.changed.emit()

    def show(self, step: int) -> Request:
        """Look at the validation of a step."""
        self._wanted = step
        folder, seen = self._folder(), self.trial
        still = None if seen is None else (seen.source, seen.target)
        work = job(f"Opening the validation of step {step}", lambda: self._backend.trial(folder, step, still))
        return self._desk.ask("trial", f"Opening the validation of step {step}", work, lambda found: self._show(folder, Trial(*found)))

    def use(self) -> Request:
        """Choose the finished model for translations."""
        if self.model_path is None:
            raise SessionError("A model is used once it is finished", "the folder holds none")
        return self._model.choose(str(self.model_path))

    # -- answers

    def _folder(self) -> Path:
        if self.folder is None:
            raise SessionError("A run has a folder", "none is chosen", "Choose one in the Training dock")
        return self.folder

    def _not_running(self) -> None:
        if self.phase is Phase.RUNNING:
            raise SessionError("A folder is changed between runs", "training is running", "Stop it first")

    def _read_table(self) -> None:
        self.table = Table(reading=bool(self.asked.table))
        if self.asked.table:
            path, title = Path(self.asked.table), f"Reading {Path(self.asked.table).name}"
            work = job(title, lambda: self._backend.pairs(path))
            self._desk.ask("pairs", title, work, lambda counts: self._know(Table(counts)), refuse=self._refuse_table)

    def _refuse_table(self, error: HarmonizeError) -> None:
        self._know(Table(refusal=str(error)))

    def _know(self, table: Table) -> None:
        self.table = table
        self.changed.emit()

    def _look(self, folder: Path) -> Request:
        work = job(f"Looking into {folder.name}", lambda: self._backend.look(folder))
        return self._desk.ask(
            "run folder", f"Looking into {folder.name}", work, lambda seen: self._looked(folder, *seen), refuse=self._no_look
        )

    def _no_look(self, error: HarmonizeError) -> None:
        self._looking = False
        self._desk.say(str(error), "error")
        self.changed.emit()

    def _looked(self, folder: Path, found: Found, begun: Asked | None) -> None:
        if folder != self.folder or self.phase is Phase.RUNNING:
            return
        fresh, self._looking = self._begun is None and begun is not None, False
        before, self.found, self._begun = self.found, found, begun or self._begun
        if fresh and begun is not None:
            self.ask(**{item.name: getattr(begun, item.name) for item in dataclasses.fields(begun)})
        if dict(before.curves) != dict(found.curves):
            self.curves_changed.emit(found.curves)
        self._follow(before.trials, found.trials)
        self.changed.emit()

    def _follow(self, before: tuple[int, ...], now: tuple[int, ...]) -> None:
        """Look at the newest validation, unless an older one was chosen."""
        if now and now != before and (self._wanted is None or self._wanted in (before or now)[-1:]):
            self.show(now[-1])

    def _show(self, folder: Path, trial: Trial) -> None:
        if folder == self.folder:
            self.trial = trial
            self.trial_changed.emit(trial)

    def _hear(self, event: Event) -> None:
        match event:
            case Stage(name, detail):
                self._tell(stage=name, detail=detail)
            case Progress(done, total, "steps"):
                self._since = self._since or (done, self._clock())
                self._tell(done=done, total=total, seconds_left=self._left(done, total))
            case Progress(done, total, unit):
                self._tell(detail=f"{done} of {total} {unit}")
            case Point(curve, step, value):
                self._draw(curve, step, value)
            case Written(_, step):
                before, trials = self.found.trials, (*(old for old in self.found.trials if old < step), step)
                self.found = dataclasses.replace(self.found, trials=trials)
                self.changed.emit()
                self._follow(before, trials)
            case Note(text, "warning"):
                self._desk.say(text, "warning")

    def _left(self, done: int, total: int) -> float | None:
        before, began = self._since or (done, 0.0)
        return (self._clock() - began) / (done - before) * (total - done) if done > before else None

    def _tell(self, **changes: Any) -> None:
        self.progress = dataclasses.replace(self.progress, **changes)
        self.progressed.emit(self.progress)

    def _draw(self, curve: str, step: int, value: float) -> None:
        points = list(self.found.curves.get(curve, ()))
        add_point(points, step, value)
        self.found = dataclasses.replace(self.found, curves={**self.found.curves, curve: tuple(points)})
        self.curves_changed.emit(self.found.curves)

    def _done(self, package: ModelPackage) -> None:
        self.phase, self._begun = Phase.DONE, self.asked
        self.found = dataclasses.replace(self.found, finished=True)
        self._model.offer(str(package.path), package)
        self._desk.say(f"{package.card.title} is trained, and stands among the models of the Translate dock.")
        self.changed.emit()

    def _fail(self, error: HarmonizeError) -> None:
        self.phase = Phase.STOPPED if isinstance(error, StoppedError) else Phase.FAILED
        self._desk.say(f"Training failed: {error}" if self.phase is Phase.FAILED else "Training was stopped", "error")
        self.changed.emit()
