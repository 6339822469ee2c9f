"""The views and the form of a training run, alone and with fabricated state."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_harmonize.session import Display, Trial
from napari_harmonize.training.asked import Asked
from napari_harmonize.training.settings import FitSettings
from napari_harmonize.volumes import Meaning, from_array
from napari_harmonize.widgets.asked_form import MODEL_FOLDER, RECIPE_FILE, AskedForm
from napari_harmonize.widgets.curves_view import CurvesView
from napari_harmonize.widgets.trials_view import NONE_YET, TrialsView

CURVES = {"loss": [(50, 0.4), (100, 0.2), (150, 0.1)], "ssim": [(100, 0.6), (200, 0.8)], "psnr": [(100, 20.0), (200, 24.0)]}


def _shown(qtbot, widget, width=900, height=500):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    widget.show()
    QApplication.processEvents()
    return widget


def _trial(step):
    grid = np.random.default_rng(step).random((12, 10, 8)).astype(np.float32)
    volumes = [from_array(grid * scale, np.diag([2.0, 2.0, 3.0, 1.0]), name="box", meaning=Meaning.UNIT) for scale in (1.0, 0.5, 0.7)]
    return Trial(step, *volumes)


@pytest.fixture
def curves(qtbot):
    view = _shown(qtbot, CurvesView(), 900, 220)
    view.show_curves(CURVES)
    QApplication.processEvents()
    return view


def test_every_curve_is_drawn_whole_and_taken_away_again(curves):
    for name, points in CURVES.items():
        steps, values = curves.plots[name].curve(name)
        assert list(zip(steps, values, strict=True)) == points
        (left, right), (low, high) = curves.plots[name].viewRange()
        assert left <= points[0][0] <= points[-1][0] <= right
        assert low < min(value for _, value in points) < max(value for _, value in points) < high
    curves.show_curves({"loss": CURVES["loss"][:1]})
    assert curves.plots["ssim"].curve("ssim") is None
    low, high = curves.plots["loss"].viewRange()[1]
    assert low < 0.4 < high


def test_a_click_on_a_validation_curve_asks_for_the_nearest_validation(curves, qtbot):
    plot = curves.plots["ssim"]
    spot = plot.mapFromScene(plot.getPlotItem().vb.mapViewToScene(QPointF(185, 0.7)))
    with qtbot.waitSignal(curves.step_requested) as asked:
        QTest.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert asked.args == [200]
    curves.set_step(200)
    assert curves._here["ssim"].isVisible()
    assert curves._here["ssim"].value() == 200


def test_a_validation_is_shown_in_three_planes_and_the_slider_asks_for_others(qtbot):
    view, asked = _shown(qtbot, TrialsView()), []
    view.step_requested.connect(asked.append)
    assert view.caption.text() == NONE_YET
    view.set_display(Display())
    view.show_steps((100, 200, 300))
    view.show_trial(_trial(200))
    QApplication.processEvents()
    assert view.slider.value() == 1
    assert "step 200, 2 of 3" in view.caption.text()
    assert {key for _, key in view.view.panes} == {"source", "result", "truth"}
    assert len(view.view.panes) == 9
    marked = {key for (_, key), pane in view.view.panes.items() if pane._mark}
    assert marked == {"result"}
    assert asked == []
    view.slider.setValue(2)
    assert asked == [300]
    view.show_trial(None)
    assert not view.view.isVisible()


@pytest.fixture
def form(qtbot):
    made = _shown(qtbot, AskedForm(), 380, 900)
    made.offer({"palette": "A recipe for inpainting."}, {"any-to-t1": "Any to T1"})
    made.heard = []
    made.valueChanged.connect(made.heard.append)
    return made


def _choose(form, entry):
    row = next(row for row in range(form.begin.count()) if form.begin.itemData(row) in (entry, list(entry)))
    form.begin.setCurrentIndex(row)
    form.begin.activated.emit(row)


def test_a_recipe_or_a_model_is_begun_with_never_both(form):
    _choose(form, ("recipe", "palette"))
    assert form.heard[-1] == Asked(recipe="palette")
    assert form.about.text() == "A recipe for inpainting."
    _choose(form, ("start", "any-to-t1"))
    assert form.heard[-1] == Asked(start="any-to-t1")
    assert "fine-tuning" in form.about.text()
    assert len(form.heard) == 2


def test_files_from_elsewhere_are_listed_once_chosen(form, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/somewhere/mine.json", ""))
    _choose(form, RECIPE_FILE)
    assert form.value().recipe == "/somewhere/mine.json"
    assert form.begin.currentText() == "Recipe: mine"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    _choose(form, MODEL_FOLDER)
    assert form.value().recipe == "/somewhere/mine.json"
    assert form.begin.currentText() == "Recipe: mine"


def test_what_is_typed_and_set_is_the_value(form):
    form.table.line.setText("/data/pairs.csv")
    form.title.setText("Ours")
    form.commit()
    form.usual.editor("steps").box.setValue(300)
    form.contrasts["source"].activated.emit(5)
    assert form.value() == Asked(table="/data/pairs.csv", title="Ours", source="CT", fit=FitSettings(steps=300))
    assert form.heard[-1] == form.value()
    number = len(form.heard)
    form.setValue(Asked(recipe="palette", target="T1"))
    assert form.contrasts["target"].currentText() == "T1"
    assert form.usual.editor("steps").value() == 20000
    assert len(form.heard) == number
