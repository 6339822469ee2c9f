"""A published checkpoint, chosen by a button or dropped, becomes the chosen model."""

from __future__ import annotations

import pytest
import torch
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_harmonize.diffusion.schedules import bridge, buffers
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings

TINY = BridgeUNetSettings(width=32, multipliers=(1, 2), blocks=1, head_width=32, bins=16)


@pytest.fixture
def checkpoint(tmp_path):
    """A small CT2MRI checkpoint with random weights."""
    state = {f"denoise_fn.{name}": value for name, value in BridgeUNet(TINY).state_dict().items()}
    arrays = buffers(bridge(BridgeSettings()))
    state |= {name: torch.from_numpy(values).float() for name, values in arrays.items()}
    torch.save({"step": 1, "epoch": 1, "model": state}, tmp_path / "top_model.pth")
    return tmp_path / "top_model.pth"


def _dragged(path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    return data


def drop(widget, path):
    """Drag a file onto a widget and let go; tells whether it was taken."""
    data, spot = _dragged(path), QPoint(20, 20)
    enter = QDragEnterEvent(spot, Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter.setAccepted(False)
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        let_go = QDropEvent(QPointF(spot), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(widget, let_go)
    return enter.isAccepted()


def test_a_checkpoint_is_asked_about_imported_and_chosen(bench, checkpoint, monkeypatch, qtbot):
    bench.raise_("Translate")
    dock = bench["Translate"]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(checkpoint), ""))
    qtbot.mouseClick(dock.choice.checkpoint, Qt.MouseButton.LeftButton)
    bench.until(lambda: dock.importer.dialog is not None and dock.importer.dialog.isVisible())
    dialog = dock.importer.dialog
    assert dialog.form.value().from_contrast == "CT"
    dialog.form.editor("head_width").box.setValue(32)
    qtbot.mouseClick(dialog.ok, Qt.MouseButton.LeftButton)
    assert not dialog.form.isEnabled()
    bench.until(lambda: bench.session.model.settings.model == str(checkpoint.with_suffix("")))
    bench.idle()
    assert "Assumed" in dialog.notes.toPlainText()
    assert "imported and chosen" in dialog.stage.text()
    assert dock.choice.model.currentData() == str(checkpoint.with_suffix(""))
    dialog.reject()
    bench.process(0.1)
    assert dock.importer.dialog is None


def test_a_refusal_stands_in_the_dialog_and_can_be_mended(bench, checkpoint, qtbot):
    dock = bench["Translate"]
    assert drop(dock, checkpoint)
    bench.until(lambda: dock.importer.dialog is not None)
    dialog = dock.importer.dialog
    taken = checkpoint.parent / "taken"
    taken.mkdir()
    (taken / "file").write_text("here already")
    dialog.folder.setText(str(taken))
    dialog.form.editor("head_width").box.setValue(32)
    dialog.ok.click()
    bench.idle()
    assert "taken holds files" in dialog.stage.text()
    assert dialog.ok.isEnabled()
    dialog.folder.setText(str(checkpoint.parent / "free"))
    dialog.ok.click()
    bench.idle()
    assert bench.session.model.settings.model == str(checkpoint.parent / "free")
    dialog.reject()
    bench.process(0.1)


def test_a_package_is_dropped_and_other_files_are_not_taken(bench, package, tmp_path):
    dock = bench["Translate"]
    assert drop(dock, package)
    bench.idle()
    assert bench.session.model.settings.model == str(package)
    (tmp_path / "text.txt").write_text("no model")
    assert not drop(dock, tmp_path / "text.txt")
    assert not any(inner.acceptDrops() for inner in dock.usual.findChildren(type(dock.usual.editor("steps").box)))


def test_settings_come_back_from_their_file(bench, package, tmp_path, monkeypatch):
    bench.use_model(package)
    bench.session.model.change(steps=7)
    path = bench.session.save_settings(tmp_path / "settings.json")
    bench.session.model.change(steps=3)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    bench["Translate"]._load()
    bench.idle()
    assert bench.session.model.settings.steps == 7
    bench.session.model.choose("any-to-t1")
    bench.idle()
    bench["Translate"]._load()
    bench.idle()
    assert bench.session.model.settings.model == str(package)
    path.write_text("{}")
    bench["Translate"]._load()
    assert "kind" in bench["Translate"].messages.label.text()
