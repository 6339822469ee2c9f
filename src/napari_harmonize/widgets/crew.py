"""The one runner of a session: requests go to threads, and what comes back goes to the session."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_harmonize.widgets.runner import IDLE, Runner

if TYPE_CHECKING:
    from napari_harmonize.events import Event
    from napari_harmonize.session import Request, Session

LIGHT_LANES = 2
# seconds a working thread may keep the interpreter from the window at a time; the default lets every one of the many small
# events of a repaint wait 5 ms
PATIENCE_S = 0.0005


class Lane(QObject):
    """Runs requests one after another.

    Parameters
    ----------
    session : Session
        Whom to tell what became of them.
    parent : QObject, optional
        Qt parent.
    """

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._waiting: deque[Request] = deque()
        self._current: int | None = None
        self.runner = Runner(self)
        self.runner.said.connect(self._said)
        self.runner.returned.connect(self._returned)
        self.runner.failed.connect(self._failed)
        self.runner.stopped.connect(self._ended)

    @property
    def load(self) -> int:
        """How many requests run or wait here."""
        return len(self._waiting) + (self.runner.state() != IDLE)

    def add(self, request: Request) -> None:
        """Run a request after those that wait."""
        self._waiting.append(request)
        self._next()

    def drop(self, number: int) -> None:
        """Stop a request, or forget it where it has not begun."""
        if number == self._current:
            self.runner.stop()
        self._waiting = deque(request for request in self._waiting if request.number != number)

    def close(self, wait: float) -> None:
        """Forget what waits and stop what runs."""
        self._waiting.clear()
        self.runner.close(wait)

    def _next(self) -> None:
        if self._waiting and self.runner.state() == IDLE:
            request = self._waiting.popleft()
            self._current = request.number
            self.runner.start(request.job, request.number)

    def _said(self, number: int, event: Event) -> None:
        self._session.receive(number, event)

    def _returned(self, number: int, result: Any) -> None:
        self._session.complete(number, result)
        self._ended(number)

    def _failed(self, number: int, error: BaseException) -> None:
        self._session.fail(number, error)
        self._ended(number)

    def _ended(self, number: int) -> None:
        if self._current == number:
            self._current = None
        self._next()


class Crew(QObject):
    """Runs whatever a session asks for: what uses the network one after another, training and the rest beside it.

    Parameters
    ----------
    session : Session
        Whose desk to serve.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._heavy, self._long = Lane(session, self), Lane(session, self)
        self._usual = sys.getswitchinterval()
        self._light = [Lane(session, self) for _ in range(LIGHT_LANES)]
        for lane in self._lanes():
            lane.runner.stateChanged.connect(self._share)
        session.desk.requested.connect(self._take)
        session.desk.stop_requested.connect(self._drop)

    def close(self, wait: float = 2.0) -> None:
        """Stop everything; a job that does not answer in time ends by itself, unheard.

        Parameters
        ----------
        wait : float
            Seconds to wait for each job's next event.
        """
        for lane in self._lanes():
            lane.close(wait)
        sys.setswitchinterval(self._usual)

    def _share(self, _: str) -> None:
        busy = any(lane.runner.state() != IDLE for lane in self._lanes())
        sys.setswitchinterval(PATIENCE_S if busy else self._usual)

    def _lanes(self) -> list[Lane]:
        return [self._heavy, self._long, *self._light]

    def _take(self, request: Request) -> None:
        if request.long:
            self._long.add(request)
        else:
            (self._heavy if request.heavy else min(self._light, key=lambda lane: lane.load)).add(request)

    def _drop(self, number: int) -> None:
        for lane in self._lanes():
            lane.drop(number)
