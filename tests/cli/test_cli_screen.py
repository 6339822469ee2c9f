"""Progress, notes, tables and Ctrl-C."""

from __future__ import annotations

import io
import math
import os
import signal
import sys
import threading

import pytest

from napari_harmonize.cli import screen
from napari_harmonize.cli.evaluating import number
from napari_harmonize.cli.options import Terminal
from napari_harmonize.errors import StoppedError
from napari_harmonize.events import Note, Progress, Stage


def job(log, events):
    try:
        yield from events
        return "made"
    finally:
        log.append("closed")


EVENTS = [Stage("Sampling", "2 slices"), Note("All is well."), Progress(0, 4, "slices"), Progress(4, 4, "slices"), Note("Odd.", "warning")]


def test_a_job_is_run_to_its_result_with_plain_lines_where_there_is_no_terminal(capsys):
    assert screen.run(job([], EVENTS), Terminal()) == "made"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "Sampling (2 slices)", "Note: All is well.", "Sampling: 0 of 4 slices", "Sampling: 4 of 4 slices", "Warning: Odd.",
    ]  # fmt: skip


def test_lines_come_now_and_then_and_tell_rate_and_time_left(capsys, monkeypatch):
    now = iter([100.0, 102.0, 103.0, 110.0, 130.0])
    monkeypatch.setattr(screen.time, "monotonic", lambda: next(now))
    screen.run(job([], [Stage("Sampling"), *(Progress(done, 100) for done in (1, 2, 20, 100))]), Terminal())
    assert capsys.readouterr().err.splitlines()[1:] == [
        "Sampling: 1 of 100 steps, 0.5 a second, 3:18 left",
        "Sampling: 20 of 100 steps, 2 a second, 0:40 left",
        "Sampling: 100 of 100 steps",
    ]


def test_quiet_leaves_only_warnings(capsys):
    screen.run(job([], EVENTS), Terminal(quiet=True))
    assert capsys.readouterr().err == "Warning: Odd.\n"


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal_(io.StringIO):
        def isatty(self):
            return True

    shown = Terminal_()
    monkeypatch.setattr(sys, "stderr", shown)
    screen.run(job([], [Stage("Sampling"), Progress(2, 4, "slices"), Note("Half done."), Progress(4, 4, "slices")]), Terminal())
    assert "Sampling: " in shown.getvalue()
    assert "2/4" in shown.getvalue()
    assert "Note: Half done." in shown.getvalue()


def test_the_first_ctrl_c_closes_the_job_at_its_next_event(capsys):
    log = []

    def pressed():
        yield Stage("Sampling")
        os.kill(os.getpid(), signal.SIGINT)
        yield Progress(1, 2)
        log.append("went on")

    def watched():
        try:
            yield from pressed()
        finally:
            log.append("closed")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError):
        screen.run(watched(), Terminal())
    assert log == ["closed"]
    assert "Stopping" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_ctrl_c_interrupts_at_once():
    def stuck():
        yield Stage("Sampling")
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        yield Progress(1, 2)

    with pytest.raises(KeyboardInterrupt):
        screen.run(stuck(), Terminal())


def test_a_job_may_run_in_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(screen.run(job([], []), Terminal())))
    thread.start()
    thread.join()
    assert found == ["made"]


def test_columns_are_aligned_and_numbers_stand_to_the_right():
    text = screen.table([("psnr", "13.1", ""), ("long name", "-", "dB")], ("metric", "value", "unit"))
    assert text.splitlines() == ["metric     value  unit", "---------  -----  ----", "psnr        13.1", "long name      -  dB"]
    assert screen.table([("1.312e+06", "a"), ("inf", "b")]) == "1.312e+06  a\n      inf  b"
    assert screen.table([("a", "b")]) == "a  b"


@pytest.mark.parametrize(("value", "text"), [(17.0, "17.00"), (1312345.0, "1.312e+06"), (math.nan, "-"), (math.inf, "inf"), (0.0, "0.000")])
def test_numbers_have_four_digits(value, text):
    assert number(value) == text
