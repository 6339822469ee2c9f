"""What each dock does besides the journey."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QInputDialog

from napari_harmonize.session import Action, Convention, Role, Verdict
from napari_harmonize.style import Edit
from napari_harmonize.volumes import canonical
from napari_harmonize.widgets import layers


class Heartbeat:
    """The longest time the event loop did not answer, in milliseconds."""

    def __enter__(self):
        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._beat)
        self._timer.start()
        return self

    def _beat(self):
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, 1000 * (now - self._last)), now

    def __exit__(self, *_):
        self._timer.stop()


def beat_for(bench, seconds, going_on=lambda: True):
    with Heartbeat() as beat:
        end = time.monotonic() + seconds
        while time.monotonic() < end and going_on():
            QApplication.processEvents()
            time.sleep(0.001)
    return beat.longest


def test_a_running_job_does_not_hold_up_the_window(ready, qtbot):
    bench = ready
    bench.run(qtbot)  # everything is loaded and painted once
    bench.finish()
    # what the machine itself does to an event loop in which nothing happens
    bare = beat_for(bench, 1.0)
    bench.session.model.change(steps=200)
    bench.idle()
    bench.run(qtbot)
    bench.until(lambda: bench.session.runs.running is not None and bench.session.runs.running.preview is not None)
    longest = beat_for(bench, 2.0, lambda: bench.session.runs.running is not None)
    bench.session.stop()
    bench.idle()
    bare = max(bare, beat_for(bench, 1.0))
    if bare > 30:
        pytest.skip(f"this machine holds up an idle event loop for {bare:.0f} ms")
    # 100 ms is the requirement on a machine that does nothing else
    assert longest < (100 if bare < 6 else 400), (longest, bare)


def test_the_slices_beside_the_key_are_those_of_the_result(ready, qtbot, monkeypatch):
    bench, style = ready, ready.session.style
    shown = []
    strip = bench["Style key"].histogram.strip
    draw = strip.show_slices
    monkeypatch.setattr(strip, "show_slices", lambda images, **how: (shown.append(dict(images)), draw(images, **how)))
    bench.session.model.change(consistency="none")  # then a slice needs no other's prediction
    bench.run(qtbot)
    bench.finish()
    assert style.rendered is None  # nothing is rendered behind another tab
    bench.raise_("Style key")
    bench.until(lambda: shown and shown[-1])
    assert style.rendered.look == style.value
    result, _ = canonical(bench.session.runs.value[-1].result.volume)
    for position, picture in shown[-1].items():
        whole = result.data[:, :, position].T
        np.testing.assert_allclose(picture, whole, atol=1e-5)
        assert (whole == 0).any()  # both are blanked outside the body


def test_stop_answers_at_once(ready, qtbot):
    bench = ready
    bench.session.model.change(steps=200)
    bench.idle()
    bench.run(qtbot)
    bench.until(lambda: bench.session.runs.running is not None and bench.session.runs.running.total > 0)
    assert bench["Translate"].progress.isVisible()
    began = time.perf_counter()
    qtbot.mouseClick(bench["Translate"].stop_button, Qt.MouseButton.LeftButton)
    # 100 ms is the requirement on a machine that does nothing else
    assert time.perf_counter() - began < 0.4
    assert "stopped" in bench["Translate"].progress.title.text()
    bench.idle()
    assert bench["Translate"].run_button.isEnabled()


def test_what_has_no_effect_is_grey_and_says_why(ready):
    bench, dock = ready, ready["Translate"]
    assert not dock.usual.editor("seed").isEnabled()
    assert "no effect" in dock.usual.editor("seed").toolTip()
    bench.session.model.change(eta=1.0)
    assert dock.usual.editor("seed").isEnabled()
    dock.usual.editor("steps").box.setValue(7)
    assert bench.session.model.settings.steps == 7


def test_run_says_what_is_missing(bench):
    assert not bench["Translate"].run_button.isEnabled()
    assert bench["Translate"].run_button.toolTip() == bench.session.state[Action.RUN].reason != ""


def test_a_layer_becomes_the_source_and_is_hidden(bench):
    data = np.random.default_rng(0).random((10, 12, 8)).astype(np.float32)
    layer = bench.viewer.add_image(data, name="mine", scale=(2, 2, 3))
    bench["Pair"].rows[Role.SOURCE].layer_requested.emit("mine")
    bench.idle()
    assert bench.session.pair.value.source.shape == (10, 12, 8)
    assert not layer.visible
    bench["Pair"].rows[Role.SOURCE].clear_button.click()
    bench.idle()
    assert [kept.name for kept in bench.viewer.layers] == ["mine"]
    assert bench["Inspect"].view.values() == {}


def test_a_stated_contrast_keeps_the_layer(bench, files):
    bench.open_pair(files)
    before = list(bench.viewer.layers)
    bench["Pair"].rows[Role.SOURCE].modality_requested.emit("FLAIR")
    bench.idle()
    assert bench.session.pair.value.source.modality == "FLAIR"
    assert list(bench.viewer.layers) == before


def test_a_bad_file_is_refused_in_a_sentence(bench, tmp_path):
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"this is no volume")
    bench["Pair"].open_path(Role.SOURCE, bad)
    bench.idle()
    assert "bad.nii.gz" in bench["Pair"].messages.label.text()
    assert bench.session.pair.value.source is None


def test_a_folder_with_several_series_asks_which(bench, tmp_path, monkeypatch):
    from napari_harmonize.volumes import Series
    from napari_harmonize.widgets import pair_dock

    found = tuple(Series(uid=str(number), label=f"series {number}", slices=number, shape=(4, 4, number)) for number in (3, 5))
    monkeypatch.setattr(pair_dock, "_list_series", lambda path: found)
    asked = []
    monkeypatch.setattr(bench.session.pair, "load", lambda role, path, series=None: asked.append((role, series)))
    bench["Pair"].open_path(Role.TRUTH, tmp_path)
    bench.idle()
    dialog = bench["Pair"].findChild(QInputDialog)
    assert len(dialog.comboBoxItems()) == 2
    dialog.setTextValue(dialog.comboBoxItems()[1])
    dialog.accept()
    bench.process(0.1)
    assert asked == [(Role.TRUTH, "5")]


def test_the_crosshair_is_tied_both_ways(ready):
    bench, display = ready, ready.session.display
    anchor = next(layer for layer in bench.viewer.layers if layers.is_ours(layer))
    display.move((10.0, -6.0, 2.0))
    np.testing.assert_allclose(layers.world_point(anchor, bench.viewer.dims.point), display.value.crosshair, atol=2.1)
    step = list(bench.viewer.dims.current_step)
    step[2] += 3
    bench.viewer.dims.current_step = tuple(step)
    assert display.value.crosshair[2] == pytest.approx(14.0, abs=2.1)
    np.testing.assert_allclose(bench["Inspect"].view.crosshair(), display.value.crosshair, atol=2.1)


def test_the_convention_turns_the_canvas_too(ready):
    bench = ready
    before = bench.viewer.scene.camera.orientation2d
    bench["Inspect"].bar.conventions[Convention.NEUROLOGICAL].trigger()
    assert bench.session.display.value.convention is Convention.NEUROLOGICAL
    assert bench.viewer.scene.camera.orientation2d != before


def test_window_presets_and_switches_reach_the_session(ready):
    bench, bar = ready, ready["Inspect"].bar
    name = bar.windows.itemText(1)
    bar.window_requested.emit(name)
    assert bench.session.display.value.windows["source"] == bench["Inspect"].view.window("source")
    bar.smooth.trigger()
    assert bench.session.display.value.interpolate
    bar.comparison_requested.emit("curtain")
    assert bench["Inspect"].view.comparison() == "curtain"


def test_keys_presets_blend_and_history(ready, tmp_path, monkeypatch, qtbot):
    bench, dock, style = ready, ready["Style key"], ready.session.style
    bench.raise_("Style key")
    dock._from_truth()
    bench.idle()
    oracle = next(name for name, key in style.presets.items() if key.peeks)
    dock.second.textActivated.emit(oracle)
    assert dock.blend.isEnabled()
    assert not dock.oracle.isVisible()
    dock.blend.slider.setValue(100)
    assert style.value.weight == pytest.approx(0.5)
    assert dock.oracle.isVisible()
    qtbot.mouseClick(dock.undo_button, Qt.MouseButton.LeftButton)
    assert style.value.weight == 0
    dock.histogram.edit_requested.emit(Edit(gamma=2.0))
    dock.histogram.edit_finished.emit(Edit(gamma=2.0))
    assert dock.sliders.value().gamma == 2.0
    path = tmp_path / "look.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    dock._save_named("dark")
    assert "dark" in style.presets
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    dock._from_file()
    dock._from_similar()
    bench.idle()
    qtbot.mouseClick(dock.reset_button, Qt.MouseButton.LeftButton)
    assert style.value.edit == Edit()


def test_a_reference_volume_and_a_layer_give_keys(ready, files):
    bench, dock, style = ready, ready["Style key"], ready.session.style
    dock.use_reference(files["truth"])
    bench.idle()
    assert any("truth" in name for name in style.presets)
    dock._offer_layers()
    dock._layer_menu.actions()[0].trigger()
    bench.idle()
    assert any("source" in name for name in style.presets)


def test_late_slices_are_not_shown(ready):
    bench, style = ready, ready.session.style
    bench.raise_("Style key")
    bench.until(lambda: style.rendered is not None)
    for gamma in (1.2, 1.4, 1.6, 1.8):
        style.set(edit=Edit(gamma=gamma))
        bench.process(0.02)
    bench.until(lambda: style.rendered is not None and style.rendered.look == style.value)
    assert style.rendered.look.edit.gamma == 1.8


def test_settings_are_saved_for_the_command_line(bench, tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    bench["Translate"]._save()
    assert path.is_file()


def test_accepting_goes_on_to_the_next_case_nobody_decided_on(ready, qtbot):
    bench, review = ready, ready.session.review
    for _ in range(2):
        bench.run(qtbot)
        bench.finish()
    first, second = (run.id for run in bench.session.runs.value)
    review.set_rater("Ada R")
    assert review.current == second
    bench["Review and export"].buttons[Verdict.ACCEPT].click()
    bench.until(lambda: review.current == first)
    assert bench.session.runs.shown == first
    assert "was accepted" in bench["Review and export"].messages.label.text()
    bench["Review and export"].buttons[Verdict.ACCEPT].click()
    bench.process(0.1)
    assert review.current == first  # nothing is left to decide


def test_a_new_request_takes_what_was_said_away_and_notes_stay_beside_the_volume(bench, tmp_path):
    import nibabel as nib

    dock = bench["Pair"]
    (tmp_path / "bad.nii.gz").write_bytes(b"this is no volume")
    dock.open_path(Role.SOURCE, tmp_path / "bad.nii.gz")
    bench.idle()
    assert dock.messages.isVisibleTo(dock)
    data = np.random.default_rng(0).random((12, 14, 10, 1)).astype(np.float32)
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "good.nii.gz")
    dock.open_path(Role.SOURCE, tmp_path / "good.nii.gz")
    bench.idle()
    assert "bad" not in dock.messages.label.text()
    assert "• The shape 12 x 14 x 10 x 1" in dock.rows[Role.SOURCE].text.text()


def test_choices_that_do_not_suit_the_model_are_grey_and_say_why(ready):
    dock = ready["Translate"]
    box = dock.usual.editor("sampler").box
    row = box.findText("ddim")
    assert not box.model().item(row).isEnabled()
    assert "diffusion path" in box.itemData(row, Qt.ItemDataRole.ToolTipRole)
    assert box.model().item(box.findText("bridge")).isEnabled()
    assert not dock.more.editor("guidance").isEnabled()
    assert "dropped conditions" in dock.more.editor("guidance").toolTip()
    low, high = ready.session.state.steps
    assert (dock.usual.editor("steps").box.minimum(), dock.usual.editor("steps").box.maximum()) == (low, high)


def test_blinded_review_hides_the_model(ready, qtbot):
    bench, review = ready, ready["Review and export"]
    bench.run(qtbot)
    bench.finish()
    assert review.worklist.item(0, 4).text() == bench.session.runs.value[0].model
    review.blinded.setChecked(True)
    assert review.worklist.item(0, 4).text() == "hidden"


def test_the_list_of_samples_names_the_one_that_is_open(bench):
    samples = bench["Pair"].samples
    assert samples.currentText() != "flair-to-t1"
    bench.session.pair.open_sample("flair-to-t1")
    bench.idle()
    assert samples.currentText() == "flair-to-t1"


def test_samples_come_from_the_menu_of_napari():
    from napari_harmonize.session import Backend
    from napari_harmonize.widgets import sample_data

    for name, function in {"1p5t-to-3t": sample_data.scanners, "ct-to-t1": sample_data.ct, "flair-to-t1": sample_data.flair}.items():
        if name not in Backend().samples():
            pytest.skip(f"sample pair {name} is absent")
        found = function()
        assert [kind for _, _, kind in found] == ["image", "image"]
        assert found[0][1]["name"].startswith("source")
