"""Work in flight: numbered requests, and the one place their answers come back to.

A part of the session asks the :class:`Desk` for work; the desk numbers it and emits ``requested``. Whoever runs jobs
(the window's runner, :class:`InlineRunner`) hands every event and the end of the job back with the number. An answer nobody
waits for any more is dropped.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psygnal import EmitLoopError, Signal

from napari_harmonize.errors import EngineError, HarmonizeError, SessionError, StoppedError
from napari_harmonize.events import Event, Job, Note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

HEAVY = frozenset({"translate", "preview", "backend"})
LONG = frozenset({"train"})


@dataclass(frozen=True, eq=False)
class Request:
    """One piece of work to be run away from the main thread.

    Parameters
    ----------
    number : int
        Counts up from 1; every answer carries it.
    kind : str
        What is being done: "load", "check", "model", "estimate", "translate", "preview", "key", "evaluate", "remedy",
        "export", "keep", "train", "pairs", "run folder", "trial".
    title : str
        What is being done, as shown to the user.
    job : Job
        The work. Nothing has run yet.
    """

    number: int
    kind: str
    title: str
    job: Job[Any]

    @property
    def heavy(self) -> bool:
        """Whether it uses the network; such requests are run one after another."""
        return self.kind in HEAVY

    @property
    def long(self) -> bool:
        """Whether it takes hours; such requests hold up nothing but one another."""
        return self.kind in LONG


@dataclass(frozen=True, eq=False)
class _Awaited:
    request: Request
    slot: str
    answer: Callable[[Any], None]
    hear: Callable[[Event], None]
    refuse: Callable[[HarmonizeError], None]


class Desk:
    """Numbers requests and applies their answers, on the thread that made it.

    Attributes
    ----------
    requested : Signal(Request)
        Work to be run. Connect exactly one runner.
    stop_requested : Signal(int)
        The job with this number is to be closed; its answer will not be read.
    message : Signal(str, str)
        A sentence for the user and its level: "info", "warning" or "error".
    changed : Signal()
        What is in flight changed.
    """

    requested = Signal(Request)
    stop_requested = Signal(int)
    message = Signal(str, str)
    changed = Signal()

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._awaited: dict[int, _Awaited] = {}
        self._last = 0

    @property
    def busy(self) -> frozenset[str]:
        """Kinds of work in flight."""
        return frozenset(waiting.request.kind for waiting in self._awaited.values())

    def number(self) -> int:
        """Take the next number."""
        self._last += 1
        return self._last

    def ask(
        self,
        kind: str,
        title: str,
        job: Job[Any],
        answer: Callable[[Any], None],
        *,
        slot: str | None = None,
        hear: Callable[[Event], None] | None = None,
        refuse: Callable[[HarmonizeError], None] | None = None,
        number: int | None = None,
    ) -> Request:
        """Ask for work.

        Parameters
        ----------
        kind, title, job
            As in :class:`Request`.
        answer : callable
            Given the job's result.
        slot : str, optional
            Work of the same slot is overtaken by this request: it is stopped and its answer dropped. The kind where not
            given.
        hear : callable, optional
            Given every event.
        refuse : callable, optional
            Given the error; where absent its sentence goes to ``message``.
        number : int, optional
            A number taken before.

        Returns
        -------
        Request
            Also emitted by ``requested``.
        """
        self._own_thread()
        slot = slot or kind
        for waiting in [waiting for waiting in self._awaited.values() if waiting.slot == slot]:
            self.drop(waiting.request.number)
        request = Request(number or self.number(), kind, title, job)
        self._awaited[request.number] = _Awaited(request, slot, answer, hear or self._hear, refuse or self._refuse)
        self.changed.emit()
        self.requested.emit(request)
        return request

    def receive(self, number: int, event: Event) -> bool:
        """Apply an event; returns whether anybody still waits for it."""
        self._own_thread()
        waiting = self._awaited.get(number)
        if waiting is not None:
            waiting.hear(event)
        return waiting is not None

    def complete(self, number: int, result: Any) -> bool:
        """Apply a result; returns whether anybody still waited for it."""
        waiting = self._take(number)
        if waiting is not None:
            self._guarded(waiting, lambda: waiting.answer(result))
            self.changed.emit()
        return waiting is not None

    def fail(self, number: int, error: BaseException) -> bool:
        """Apply an error; returns whether anybody still waited for it."""
        waiting = self._take(number)
        if waiting is not None:
            waiting.refuse(_ours(error))
            self.changed.emit()
        return waiting is not None

    def drop(self, number: int) -> None:
        """Stop waiting for an answer and ask for its job to be closed."""
        if self._take(number) is not None:
            self.stop_requested.emit(number)
            self.changed.emit()

    def drop_all(self) -> None:
        """Stop waiting for anything."""
        for number in tuple(self._awaited):
            self.drop(number)

    def say(self, text: str, level: str = "info") -> None:
        """Show the user a sentence."""
        self.message.emit(text, level)

    def _take(self, number: int) -> _Awaited | None:
        self._own_thread()
        waiting = self._awaited.pop(number, None)
        if waiting is None:
            logger.debug("answer %d came late and was dropped", number)
        return waiting

    def _guarded(self, waiting: _Awaited, act: Callable[[], None]) -> None:
        try:
            act()
        except HarmonizeError as error:
            waiting.refuse(error)
        except EmitLoopError as error:
            # a listener's error comes wrapped by psygnal; what is none of ours goes on
            if not isinstance(error.__cause__, HarmonizeError):
                raise
            waiting.refuse(error.__cause__)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Note):
            self.say(event.text, event.level)

    def _refuse(self, error: HarmonizeError) -> None:
        if not isinstance(error, StoppedError):
            self.say(str(error), "error")

    def _own_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise SessionError("Only the thread that made the session may write to it", f"{threading.current_thread().name} tried")


class InlineRunner:
    """Runs requests one after another on the calling thread; for tests, scripts and the terminal.

    Parameters
    ----------
    desk : Desk
        Whose requests to run.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: list[Request] = []
        desk.requested.connect(self._waiting.append)
        desk.stop_requested.connect(self._forget)

    def run(self) -> None:
        """Run until nothing is asked for any more, what the answers ask for included."""
        while self._waiting:
            self._run_one(self._waiting.pop(0))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run on leaving the block whatever was asked for inside it."""
        yield
        self.run()

    def _run_one(self, request: Request) -> None:
        try:
            while self._desk.receive(request.number, next(request.job)):
                pass
            request.job.close()
        except StopIteration as end:
            self._desk.complete(request.number, end.value)
        except HarmonizeError as error:
            self._desk.fail(request.number, error)

    def _forget(self, number: int) -> None:
        self._waiting[:] = [request for request in self._waiting if request.number != number]


def _ours(error: BaseException) -> HarmonizeError:
    if isinstance(error, HarmonizeError):
        return error
    return EngineError("The work ends with a result", f"{type(error).__name__}: {error}")
