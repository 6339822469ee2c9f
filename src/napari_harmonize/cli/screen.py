"""What the terminal shows: results on standard output, everything else on standard error."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from napari_harmonize.errors import StoppedError
from napari_harmonize.events import Note, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_harmonize.cli.options import Terminal
    from napari_harmonize.events import Event, Job

T = TypeVar("T")

SECONDS_BETWEEN_LINES = 5.0


def tell(text: str) -> None:
    """Print a result."""
    print(text)


def mention(text: str) -> None:
    """Print something that is no result."""
    print(text, file=sys.stderr, flush=True)


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Align columns; a column whose entries are all numbers or empty is aligned to the right.

    Parameters
    ----------
    rows : sequence of sequence of str
        As many entries in each.
    head : sequence of str
        Titles, underlined with dashes.
    """
    listed = [*([head] if head else []), *rows]
    widths = [max(len(row[place]) for row in listed) for place in range(len(listed[0]))] if listed else []
    right = [bool(rows) and all(_is_number(row[place]) for row in rows) for place in range(len(widths))]
    lines = [_line(row, widths, right) for row in listed]
    return "\n".join([*lines[:1], "  ".join("-" * width for width in widths), *lines[1:]] if head else lines)


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = (text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in zip(row, widths, right, strict=True))
    return "  ".join(cells).rstrip()


def _is_number(text: str) -> bool:
    try:
        return text in ("", "-") or not math.isnan(float(text))
    except ValueError:
        return False


def run(job: Job[T], terminal: Terminal) -> T:
    """Run a job to its end, show its progress, and close it on Ctrl-C.

    Parameters
    ----------
    job : generator of events
        The job.
    terminal : Terminal
        Whether to be quiet.

    Returns
    -------
    object
        What the job returns.

    Raises
    ------
    StoppedError
        Ctrl-C was pressed; the job was closed at its next event.
    """
    with _interrupts() as stop, _Display(terminal.quiet) as display:
        while True:
            try:
                display.show(next(job))
            except StopIteration as end:
                result: T = end.value
                return result
            if stop.is_set():
                job.close()
                raise StoppedError("Stopped")


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a flag; the second interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def pressed(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        mention("Stopping after this batch; Ctrl-C again stops at once.")

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class _Display:
    """Progress as a bar on a terminal, else as a line now and then."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._stage = ""
        self._bar: Any = None
        self._began = self._last = 0.0

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_stage()

    def show(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Note) and (event.level == "warning" or not self._quiet):
            self._say(f"{'Warning' if event.level == 'warning' else 'Note'}: {event.text}")
        elif self._quiet:
            return
        elif isinstance(event, Stage):
            self._begin_stage(event)
        elif isinstance(event, Progress):
            self._progress(event)

    def _begin_stage(self, event: Stage) -> None:
        self._end_stage()
        self._stage, self._began, self._last = event.name, time.monotonic(), 0.0
        self._say(f"{event.name} ({event.detail})" if event.detail else event.name)

    def _progress(self, event: Progress) -> None:
        if not sys.stderr.isatty():
            self._progress_line(event)
            return
        if self._bar is None or self._bar.total != event.total:
            from tqdm import tqdm

            self._end_stage()
            self._bar = tqdm(total=event.total, unit=f" {event.unit}", desc=self._stage, leave=False, dynamic_ncols=True)
        self._bar.update(event.done - self._bar.n)

    def _progress_line(self, event: Progress) -> None:
        now = time.monotonic()
        if event.done < event.total and now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last, rate = now, event.done / max(now - self._began, 1e-6)
        left = "" if event.done in (0, event.total) else f", {rate:.3g} a second, {_clock((event.total - event.done) / rate)} left"
        mention(f"{self._stage}: {event.done} of {event.total} {event.unit}{left}")

    def _say(self, text: str) -> None:
        if self._bar is None:
            mention(text)
        else:
            self._bar.write(text, file=sys.stderr)

    def _end_stage(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
