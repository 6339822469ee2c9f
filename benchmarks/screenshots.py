"""Make the pictures of ``docs/images``: the workspace during the journey, at two sizes, dark and light.

Usage: python benchmarks/screenshots.py [FOLDER] [--model NAME_OR_PATH] [--sample NAME] [--source FILE --truth FILE --mask FILE]

Needs a display; a virtual one will do. Without files the sample pair is shown; pictures of anybody's scan do not belong into the
repository.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

SIZES = {"1920x1080": (1920, 1080), "1280x800": (1280, 800)}
THEMES = ("dark", "light")


def main() -> None:
    asked = _arguments()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for size, (width, height) in SIZES.items():
        for theme in THEMES:
            Shoot(asked, f"{theme}-{size}", theme, width, height).journey()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    parser.add_argument("--model", default="")
    parser.add_argument("--sample", default="flair-to-t1")
    parser.add_argument("--steps", type=int, default=0)
    for role in ("source", "truth", "mask"):
        parser.add_argument(f"--{role}", type=Path)
    return parser.parse_args()


class Shoot:
    """One window, one theme, one size."""

    def __init__(self, asked: argparse.Namespace, tag: str, theme: str, width: int, height: int) -> None:
        import napari

        from napari_harmonize.widgets import notice
        from napari_harmonize.widgets.session_of import session_of
        from napari_harmonize.widgets.workspace import open_workspace

        self.asked, self.tag, self.size = asked, tag, (width, height)
        notice.settings = _read_settings
        self.viewer = napari.Viewer(title="napari-harmonize", show=True)
        self.viewer.theme = theme
        self.workspace = open_workspace(self.viewer)
        self.window = self.workspace.window
        self.docks = {name: dock.widget() for name, dock in self.workspace.docks.items()}
        self.session = session_of(self.viewer)
        self.session.desk.message.connect(_said)
        for _ in range(3):  # what is folded lets it become smaller still
            self.window.resize(width, height)
            self.process(0.3)
        self.idle()

    def journey(self) -> None:
        self.shoot("1-start")
        self.open()
        self.shoot("2-pair")
        for finding in self.session.state.waiting:
            self.session.pair.tick(finding.code)
        self.idle()
        self.page("Translate")
        self.run()
        self.idle()
        self.shoot("4-result")
        self.style()
        self.compare()
        self.review()
        self.train()
        self.viewer.close()

    def open(self) -> None:
        from napari_harmonize.session import Role

        if self.asked.model or self.session.model.package is None:
            self.session.model.choose(self.asked.model)
            self.idle()
        if self.asked.steps:
            self.session.model.change(steps=self.asked.steps)
        if self.asked.source is None:
            self.session.pair.open_sample(self.asked.sample)
            self.idle()
            return
        for role in Role:
            if getattr(self.asked, role.value):
                self.docks["Pair"].open_path(role, getattr(self.asked, role.value))
                self.idle()

    def run(self) -> None:
        self.docks["Translate"].run_button.click()
        runs = self.session.runs
        self.until(lambda: runs.running is None or (runs.running.preview is not None and runs.running.done > 0))
        self.process(0.3)
        self.shoot("3-running")
        self.until(lambda: runs.running is None)

    def style(self) -> None:
        self.page("Style key")
        self.until(lambda: self.session.style.rendered is not None or not self.session.style.value.key)
        style = self.docks["Style key"]
        style.sliders.slides["gamma"].slider.setValue(130)
        self.process(0.3)
        self.idle()
        self.shoot("5-style")
        style.sliders.slides["gamma"].slider.setValue(200)
        style.sliders.slides["brightness"].slider.setValue(0)
        self.process(0.3)
        self.idle()
        self.shoot("6-style-far")
        self.session.style.reset()
        self.idle()

    def compare(self) -> None:
        inspect = self.docks["Inspect"]
        inspect.fold(False)
        inspect.tabs.setCurrentIndex(1)
        self.press(inspect.view, "C")  # side by side, then curtain
        self.idle()
        self.shoot("7-numbers-curtain")
        self.press(inspect.view, "CC")  # checkerboard, then side by side
        inspect.view.maximise("axial", "result")
        self.shoot("8-maximised")
        inspect.view.restore()
        inspect.tabs.setCurrentIndex(0)
        inspect.bar.canvas.setChecked(True)
        self.process(0.3)
        self.shoot("9-canvas")
        inspect.bar.canvas.setChecked(False)
        self.workspace.fit()
        self.window.resize(*self.size)

    def press(self, widget, keys: str) -> None:
        from qtpy.QtTest import QTest

        QTest.keyClicks(widget, keys)
        self.idle()

    def review(self) -> None:
        from napari_harmonize.session import Tag

        self.page("Review and export")
        with tempfile.TemporaryDirectory() as folder:
            self.session.open_project(Path(folder) / "study")
            self.session.review.set_rater("A. Reader")
            self.session.review.set_draft(comment="ventricles as in the source", tags={"slice jumps": Tag.ABSENT}, confidence=4)
            self.session.decide("accept")
            self.idle()
            self.shoot("10-review")
            self.session.desk.drop_all()
            self.process(0.2)

    def train(self) -> None:
        """A small network learns from the sample pairs: what is seen is the dock, not a model worth having."""
        import csv
        import json

        from napari_harmonize.session.samples import FOLDER
        from napari_harmonize.settings import replace
        from napari_harmonize.translation.recipes import FOLDER as RECIPES

        training = self.session.training
        with tempfile.TemporaryDirectory() as folder:
            values = json.loads((RECIPES / "regression-unet.json").read_text()) | {"network_settings": {"width": 32, "multipliers": [1, 2]}}
            next(step for step in values["steps"] if step["name"] == "resample")["settings"]["spacing"] = [2.0, 2.0, 2.0]
            recipe = Path(folder) / "small-unet.json"
            recipe.write_text(json.dumps(values))
            with (Path(folder) / "pairs.csv").open("w", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(("patient", "source", "target", "mask", "split"))
                for name, split in (("ct-to-t1", "train"), ("flair-to-t1", "validation")):
                    writer.writerow((name, *(FOLDER / name / f"{role}.nii.gz" for role in ("source", "target", "mask")), split))
            small = replace(training.asked.fit, steps=40, batch=2, report=2, validate=10, warm_up=5, rate=1e-3, cases=1, validation_steps=1)
            training.ask(recipe=str(recipe), table=str(Path(folder) / "pairs.csv"), source="FLAIR", target="T1", fit=small)
            training.open(Path(folder) / "run")
            self.page("Training")
            self.idle()
            self.docks["Training"].start_button.click()
            self.until(lambda: training.trial is not None and training.trial.step == 20 and training.progress.done > 22)
            self.shoot("11-training")
            training.stop()
            self.process(2)
            self.session.desk.drop_all()

    def page(self, name: str) -> None:
        self.workspace.docks[name].raise_()
        self.process(0.3)

    def shoot(self, name: str) -> None:
        self.process(0.3)
        self.window.grab().save(str(self.asked.folder / f"{name}-{self.tag}.png"))

    def process(self, seconds: float) -> None:
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def until(self, condition: object, seconds: float = 900) -> None:
        end = time.monotonic() + seconds
        while not condition():  # type: ignore[operator]
            if time.monotonic() > end:
                raise SystemExit(f"nothing happened: {set(self.session.desk.busy)}")
            self.process(0.02)

    def idle(self) -> None:
        for _ in range(2):
            self.process(0.2)
            self.until(lambda: not self.session.desk.busy)


class _Read:
    """Settings in which the notice was read, so that it is in no picture."""

    def value(self, *_args: object, **_kwargs: object) -> bool:
        return True


def _read_settings() -> _Read:
    return _Read()


def _said(text: str, level: str) -> None:
    if level == "error":
        raise SystemExit(text)


if __name__ == "__main__":
    main()
