"""While jobs run, what is left over dies in the window's thread only."""

from __future__ import annotations

import gc
import threading

import pytest

from napari_harmonize.events import Stage
from napari_harmonize.widgets.runner import Runner
from napari_harmonize.widgets.sweeping import sweep


class Knot:
    """Cyclic garbage that remembers where it died."""

    def __init__(self, died):
        self.itself, self.died = self, died

    def __del__(self):
        self.died.append(threading.current_thread() is threading.main_thread())


@pytest.fixture
def runner(qapp):
    made = Runner()
    yield made
    made.close()


def test_a_job_that_leaves_much_behind_collects_nothing_itself(qtbot, runner):
    died = []

    def job():
        for _ in range(40):
            yield Stage("leaving much behind")
            for _ in range(200):
                Knot(died)

    with qtbot.waitSignal(runner.returned, timeout=20_000):
        runner.start(job)
        assert not gc.isenabled()
    qtbot.waitUntil(gc.isenabled, timeout=2000)
    gc.collect()
    assert len(died) == 40 * 200
    assert all(died)


def test_what_a_long_job_leaves_behind_does_not_pile_up(qtbot, runner):
    died, done = [], threading.Event()

    def job():
        while not done.is_set():
            yield Stage("at it")
            for _ in range(50):
                Knot(died)
            done.wait(0.001)

    with qtbot.waitSignal(runner.returned, timeout=20_000):
        runner.start(job)
        qtbot.waitUntil(lambda: len(died) > 5000, timeout=15_000)
        done.set()


def test_python_collects_again_after_a_failure_and_after_the_window_is_gone(qtbot):
    def fails():
        yield Stage("about to fail")
        raise RuntimeError("failed")

    runner = Runner()
    with qtbot.waitSignal(runner.failed, timeout=5000):
        runner.start(fails)
    qtbot.waitUntil(gc.isenabled, timeout=2000)
    going = threading.Event()

    def waits():
        while True:
            yield Stage("going on")
            going.set()

    runner.start(waits)
    assert going.wait(5)
    runner.close(wait=0.0)
    qtbot.waitUntil(gc.isenabled, timeout=5000)


def test_whoever_has_turned_collection_off_keeps_it_off(qtbot, runner):
    gc.disable()
    try:
        with qtbot.waitSignal(runner.returned, timeout=5000):
            runner.start(iter_once)
        qtbot.wait(50)
        assert not gc.isenabled()
    finally:
        gc.enable()


def iter_once():
    yield Stage("once")


def test_nothing_is_swept_while_python_does_it():
    before = gc.get_stats()[0]["collections"], gc.isenabled()
    sweep()
    assert (gc.get_stats()[0]["collections"], gc.isenabled()) == before
