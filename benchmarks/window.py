"""Measure the window: how long opening the docks takes, how long the event loop is held up by whatever a user does, how fast Stop answers.

Usage: python benchmarks/window.py [--sample NAME | --source FILE [--truth FILE] [--mask FILE]] [--model NAME_OR_PATH]

Needs a display; a virtual one will do. Every gap above the limit is printed with the line at which the window's thread stood.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

LIMIT = 0.1


class Watch:
    """Beats in the window's thread, and another thread that looks where it stands when a beat is late.

    The looks must not keep a frame: what it holds, painters among it, would then be let go of in the wrong thread.
    """

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.main, self.looks = threading.get_ident(), []
        self.last, self.longest, self.stood = time.perf_counter(), 0.0, []
        self.timer = QTimer()
        self.timer.setInterval(2)
        self.timer.timeout.connect(self.beat)
        self.timer.start()
        threading.Thread(target=self.look, daemon=True).start()

    def beat(self) -> None:
        now = time.perf_counter()
        gap, self.last = now - self.last, now
        if gap > self.longest:
            self.longest, self.stood = gap, self.looks if gap > LIMIT else []
        self.looks = []

    def look(self) -> None:
        while True:
            time.sleep(0.02)
            late = time.perf_counter() - self.last
            if late > 0.5 * LIMIT and len(self.looks) < 12:
                self.looks.append((late, where(self.main)))

    def start(self) -> None:
        self.last, self.longest, self.stood = time.perf_counter(), 0.0, []


def where(thread: int) -> list[tuple[str, int, str]]:
    """Name the innermost places at which a thread stands; nothing here lets another thread run, and no frame is kept."""
    frame, found = sys._current_frames().get(thread), []
    while frame is not None and len(found) < 9:
        found.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    del frame
    return found


def told(looks: list[tuple[float, list[tuple[str, int, str]]]]) -> str:
    """Write the looks, a line each."""
    lines = []
    for late, places in looks:
        stack = " < ".join(f"{Path(file).name}:{line} {name}" for file, line, name in places)
        lines.append(f"\n      {1000 * late:4.0f} ms {stack}")
    return "".join(lines)


class Trial:
    """One window, and what a user does in it, phase by phase."""

    def __init__(self) -> None:
        import napari

        self.viewer = napari.Viewer(title="napari-harmonize", show=True)
        self.process(2.0)
        began = time.perf_counter()
        from napari_harmonize.widgets.session_of import session_of
        from napari_harmonize.widgets.workspace import open_workspace

        self.workspace = open_workspace(self.viewer)
        self.docks = {name: dock.widget() for name, dock in self.workspace.docks.items()}
        self.session = session_of(self.viewer)
        self.process()
        print(f"open the docks                 {time.perf_counter() - began:8.2f} s   (budget 1 s)")
        self.session.desk.message.connect(lambda text, level: print("   said:", level, text))
        self.watch = Watch()

    def process(self, seconds: float = 0.0) -> None:
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        QApplication.processEvents()
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.001)

    def idle(self) -> None:
        for _ in range(3):
            while self.session.desk.busy or self.session.runs.running or self.session.runs.queued:
                self.process(0.002)
            self.process(0.1)

    def phase(self, name: str) -> Phase:
        return Phase(self, name)


class Phase:
    """Measure what is inside ``with``."""

    def __init__(self, trial: Trial, name: str) -> None:
        self.trial, self.name = trial, name

    def __enter__(self) -> None:
        self.trial.watch.start()
        self.began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.trial.process(0.05)
        watch = self.trial.watch
        took = time.perf_counter() - self.began
        print(f"{self.name:22s} {1000 * watch.longest:8.0f} ms held up, of {took:6.1f} s{told(watch.stood)}", flush=True)


def main() -> None:
    asked = arguments()
    trial = Trial()
    session, docks = trial.session, trial.docks
    with trial.phase("first seconds"):
        trial.process(6.0)
        trial.idle()
    if asked.model:
        session.model.choose(asked.model)
    with trial.phase("nothing"):
        trial.process(2.0)
    with trial.phase("open the pair"):
        open_pair(trial, asked)
        trial.idle()
    for finding in session.state.waiting:
        session.pair.tick(finding.code)
    trial.idle()
    trial.workspace.docks["Translate"].raise_()
    with trial.phase("while it translates"):
        docks["Translate"].run_button.click()
        while session.runs.running is None or session.runs.running.done < session.runs.running.total - 1 or not session.runs.running.total:
            trial.process(0.002)
    with trial.phase("the result arrives"):
        trial.idle()
    trial.workspace.docks["Inspect"].raise_()
    with trial.phase("look at Inspect"):
        trial.idle()
        trial.process(2.0)
    trial.workspace.docks["Style key"].raise_()
    with trial.phase("look at Style key"):
        trial.process(2.0)
        trial.idle()
    with trial.phase("turn the key"):
        slide = docks["Style key"].sliders.slides["brightness"].slider
        for value in range(0, 30, 3):
            slide.setValue(value)
            trial.process(0.05)
        trial.process(1.0)
        trial.idle()
    with trial.phase("walk through slices"):
        axes = trial.viewer.dims.nsteps
        for step in range(0, axes[0], max(1, axes[0] // 30)):
            trial.viewer.dims.set_current_step(0, step)
            trial.process(0.02)
    trial.workspace.docks["Translate"].raise_()
    stops(trial)
    trial.viewer.close()


def stops(trial: Trial) -> None:
    """Press Stop at five moments of a run."""
    answers = []
    for wait in (0.0, 0.3, 0.7, 1.5, 3.0):
        trial.docks["Translate"].run_button.click()
        while trial.session.runs.running is None:
            trial.process(0.002)
        trial.process(wait)
        if trial.session.runs.running is None:
            print(f"   the run was over before {wait} s")
            continue
        began = time.perf_counter()
        trial.docks["Translate"].stop_button.click()
        obeyed = time.perf_counter()
        trial.process()
        answers.append((obeyed - began, time.perf_counter() - began))
        trial.idle()
    obeyed, seen = (1000 * max(moments) for moments in zip(*answers, strict=True))
    print(f"Stop is obeyed within          {obeyed:8.0f} ms  (budget 100 ms; {len(answers)} times)")
    print(f"and everything painted within  {seen:8.0f} ms")


def open_pair(trial: Trial, asked: argparse.Namespace) -> None:
    from napari_harmonize.session import Role

    if asked.source is None:
        trial.session.pair.open_sample(asked.sample)
        return
    for role in Role:
        path = getattr(asked, role.value, None)
        if path is not None:
            trial.docks["Pair"].open_path(role, path)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", default="flair-to-t1")
    parser.add_argument("--model", default="")
    for role in ("source", "truth", "mask"):
        parser.add_argument(f"--{role}", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
