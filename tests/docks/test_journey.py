"""What a user does, from two files to an export and back, through the window's own buttons, keys and mouse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import QPointF, Qt
from qtpy.QtWidgets import QFileDialog

from napari_harmonize.session import Action, RunState, Tag, Verdict
from napari_harmonize.widgets import layers
from napari_harmonize.widgets.decision_keys import typing


@pytest.fixture
def chosen_folder(monkeypatch, tmp_path):
    """Whatever folder a dialog asks for, it is this one; the dialogs' parents are recorded."""
    folder, parents = tmp_path / "chosen", []
    folder.mkdir()

    def answer(parent, *_args, **_kwargs):
        parents.append(parent)
        return str(folder)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", answer)
    return folder, parents


def click_slice(qtbot, profile, position):
    """Click into the plot of slice consistency above a slice."""
    plot = profile.plot
    low, high = plot.getPlotItem().vb.viewRange()[1]
    scene = plot.getPlotItem().vb.mapViewToScene(QPointF(position, (low + high) / 2))
    qtbot.mouseClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=plot.mapFromScene(scene))


def test_from_two_files_to_an_export_and_back(ready, qtbot, chosen_folder, files):
    bench, (folder, parents) = ready, chosen_folder
    session = bench.session
    assert {layer.name.split(":")[0] for layer in bench.viewer.layers} == {"source", "truth", "mask"}
    assert "s" in session.state.cost

    # a project, so that decisions are kept
    bench.raise_("Review and export")
    qtbot.mouseClick(bench["Review and export"].project_button, Qt.MouseButton.LeftButton)
    assert session.project is not None
    assert parents[-1] is bench["Review and export"]

    # run, stop, run again
    bench.run(qtbot)
    bench.until(lambda: session.runs.running is not None)
    qtbot.mouseClick(bench["Translate"].stop_button, Qt.MouseButton.LeftButton)
    assert session.runs.running is None
    bench.idle()
    assert [run.state for run in session.runs.value] == [RunState.STOPPED]
    bench.run(qtbot)
    bench.finish()
    run = session.runs.value[-1]
    assert run.state is RunState.DONE, (run.error, bench.messages)
    result = next(layer for layer in bench.viewer.layers if layer.name.startswith(run.id))
    assert layers.is_synthetic(result)
    assert layers.run_of(result)["synthetic"] is True
    assert layers.from_layer(result).shape == session.pair.value.source.shape

    # the numbers and the pictures are there
    inspect = bench["Inspect"]
    assert set(inspect.view.values()) == {"source", "result", "truth", "difference"}
    assert inspect.table.rowCount() > 3

    # turn the key: the slices follow, undo takes it back
    bench.raise_("Style key")
    bench.until(lambda: session.style.rendered is not None)
    before = session.style.rendered
    slide = bench["Style key"].sliders.slides["brightness"].slider
    slide.setFocus()
    for _ in range(20):
        qtbot.keyClick(slide, Qt.Key.Key_Right)
    assert session.style.value.edit.brightness > 0
    bench.until(lambda: session.style.rendered is not before and session.style.rendered.look == session.style.value)
    qtbot.mouseClick(bench["Style key"].undo_button, Qt.MouseButton.LeftButton)
    assert session.style.value.edit.brightness < 0.1

    # jump to a slice in the slice-consistency plot
    where = session.display.value.crosshair
    click_slice(qtbot, inspect.profile, 4)
    bench.until(lambda: session.display.value.crosshair != where)
    axis = inspect.profile.profile().axis
    assert inspect.view.index()[axis] in (4, 5)
    anchor = next(layer for layer in bench.viewer.layers if layers.is_ours(layer))
    np.testing.assert_allclose(layers.world_point(anchor, bench.viewer.dims.point), session.display.value.crosshair, atol=2.1)

    # the gate is closed; a key press without a name asks for it; typing an A decides nothing
    review = bench["Review and export"]
    bench.raise_("Review and export")
    assert not review.export_button.isEnabled()
    review.worklist.setFocus()
    qtbot.keyClick(review.worklist, "a")
    assert session.review.decisions == ()
    assert review.rater.hasFocus()
    assert typing()
    qtbot.keyClicks(review.rater, "Ada R")
    assert session.review.decisions == ()
    qtbot.mouseClick(review.tags.buttons["slice jumps"], Qt.MouseButton.LeftButton)
    assert session.review.draft.tags == {"slice jumps": Tag.PRESENT}

    # reject needs a comment, accept does not; both are kept
    assert not review.buttons[Verdict.REJECT].isEnabled()
    review.comment.setFocus()
    qtbot.keyClicks(review.comment, "stripes")
    qtbot.mouseClick(review.buttons[Verdict.REJECT], Qt.MouseButton.LeftButton)
    assert session.review.latest(run.id).verdict is Verdict.REJECT
    assert not session.state[Action.EXPORT]
    inspect.view.setFocus()
    qtbot.keyClick(inspect.view, "a")
    assert session.review.latest(run.id).verdict is Verdict.ACCEPT
    assert session.review.latest(run.id).rater == "Ada R"
    assert len(session.review.decisions) == 2

    # export
    bench.raise_("Review and export")
    qtbot.mouseClick(review.export_button, Qt.MouseButton.LeftButton)
    bench.idle()
    written = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert {".gz", ".json", ".png"} <= written, bench.messages
    assert not [text for level, text in bench.messages if level == "error"]

    # the same project in another session
    again = type(session)()
    again.open_project(folder)
    assert [kept.id for kept in again.runs.value] == [run.id]
    assert again.review.rater == "Ada R"
    assert again.review.latest(run.id).verdict is Verdict.ACCEPT
    lines = (folder / "audit.jsonl").read_text().splitlines()
    assert {"load", "run", "decision", "export"} <= {json.loads(line)["event"] for line in lines}
    again.close()


def test_override_needs_a_reason_and_says_it(ready, qtbot, chosen_folder):
    bench, review = ready, ready["Review and export"]
    bench.run(qtbot)
    bench.finish()
    bench.raise_("Review and export")
    assert not review.override_button.isEnabled()
    review.reason.setFocus()
    qtbot.keyClicks(review.reason, "for a poster")
    qtbot.mouseClick(review.override_button, Qt.MouseButton.LeftButton)
    bench.idle()
    sidecars = [path for path in chosen_folder[0].rglob("*.json") if "poster" in path.read_text()]
    assert sidecars, bench.messages


def test_two_runs_are_compared_and_one_is_discarded(ready, qtbot):
    bench, runs = ready, ready["Translate"].runs
    for _ in range(2):
        bench.run(qtbot)
        bench.finish()
    first, second = (run.id for run in bench.session.runs.value)
    runs.second.setCurrentIndex(runs.second.findData(first))
    runs.second.activated.emit(runs.second.currentIndex())
    bench.idle()
    assert (bench.session.runs.shown, bench.session.runs.compared) == (second, first)
    assert set(bench["Inspect"].view.values()) == {"source", "result", "other", "difference"}
    # the default is deterministic, so the two are the same
    assert bench["Inspect"].view.values()["difference"] == 0
    qtbot.mouseClick(runs.discard, Qt.MouseButton.LeftButton)
    bench.idle()
    assert [run.id for run in bench.session.runs.value] == [first]
    assert not [layer for layer in bench.viewer.layers if layer.name.startswith(second)]
