"""Cyclic garbage is collected in the window's thread while jobs run.

Python collects it in whichever thread happens to allocate, and a job allocates most. Among it are style options, icons and pictures
that napari's widgets leave behind; a thread that destroys one while the window paints with it brings the program down. So while threads
are at work automatic collection rests, and the runner's visits collect in its place.
"""

from __future__ import annotations

import atexit
import gc
import threading

from qtpy.QtCore import QObject, Qt, Signal

_lock = threading.Lock()
_at_work: dict[threading.Thread, threading.Event] = {}
_paused = False


class _Caretaker(QObject):
    """Hears in the window's thread that the last thread is done: a thread that turned collection on again would be the first to do it."""

    idle = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.idle.connect(self._heard, Qt.ConnectionType.QueuedConnection)

    def _heard(self) -> None:
        rest()


_caretaker: _Caretaker | None = None


def enter(thread: threading.Thread, stop: threading.Event) -> None:
    """Count a thread that is about to start.

    Parameters
    ----------
    thread : Thread
        It calls :func:`leave` at its end.
    stop : Event
        Tells it to stop.
    """
    global _paused, _caretaker
    with _lock:
        _caretaker = _caretaker or _Caretaker()
        _at_work[thread] = stop
        if gc.isenabled():
            gc.disable()
            _paused = True


def leave() -> None:
    """Say that this thread is done; after the last one Python collects by itself again."""
    with _lock:
        _at_work.pop(threading.current_thread(), None)
        if _caretaker is not None and not _at_work:
            _caretaker.idle.emit()


def rest() -> None:
    """Let Python collect by itself where no thread is at work; for the window's thread."""
    global _paused
    with _lock:
        if _paused and not _at_work:
            gc.enable()
            _paused = False


def sweep() -> None:
    """Collect young garbage where Python would have done so; for the window's thread."""
    if not _paused:
        return
    young, middle, _ = gc.get_count()
    limit, middle_limit, _ = gc.get_threshold()
    if young > limit:
        gc.collect(1 if middle > middle_limit else 0)


@atexit.register
def finish() -> None:
    """Stop every thread and wait for it.

    An interpreter that ends while a thread computes cuts it off inside the library's own code, and the process aborts: whoever
    closes the window during a run would be told that the program has crashed.
    """
    for thread, stop in list(_at_work.items()):
        stop.set()
        thread.join()
