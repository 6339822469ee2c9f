"""A real viewer with the arranged workspace, a tiny model, a small pair, and somebody who uses it."""

from __future__ import annotations

import gc
import time

import nibabel as nib
import numpy as np
import pytest

import tiny_model
from display import has_display


def pytest_collection_modifyitems(items):
    for item in items:
        if "docks" in item.path.parts:
            item.add_marker(pytest.mark.gui)
            if not has_display():
                item.add_marker(pytest.mark.skip(reason="no display: run under Xvfb"))


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path):
    """What a user's machine remembers is neither read nor written."""
    from qtpy.QtCore import QSettings

    from napari_harmonize.widgets import notice

    kept = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(notice, "settings", lambda: kept)
    kept.setValue(notice.READ, True)
    return kept


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """Folder of a model package with random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_model.make(folder)
    return folder


def _head(seed):
    """A stripped head with a dark middle, and the same one in another contrast."""
    shape = (26, 30, 20)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    inside = radius < 0.9
    noise = np.random.default_rng(seed).random(shape) * 20
    source = np.where(inside, 60 + 150 * radius + noise, 0)
    truth = np.where(inside, 240 - 150 * radius + noise, 0)
    # one slice of the truth is brighter, so that there is something to jump to
    return source, truth, inside


@pytest.fixture
def files(tmp_path):
    """NIfTI files of source, truth and mask."""
    affine = np.diag([-3.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (40, -45, -38)
    paths = {}
    for name, data in zip(("source", "truth", "mask"), _head(3), strict=True):
        paths[name] = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(data.astype(np.uint8 if name == "mask" else np.float32), affine), paths[name])
    return paths


class Bench:
    """The workspace, and waiting for what it does."""

    def __init__(self, viewer):
        from napari_harmonize.widgets.session_of import session_of
        from napari_harmonize.widgets.workspace import open_workspace

        self.viewer = viewer
        self.workspace = open_workspace(viewer)
        self.docks = {name: dock.widget() for name, dock in self.workspace.docks.items()}
        self.session = session_of(viewer)
        self.messages = []
        self.session.desk.message.connect(self.hear)

    def hear(self, text, level):
        self.messages.append((level, text))

    def __getitem__(self, name):
        return self.docks[name]

    def activate(self):
        """Let the window take the keyboard; there may be no window manager to give it."""
        window = self.workspace.window
        window.activateWindow()
        window.raise_()
        self.until(window.isActiveWindow, seconds=5)

    def raise_(self, name):
        self.workspace.docks[name].raise_()
        self.process()

    def process(self, seconds=0.0):
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        QApplication.processEvents()
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def until(self, condition, seconds=60.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"nothing happened: busy {set(self.session.desk.busy)}, said {self.messages[-3:]}"
            self.process(0.002)

    def idle(self):
        """Wait until nothing is in flight and nothing follows."""
        for _ in range(2):
            self.until(lambda: not self.session.desk.busy)
            self.process(0.05)

    def open_pair(self, files):
        from napari_harmonize.session import Role

        for role in Role:
            if role.value in files:
                self["Pair"].open_path(role, files[role.value])
                self.until(lambda: not self.session.desk.busy)
        self.idle()

    def use_model(self, folder):
        self.session.model.choose(str(folder))
        self.idle()
        self.session.model.change(steps=2)
        self.idle()

    def tick_all(self, qtbot):
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QCheckBox

        self.raise_("Pair")
        for _ in range(8):
            boxes = [box for box in self["Pair"].findings.findChildren(QCheckBox) if box.isVisible() and not box.isChecked()]
            if not boxes:
                return
            qtbot.mouseClick(boxes[0], Qt.MouseButton.LeftButton, pos=boxes[0].rect().center())
            if not boxes[0].isChecked():
                boxes[0].click()
            self.process()

    def run(self, qtbot):
        from qtpy.QtCore import Qt

        self.raise_("Translate")
        button = self["Translate"].run_button
        assert button.isEnabled(), button.toolTip()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def finish(self):
        self.until(lambda: self.session.runs.running is None and not self.session.runs.queued)
        self.idle()


@pytest.fixture
def viewer(make_napari_viewer, qtbot):
    made = make_napari_viewer(show=True)
    made.window.resize(1920, 1080)
    return made


@pytest.fixture
def bench(viewer):
    """The arranged workspace; nothing of it runs on afterwards."""
    made = Bench(viewer)
    made.idle()
    made.activate()
    yield made
    made.session.desk.drop_all()
    made.process(0.1)
    vars(made).clear()
    gc.collect()


@pytest.fixture
def ready(bench, files, package, qtbot):
    """The workspace with a pair, a model, and everything confirmed."""
    bench.use_model(package)
    bench.open_pair(files)
    bench.tick_all(qtbot)
    return bench
