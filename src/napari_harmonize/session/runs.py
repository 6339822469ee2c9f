"""The runs: queue, progress, history, and which one is looked at."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_harmonize.errors import HarmonizeError, SessionError, StoppedError
from napari_harmonize.events import Note, Preview, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.events import Event, Job
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.translation import Case, ModelPackage, Result, TranslationSettings


class RunState(StrEnum):
    """How far a run has come."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Run:
    """One translation, asked for or done.

    Parameters
    ----------
    id : str
        "run-0003"; unique within a project.
    number : int
        Of its request.
    state : RunState
        How far it has come.
    case : Case, optional
        What is translated; None where the run comes from an earlier session.
    settings : TranslationSettings, optional
        How.
    model : str
        Title of the model.
    stage, detail : str
        Of the job.
    done, total : int
        Of the stage; total 0 until the job counts.
    seconds_left : float, optional
        From the rate so far.
    preview : Preview, optional
        Last predicted clean image.
    notes : tuple of Note
        Everything the job wanted read.
    result : Result, optional
        Volume and facts of the run.
    error : str
        Sentence, where it failed.
    scores : tuple of Score
        Numbers of the result.
    ticks : tuple of str
        Pre-flight sentences that were confirmed before it started.
    """

    id: str
    number: int
    state: RunState
    case: Case | None = None
    settings: TranslationSettings | None = None
    package: ModelPackage | None = None
    model: str = ""
    stage: str = ""
    detail: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    preview: Preview | None = None
    notes: tuple[Note, ...] = ()
    result: Result | None = None
    error: str = ""
    scores: tuple[Any, ...] = ()
    ticks: tuple[str, ...] = ()


class RunsPart:
    """Holds the runs of a session; one runs at a time, the others queue.

    Attributes
    ----------
    value : tuple of Run
        Oldest first.
    shown, compared : str, optional
        Ids of the runs looked at: A, and B where two are compared.
    changed : Signal(tuple)
        A run came, ended or went, or its numbers arrived.
    run_changed : Signal(Run)
        The running run said something.
    shown_changed : Signal(object, object)
        Runs A and B, each a Run or None.
    ended : Signal(Run)
        A run is done, was stopped, or failed.
    """

    changed = Signal(tuple)
    run_changed = Signal(object)
    shown_changed = Signal(object, object)
    ended = Signal(object)

    def __init__(self, desk: Desk, translate: Callable[[Run], Job[Result]], clock: Callable[[], float] = time.monotonic) -> None:
        self._desk, self._translate, self._clock = desk, translate, clock
        self.value: tuple[Run, ...] = ()
        self.shown: str | None = None
        self.compared: str | None = None
        self._ids = 0
        self._stage_began = 0.0

    @property
    def running(self) -> Run | None:
        """The run that is being computed."""
        return next((run for run in self.value if run.state is RunState.RUNNING), None)

    @property
    def queued(self) -> tuple[Run, ...]:
        """Runs that wait."""
        return tuple(run for run in self.value if run.state is RunState.QUEUED)

    def get(self, run_id: str | None) -> Run | None:
        """Find a run by its id."""
        return next((run for run in self.value if run.id == run_id), None)

    def start(
        self, case: Case, settings: TranslationSettings, package: ModelPackage | None, model: str, ticks: tuple[str, ...] = ()
    ) -> Run:
        """Queue a translation; it starts at once where nothing runs."""
        number, self._ids = self._desk.number(), self._ids + 1
        run = Run(f"run-{self._ids:04d}", number, RunState.QUEUED, case, settings, package, model, ticks=ticks)
        self.value = (*self.value, run)
        self.changed.emit(self.value)
        self._next()
        return self.get(run.id) or run

    def stop(self, run_id: str | None = None) -> None:
        """Stop a run, the running one where none is named; answers at once and drops whatever was half made."""
        run = self.running if run_id is None else self.get(run_id)
        if run is None or run.state not in (RunState.RUNNING, RunState.QUEUED):
            raise SessionError(
                "Only a run that waits or runs can be stopped", "nothing is running" if run is None else f"{run.id} is {run.state}"
            )
        self._end(run, RunState.STOPPED)
        self._desk.drop(run.number)
        self._next()

    def show(self, run_id: str | None, compared: str | None = None) -> None:
        """Look at a run, or at two side by side."""
        self.shown, self.compared = run_id, compared
        self.shown_changed.emit(self.get(run_id), self.get(compared))

    def discard(self, run_id: str) -> None:
        """Forget a run and its result."""
        run = self.get(run_id)
        if run is None:
            return
        if run.state in (RunState.RUNNING, RunState.QUEUED):
            self.stop(run_id)
        self.value = tuple(kept for kept in self.value if kept.id != run_id)
        self.changed.emit(self.value)
        if run_id in (self.shown, self.compared):
            self.show(None if run_id == self.shown else self.shown)

    def restore(self, runs: tuple[Run, ...]) -> None:
        """Put runs of an earlier session before those of this one; ids go on after theirs."""
        self.value = (*runs, *self.value)
        self._ids = max([self._ids, *(int(run.id.rpartition("-")[2]) for run in runs)])
        self.changed.emit(self.value)

    def update(self, run: Run, **changes: Any) -> Run:
        """Replace fields of a run; says nothing."""
        new = dataclasses.replace(run, **changes)
        self.value = tuple(new if kept.id == run.id else kept for kept in self.value)
        return new

    def score(self, run_id: str, scores: tuple[Any, ...]) -> None:
        """Attach numbers to a run."""
        run = self.get(run_id)
        if run is not None:
            self.update(run, scores=scores)
            self.changed.emit(self.value)

    def _next(self) -> Request | None:
        if self.running is not None or not self.queued:
            return None
        run = self.update(self.queued[0], state=RunState.RUNNING, stage="Starting")
        self._stage_began = self._clock()
        self.changed.emit(self.value)
        return self._desk.ask(
            "translate",
            f"Translating {run.id}",
            self._translate(run),
            lambda result: self._finish(run.id, result),
            hear=lambda event: self._hear(run.id, event),
            refuse=lambda error: self._fail(run.id, error),
            number=run.number,
        )

    def _hear(self, run_id: str, event: Event) -> None:
        run = self.get(run_id)
        if run is None:
            return
        if isinstance(event, Note):
            self._desk.say(event.text, event.level)
        self.run_changed.emit(self.update(run, **self._facts(run, event)))

    def _facts(self, run: Run, event: Event) -> dict[str, Any]:
        match event:
            case Stage(name, detail):
                self._stage_began = self._clock()
                return {"stage": name, "detail": detail, "done": 0, "total": 0, "seconds_left": None}
            case Progress(done, total):
                spent = self._clock() - self._stage_began
                return {"done": done, "total": total, "seconds_left": spent / done * (total - done) if done else None}
            case Preview():
                return {"preview": event}
        return {"notes": (*run.notes, event)}

    def _finish(self, run_id: str, result: Result) -> None:
        run = self.get(run_id)
        if run is not None:
            self._end(run, RunState.DONE, result=result, seconds_left=0.0)
            self.show(run_id)
        self._next()

    def _fail(self, run_id: str, error: HarmonizeError) -> None:
        run = self.get(run_id)
        if run is not None:
            state = RunState.STOPPED if isinstance(error, StoppedError) else RunState.FAILED
            self._end(run, state, error=str(error))
            self._desk.say(f"{run.id} failed: {error}" if state is RunState.FAILED else f"{run.id} was stopped", "error")
        self._next()

    def _end(self, run: Run, state: RunState, **changes: Any) -> Run:
        ended = self.update(run, state=state, preview=None, **changes)
        self.run_changed.emit(ended)
        self.changed.emit(self.value)
        self.ended.emit(ended)
        return ended
