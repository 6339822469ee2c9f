"""The one adapter between jobs and the window: a job runs in a thread, the window hears of it at its own pace.

The window looks into the job's mailbox at a fixed rate, so nothing a job does can flood the event loop, and no Qt object is
touched outside the main thread. (The generator workers of napari and superqt swallow a ``RuntimeError`` raised inside the
generator and leave a stopped generator suspended; neither happens here.)
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from napari_harmonize.errors import EngineError, HarmonizeError, OutOfMemory, SessionError, StoppedError
from napari_harmonize.events import Event, Job, Note, Point, Preview, Progress, Stage, Written
from napari_harmonize.widgets import sweeping

logger = logging.getLogger(__name__)
T = TypeVar("T")
Work = Job[Any] | Callable[[], Job[Any]]

IDLE, RUNNING, STOPPING = "idle", "running", "stopping"
# how often the mailbox is emptied, how often a number or a picture may change, and how long one visit may take
_VISIT_MS = 20
_REFRESH_S = 0.05
_VISIT_S = 0.01
# every one of these arrives; of the others the latest
_ALL_OF_THEM = (Stage, Note, Point, Written)


class _Mailbox:
    """What a working thread has said and the window has not read yet."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._said: deque[Event] = deque()
        self._end: tuple[str, Any] | None = None

    def post(self, event: Event) -> None:
        """Add an event; of progress and of previews only the latest is kept."""
        with self._lock:
            if isinstance(event, (Progress, Preview)):
                self._said = deque(old for old in self._said if type(old) is not type(event))
            self._said.append(event)

    def end(self, how: str, what: Any = None) -> None:
        """Say the last word."""
        with self._lock:
            self._end = (how, what)

    def take(self, kinds: Collection[type[Event]]) -> Event | None:
        """Next event of these kinds."""
        with self._lock:
            for place, event in enumerate(self._said):
                if type(event) in kinds:
                    del self._said[place]
                    return event
        return None

    def ended(self) -> bool:
        """Whether the last word has been said."""
        return self._end is not None

    def last_word(self) -> tuple[str, Any] | None:
        """How it ended, once everything before has been read."""
        with self._lock:
            return None if self._said else self._end

    def forget(self) -> None:
        """Drop what nobody will look at; notes stay."""
        with self._lock:
            self._said = deque(event for event in self._said if isinstance(event, Note))


def _hire(mail: _Mailbox, work: Work) -> threading.Thread:
    """Start a thread; it knows the mailbox only, so a runner that dies with its window is not kept alive or called by it."""
    thread = threading.Thread(target=_work, args=(mail, work), name="harmonize-job", daemon=True)
    sweeping.enter(thread, mail.stop)
    thread.start()
    return thread


def _work(mail: _Mailbox, work: Work) -> None:
    """Body of the thread: run the job to its end, its stop or its error, and close it here."""
    try:
        how, what = _drive(mail, work() if callable(work) else work)
    except StoppedError:
        how, what = "stopped", None
    except BaseException as error:  # no exception may vanish with its thread: all become ours and reach the window
        how, what = "failed", _ours(error, unheard=mail.stop.is_set())
    mail.end(how, what)
    sweeping.leave()


def _drive(mail: _Mailbox, job: Job[Any]) -> tuple[str, Any]:
    try:
        while not mail.stop.is_set():
            mail.post(next(job))
    except StopIteration as end:
        return ("stopped", None) if mail.stop.is_set() else ("returned", end.value)
    finally:
        job.close()
    return "stopped", None


def _ours(error: BaseException, *, unheard: bool = False) -> HarmonizeError:
    """Turn any exception into one of ours, and let go of what its frames hold.

    A refusal is an answer, and what a stopped job still says is of no interest (a window closed while torch is being imported makes
    the import fail); only what nobody expected is logged as an error, with its traceback.
    """
    expected = unheard or isinstance(error, HarmonizeError)
    logger.log(logging.DEBUG if expected else logging.ERROR, "A job failed: %s", error, exc_info=error)
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, HarmonizeError):
        return error
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return OutOfMemory("The job fits into memory", text, "Close other programs, or choose a smaller batch")
    return EngineError("The computation runs to its end", f"{type(error).__name__}: {text}", "The log has the details")


def call(function: Callable[[], T], label: str) -> Job[T]:
    """Make a job of a plain function: one stage, then its result.

    Parameters
    ----------
    function : callable
        The work; it cannot be stopped half-way.
    label : str
        What is being done, as shown to the user.
    """
    yield Stage(label)
    return function()


class Runner(QObject):
    """Runs one job at a time in a thread.

    Parameters
    ----------
    parent : QObject, optional
        Qt parent; when it dies the job is stopped.

    Attributes
    ----------
    said : Signal(int, Event)
        A run said something. Of progress and previews the latest arrive, at most 20 a second; of the rest all, in order.
    returned : Signal(int, object)
        A run came to its end, with its result.
    failed : Signal(int, HarmonizeError)
        A run failed.
    stopped : Signal(int)
        A run was stopped, and its memory is free.
    stateChanged : Signal(str)
        "idle", "running" or "stopping".
    """

    said = Signal(int, object)
    returned = Signal(int, object)
    failed = Signal(int, object)
    stopped = Signal(int)
    stateChanged = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._state = IDLE
        self._number = 0
        self._mail = _Mailbox()
        self._thread: threading.Thread | None = None
        self._waiting: tuple[int, Work] | None = None
        self._refreshed = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(_VISIT_MS)
        self._timer.timeout.connect(self._visit)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)

    def state(self) -> str:
        """One of "idle", "running" and "stopping"."""
        return self._state

    def start(self, job: Work, number: int | None = None) -> int:
        """Run a job.

        Parameters
        ----------
        job : generator, or callable that makes one
            A callable is called in the thread, so that what it imports does not hold up the window.
        number : int, optional
            Number of the run; counts up by itself.

        Returns
        -------
        int
            The number that every signal of this run carries.

        Raises
        ------
        SessionError
            Another job is running.
        """
        if self._state != IDLE:
            raise SessionError("One job runs at a time", f"run {self._number} is {self._state}", "Stop it, or wait for its end")
        self._number = self._number + 1 if number is None else number
        self._begin(job)
        return self._number

    def supersede(self, job: Work, number: int | None = None) -> int:
        """Run a job instead of the one that runs now; of several that wait only the latest is run.

        Parameters
        ----------
        job : generator, or callable that makes one
            The job.
        number : int, optional
            Number of the run; counts up by itself.
        """
        if self._state == IDLE:
            return self.start(job, number)
        dropped, newest = self._waiting, self._waiting[0] if self._waiting else self._number
        self._waiting = (newest + 1 if number is None else number, job)
        self._ask_to_stop()
        number = self._waiting[0]
        if dropped is not None:
            self.stopped.emit(dropped[0])
        return number

    def stop(self) -> None:
        """Ask the job to stop; returns at once, :attr:`stopped` follows at the job's next event."""
        dropped, self._waiting = self._waiting, None
        self._ask_to_stop()
        if dropped is not None:
            self.stopped.emit(dropped[0])

    def close(self, wait: float = 2.0) -> None:
        """Stop and wait briefly; afterwards nothing is said about the job.

        Parameters
        ----------
        wait : float
            Seconds to wait for the job's next event.
        """
        self._waiting = None
        self._mail.stop.set()
        self._timer.stop()
        if self._thread is not None:
            self._thread.join(wait)
            self._thread = None
        self._set_state(IDLE)

    def _begin(self, job: Work) -> None:
        self._mail = mail = _Mailbox()
        self.destroyed.connect(mail.stop.set)
        self._set_state(RUNNING)
        self._thread = _hire(mail, job)
        self._timer.start()

    def _ask_to_stop(self) -> None:
        if self._state == RUNNING:
            self._mail.stop.set()
            self._mail.forget()
            self._set_state(STOPPING)

    def _set_state(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self.stateChanged.emit(state)

    def _visit(self) -> None:
        """Read the mailbox for a short while; runs in the main thread."""
        sweeping.sweep()
        began, mail = time.perf_counter(), self._mail
        due = began - self._refreshed >= _REFRESH_S or mail.ended()
        kinds: set[type[Event]] = {*_ALL_OF_THEM, Progress, Preview} if due else set(_ALL_OF_THEM)
        while time.perf_counter() - began < _VISIT_S:
            event = mail.take(kinds)
            if event is None:
                break
            if isinstance(event, (Progress, Preview)):
                # a quick job has posted the next one already; it waits for the next visit
                kinds.discard(type(event))
                self._refreshed = began
            if self._state == RUNNING or isinstance(event, Note):
                self.said.emit(self._number, event)
        end = mail.last_word()
        if end is not None and mail is self._mail:
            self._finish(*end)

    def _finish(self, how: str, what: Any) -> None:
        self._timer.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.destroyed.disconnect(self._mail.stop.set)
        self._mail, unwanted = _Mailbox(), self._state == STOPPING
        if self._waiting is None:
            self._set_state(IDLE)
        self._tell(how, what, unwanted)
        if self._waiting is not None:
            (self._number, job), self._waiting = self._waiting, None
            self._begin(job)
        elif self._state == STOPPING:
            self._set_state(IDLE)

    def _tell(self, how: str, what: Any, unwanted: bool) -> None:
        if how == "failed":
            self.failed.emit(self._number, what)
        elif how == "returned" and not unwanted:
            self.returned.emit(self._number, what)
        else:
            self.stopped.emit(self._number)
