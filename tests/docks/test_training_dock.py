"""A tiny network trained through the dock's own buttons: started, stopped, gone on with, finished, used."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

import family_models
import training_pairs
from napari_harmonize.session import Phase
from napari_harmonize.settings import replace
from napari_harmonize.training.folder import CHECKPOINT, RESULT

# checkpoints so rare that only the one of stopping can be gone on from
SETTINGS = replace(training_pairs.QUICK, steps=30, validate=15, save=1000)


@pytest.fixture
def recipe(tmp_path):
    return family_models.make(tmp_path / "start", "sa-unet").path / "recipe.json"


@pytest.fixture
def table(tmp_path):
    lines = ["patient,source,target,split"]
    lines += [f"{pair.patient},{pair.source.name},{pair.target.name},{pair.split}" for pair in training_pairs.make(tmp_path)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    return tmp_path / "pairs.csv"


def press(qtbot, button):
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_a_model_is_trained_stopped_continued_and_used(bench, recipe, table, tmp_path, monkeypatch, qtbot):
    bench.raise_("Training")
    dock, training = bench["Training"], bench.session.training
    assert dock.seen()
    assert "recipe, or a model" in dock.stage.text()
    assert not dock.start_button.isEnabled()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(recipe), ""))
    row = dock.form.begin.findText("Recipe file…")
    dock.form.begin.activated.emit(row)
    dock.form.table.line.setText(str(tmp_path / "none.csv"))
    dock.form.table.line.editingFinished.emit()
    bench.idle()
    assert "none.csv" in dock.form.counts.text()
    dock.form.table.line.setText(str(table))
    dock.form.table.line.editingFinished.emit()
    bench.idle()
    assert dock.form.counts.text() == "3 for train, 1 for validation"
    dock.folder.line.setText(str(tmp_path / "run"))
    dock.folder.line.editingFinished.emit()
    bench.idle()
    training.ask(fit=SETTINGS)
    assert dock.form.usual.editor("steps").value() == 30

    press(qtbot, dock.start_button)
    assert not dock.form.isEnabled()
    bench.until(lambda: training.found.curves.get("loss"), seconds=900)
    assert dock.bar.isVisible()
    press(qtbot, dock.stop_button)
    assert training.phase is Phase.STOPPED
    assert dock.start_button.text() == "Continue"
    before = training.progress.done
    assert 0 < before < 30

    press(qtbot, dock.start_button)  # queues behind the job that still keeps its last step
    bench.until(lambda: training.progress.done > 0, seconds=900)
    assert training.progress.done > before
    assert (tmp_path / "run" / CHECKPOINT).is_file()
    bench.until(lambda: training.phase is Phase.DONE, seconds=900)
    bench.idle()
    assert [step for step, _ in training.found.curves["loss"]][-1] == 30
    assert list(dock.curves.plots["ssim"].curve("ssim")[0]) == [15, 30]
    assert training.trial.step == 30
    assert dock.trials.slider.maximum() == 1
    assert {key for _, key in dock.trials.view.panes} == {"source", "result", "truth"}
    assert [pane._mark for (_, key), pane in dock.trials.view.panes.items() if key == "result"] == [True] * 3

    dock.trials.slider.setValue(0)
    bench.idle()
    assert training.trial.step == 15
    name = str(tmp_path / "run" / RESULT)
    assert bench["Translate"].choice.model.findData(name) >= 0
    assert bench.session.model.settings.model != name
    press(qtbot, dock.use_button)
    bench.idle()
    assert bench["Translate"].choice.model.currentData() == name
    assert not dock.start_button.isEnabled()
    assert "finished model" in dock.start_button.toolTip()
