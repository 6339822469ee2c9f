import json

import numpy as np
import pytest

import tiny_model
from napari_harmonize.errors import EngineError, ExportError, SessionError
from napari_harmonize.events import Preview, Progress, Stage, finish
from napari_harmonize.session import Action, Backend, InlineRunner, RunState, Session, Verdict
from napari_harmonize.session.measure import measure_job
from napari_harmonize.session.pair import Pair
from napari_harmonize.session.runs import RunsPart
from napari_harmonize.style import compute
from still_backend import volume


def requests(session):
    asked = []
    session.desk.requested.connect(asked.append)
    return asked


# -- the pair


def test_loading_a_source_makes_everything_follow(session, runner, backend):
    session.model.choose("still")
    session.pair.load("source", "a.nii")
    assert session.pair.value.source is None
    assert session.desk.busy == {"model", "load"}
    runner.run()
    assert session.pair.value.source is backend.files["a.nii"]
    assert session.pair.checked
    assert session.style.value.key is not None
    assert session.estimate.sentence == "about 10 s"
    assert session.state[Action.RUN]
    assert set(session.measure.value.curves) == {"source"}
    assert len(session.measure.value.curves["source"][2]) == 9
    assert session.display.value.windows["source"].width > 0


def test_a_volume_from_a_layer_is_taken_as_it_is(session, runner):
    given = volume("layer")
    session.pair.load("source", given)
    runner.run()
    assert session.pair.value.source is given


def test_the_last_load_wins(session, runner, backend):
    session.pair.load("source", "b.nii")
    session.pair.load("source", "a.nii")
    runner.run()
    assert session.pair.value.source is backend.files["a.nii"]


def test_a_file_that_cannot_be_read_is_a_sentence(session, runner, tmp_path):
    session.pair.load("source", tmp_path / "none.nii.gz")
    runner.run()
    level, text = session.heard[0]
    assert level == "error"
    assert "none.nii.gz" in text
    assert str(tmp_path) not in text


def test_a_truth_on_another_grid_is_brought_onto_the_sources(session, runner):
    session.pair.load("source", volume())
    session.pair.load("truth", volume("other", shape=(8, 9, 7), shift=5.0))
    session.pair.load("mask", volume("mask", 1.0))
    runner.run()
    pair = session.pair.value
    assert pair.truth.shape == (8, 9, 7)
    assert pair.truth_on_source.shape == pair.source.shape
    assert pair.mask_on_source is pair.mask
    assert session.case().truth is pair.truth_on_source


def test_ticks_end_when_a_volume_changes(ready, runner, backend, finding):
    backend.found = (finding(),)
    ready.pair.check()
    runner.run()
    assert "Confirm" in ready.state[Action.RUN].reason
    ready.pair.tick("modality")
    assert ready.state[Action.RUN]
    ready.pair.tick("modality", on=False)
    assert not ready.state[Action.RUN]
    ready.pair.tick("modality")
    ready.pair.state_modality("source", "FLAIR")
    runner.run()
    assert ready.pair.value.source.modality == "FLAIR"
    assert ready.pair.ticked == frozenset()
    with pytest.raises(SessionError, match="asks for one"):
        ready.pair.tick("nothing")


def test_a_remedy_replaces_a_volume(ready, runner, backend, finding):
    backend.found = (finding("mask", "ok", "mask"), finding("spacing", "ok"))
    ready.pair.check()
    runner.run()
    ready.pair.remedy("mask")
    runner.run()
    assert ready.pair.value.mask.data.dtype == bool
    with pytest.raises(SessionError, match="names none"):
        ready.pair.remedy("spacing")


def test_clearing(ready, runner):
    ready.pair.clear("truth")
    runner.run()
    assert ready.pair.value.truth is None
    ready.pair.clear("source")
    runner.run()
    assert ready.measure.value.curves == {}
    assert "Open a source" in ready.state[Action.RUN].reason
    with pytest.raises(SessionError, match="source first"):
        ready.case()
    with pytest.raises(SessionError, match="source first"):
        ready.pair.state_modality("source", "T1")


def test_sample_pairs_say_their_contrast(session, runner):
    assert "flair-to-t1" in session.pair.samples()
    session.pair.open_sample("flair-to-t1")
    runner.run()
    pair = session.pair.value
    if pair.source is None:
        pytest.skip(f"the sample data are absent: {session.heard}")
    assert (pair.source.modality, pair.truth.modality) == ("FLAIR", "T1")
    assert pair.mask_on_source is not None
    session.pair.open_sample("nothing")
    runner.run()
    assert "known name" in session.heard[-1][1]


# -- model and settings


def test_models_are_found_by_what_they_translate(session, runner):
    session.model.list_models()
    runner.run()
    assert session.model.suited("T2", "T1") == ("still",)
    assert session.model.suited("CT", "") == ()
    assert session.model.suited("", "") == ("still",)


def test_settings_are_refused_as_a_whole(ready):
    with pytest.raises(Exception, match="at most 1"):
        ready.model.change(steps=20, eta=3.0)
    assert ready.model.settings.steps == 10


def test_a_setting_changes_the_estimate(ready, runner):
    ready.model.change(steps=20)
    assert "being estimated" in ready.state.cost
    runner.run()
    assert ready.state.cost == "about 20 s"
    asked = requests(ready)
    ready.model.change(steps=20)
    assert asked == []


def test_a_baseline_stands_in_for_a_model(session, runner):
    name = next(name for name in session.model.baselines() if name.endswith("identity"))
    session.pair.load("source", "a.nii")
    session.model.choose_baseline(name)
    runner.run()
    assert session.model.baseline == name
    assert session.state[Action.RUN]
    assert not session.state.style
    assert session.start_translation().package is None


def test_a_baseline_that_takes_a_style_key_waits_for_one_and_has_no_preview(session, runner):
    session.pair.load("source", "a.nii")
    session.model.choose_baseline("baseline:key-matching")
    runner.run()
    assert "needs a style key" in session.state[Action.RUN].reason
    rng = np.random.default_rng(0)
    session.style.set(key=compute(rng.random((8, 8, 8)), label="wished"))
    assert session.state[Action.RUN]
    assert "run it on the whole volume" in session.state[Action.PREVIEW_STYLE].reason
    assert session.start_translation().case.key.label == "wished"


# -- runs


def test_a_run_from_start_to_scores(ready, runner):
    events = []
    ready.runs.run_changed.connect(events.append)
    run = ready.start_translation()
    assert (run.id, run.state) == ("run-0001", RunState.RUNNING)
    assert run.case.key is ready.style.value.key
    runner.run()
    done = ready.runs.get(run.id)
    assert done.state is RunState.DONE
    assert any(event.preview is not None for event in events)
    assert done.preview is None
    assert [note.text for note in done.notes] == ["done well"]
    assert ready.runs.shown == run.id
    assert ready.review.current == run.id
    assert {score.name for score in done.scores} >= {"psnr", "ssim", "structure"}
    assert set(ready.measure.value.compared) == {"source", "result", "truth", "difference"}


def test_stop_answers_at_once_and_late_answers_are_dropped(ready):
    stopped = []
    ready.desk.stop_requested.connect(stopped.append)
    run = ready.start_translation()
    assert ready.receive(run.number, Stage("Sampling"))
    ready.stop()
    assert ready.runs.get(run.id).state is RunState.STOPPED
    assert run.number in stopped
    assert not ready.receive(run.number, Progress(1, 2))
    assert not ready.complete(run.number, "late")
    assert ready.runs.get(run.id).result is None
    with pytest.raises(SessionError, match="Nothing is running"):
        ready.stop()
    with pytest.raises(SessionError, match="run-0001 is stopped"):
        ready.runs.stop("run-0001")


def test_runs_queue(ready, runner):
    first = ready.start_translation()
    ready.model.change(seed=5)
    second = ready.start_translation()
    third = ready.start_translation()
    assert [run.state for run in ready.runs.value] == [RunState.RUNNING, RunState.QUEUED, RunState.QUEUED]
    ready.runs.discard(third.id)
    ready.stop()
    assert ready.runs.running.id == second.id
    assert ready.runs.get(first.id).settings.seed == 0
    runner.run()
    assert ready.runs.get(second.id).state is RunState.DONE
    assert ready.start_translation().id == "run-0004"


def test_a_failed_run_says_why_and_the_next_one_starts(ready, runner):
    run = ready.start_translation()
    other = ready.start_translation()
    ready.fail(run.number, EngineError("The network broke"))
    assert ready.runs.get(run.id).error == "The network broke."
    assert ready.runs.get(run.id).state is RunState.FAILED
    assert ("error", "run-0001 failed: The network broke.") in ready.heard
    assert ready.runs.running.id == other.id


def test_time_left_comes_from_the_rate(ready):
    ticking = iter([0.0, 10.0, 30.0])
    part = RunsPart(ready.desk, lambda run: iter(()), clock=lambda: next(ticking))
    run = part.start(ready.case(), ready.model.settings, None, "x")
    ready.receive(run.number, Stage("Sampling"))
    ready.receive(run.number, Progress(5, 20))
    assert part.running.seconds_left == pytest.approx(60.0)
    ready.receive(run.number, Preview(np.zeros((1, 2, 2), np.float32), (0,), 1, 2))
    assert part.running.preview is not None


def test_two_runs_are_compared_and_discarded(ready, runner):
    ready.start_translation()
    ready.start_translation()
    runner.run()
    assert ready.state[Action.COMPARE]
    ready.runs.show("run-0001", "run-0002")
    assert ready.review.current == "run-0001"
    ready.runs.discard("run-0001")
    assert ready.runs.shown is None
    ready.runs.discard("run-0001")
    assert len(ready.runs.value) == 1


def test_scores_follow_the_truth(ready, runner):
    ready.start_translation()
    runner.run()
    before = {score.name: score.value for score in ready.runs.value[0].scores}
    asked = requests(ready)
    ready.pair.check()
    runner.run()
    assert [request.kind for request in asked] == ["check", "estimate"]
    ready.pair.load("truth", volume("another", 80, shape=(11, 14, 10)))
    runner.run()
    after = {score.name: score.value for score in ready.runs.value[0].scores}
    assert before["psnr"] != after["psnr"]


def test_run_is_refused_with_the_states_sentence(session):
    with pytest.raises(SessionError, match="Open a source volume first"):
        session.start_translation()
    with pytest.raises(SessionError, match="finished run"):
        session.evaluate()


# -- style preview


def test_a_style_preview_shows_three_slices(ready, runner):
    ready.display.move((0.0, 0.0, 48.0))
    asked = ready.request_style_preview()
    runner.run()
    assert asked.kind == "preview"
    assert tuple(ready.style.rendered.preview.slices) == (3, 4, 5)
    assert ready.style.rendered.look == ready.style.value
    ready.pair.load("source", "b.nii")
    runner.run()
    assert ready.style.rendered is None


def test_an_overtaken_preview_is_dropped(ready, runner):
    old = ready.request_style_preview()
    new = ready.request_style_preview()
    assert not ready.complete(old.number, "late")
    runner.run()
    assert ready.style.rendered is not None
    assert new.number > old.number


# -- review, export, project


@pytest.fixture
def reviewed(ready, runner, tmp_path):
    ready.open_project(tmp_path / "project")
    ready.review.set_rater("MM")
    ready.start_translation()
    runner.run()
    return ready


def audit(session):
    return [record["event"] for record in session.project.records]


def test_the_gate_and_the_audit(reviewed, runner, backend, tmp_path):
    with pytest.raises(ExportError, match="Only accepted"):
        reviewed.export(tmp_path / "out")
    reviewed.review.set_draft(comment="not sure")
    reviewed.decide(Verdict.QUERY)
    with pytest.raises(ExportError, match="queried"):
        reviewed.export(tmp_path / "out")
    reviewed.export(tmp_path / "out", override_reason="for the meeting")
    runner.run()
    assert backend.exported[-1]["override"] == "for the meeting"
    reviewed.decide("accept")
    reviewed.export(tmp_path / "out")
    runner.run()
    assert backend.exported[-1]["review"]["verdict"] == "accept"
    assert backend.exported[-1]["operator"] == "MM"
    assert audit(reviewed) == ["open", "load", "load", "run", "decision", "export", "decision", "export"]
    assert str(tmp_path) not in (tmp_path / "project" / "audit.jsonl").read_text()
    assert reviewed.project.settings_file.exists()


def test_a_session_is_reopened(reviewed, runner, backend, tmp_path):
    reviewed.decide("accept")
    result = reviewed.runs.value[0].result.volume.data
    again = Session(type(backend)())
    heard = []
    again.desk.message.connect(lambda text, level: heard.append(text))
    inline = InlineRunner(again.desk)
    again.open_project(tmp_path / "project")
    assert [item.run for item in again.review.items] == ["run-0001"]
    assert again.review.rater == "MM"
    assert again.review.latest("run-0001").verdict is Verdict.ACCEPT
    again.runs.show("run-0001")
    inline.run()
    assert np.array_equal(again.runs.get("run-0001").result.volume.data, result)
    assert "Open a to see it beside its result." in heard
    again.pair.load("source", "a.nii")
    again.model.choose("still")
    inline.run()
    assert again.state[Action.EXPORT]
    assert again.runs.get("run-0001").scores
    assert again.start_translation().id == "run-0002"


def test_decisions_without_a_project_say_so(ready, runner):
    ready.review.set_rater("MM")
    ready.start_translation()
    runner.run()
    ready.decide("accept")
    assert any("memory only" in text for _, text in ready.heard)


def test_kept_changes_are_audited(reviewed, runner, backend, finding):
    reviewed.style.set(weight=0.5, other=reviewed.style.training.keys[0])
    reviewed.display.set(mark=False)
    backend.found = (finding(),)
    reviewed.pair.check()
    runner.run()
    reviewed.pair.tick("modality")
    assert audit(reviewed)[-3:] == ["style", "mark", "tick"]


def test_settings_come_back(ready, runner, tmp_path):
    ready.model.change(steps=33)
    ready.style.set(edit=ready.style.value.edit.__class__(gamma=1.1))
    path = ready.save_settings(tmp_path / "settings.json")
    assert json.loads(path.read_text())["kind"] == "napari-harmonize.settings"
    ready.model.change(steps=5)
    ready.style.undo()
    ready.load_settings(path)
    assert (ready.model.settings.steps, ready.style.value.edit.gamma) == (33, 1.1)
    ready.model.choose("other")
    runner.run()
    ready.load_settings(path)
    runner.run()
    assert ready.model.settings.model == "still"
    assert ready.model.settings.steps == 33
    ready.model.choose_baseline("baseline:identity")
    path = ready.save_settings(tmp_path / "settings.json")
    ready.load_settings(tmp_path / "settings.json")
    assert ready.model.baseline == "baseline:identity"


def test_state_changes_are_said_once(ready):
    seen = []
    ready.state_changed.connect(seen.append)
    ready.refresh()
    assert seen == []
    ready.review.set_rater("MM")
    ready.review.set_rater("MM")
    assert len(seen) <= 1


def test_close_stops_everything(ready, backend):
    stopped, seen = [], []
    run = ready.start_translation()
    ready.desk.stop_requested.connect(stopped.append)
    ready.state_changed.connect(seen.append)
    ready.close()
    assert run.number in stopped
    seen.clear()
    ready.review.set_rater("someone")
    assert seen == []


# -- with a real, tiny model


def test_a_real_tiny_model_from_preview_to_export(tmp_path):
    package = tiny_model.make(tmp_path / "tiny", network="shuffle-unet")
    session = Session(Backend())
    heard = []
    session.desk.message.connect(lambda text, level: heard.append(text))
    runner = InlineRunner(session.desk)
    session.model.choose(package.path)
    session.pair.load("source", volume(modality="FLAIR"))
    session.pair.load("truth", volume("truth", 50, modality="T1"))
    runner.run()
    for found in session.state.waiting:
        session.pair.tick(found.code)
    assert session.state[Action.RUN], session.state[Action.RUN].reason
    session.request_style_preview()
    runner.run()
    assert session.style.rendered is not None, heard
    session.start_translation()
    runner.run()
    run = session.runs.value[0]
    assert run.state is RunState.DONE, run.error
    assert run.result.volume.shape == session.pair.value.source.shape
    session.review.set_rater("MM")
    session.decide("accept")
    session.export(tmp_path / "out")
    runner.run()
    written = sorted(path.suffix for path in (tmp_path / "out").rglob("sub-*.*"))
    assert written == [".gz", ".json", ".png"], heard
    session.warm_up()
    runner.run()
    session.close()


def test_a_volume_of_one_value_is_shown_without_curves():
    flat = volume("flat").replace(data=np.full((4, 5, 6), 3.0, np.float32))
    measured = finish(measure_job(Backend(), Pair(source=flat), {"source": flat}))
    assert (measured.compared["source"], measured.curves) == (flat, {})


def test_a_volume_below_zero_has_curves():
    below = volume("below")
    below = below.replace(data=below.data - 1000)
    measured = finish(measure_job(Backend(), Pair(source=below), {"source": below}))
    assert np.nanmax(measured.curves["source"][0]) > 0


def test_the_project_is_told_no_name_that_may_be_a_persons(session, runner, tmp_path):
    session.backend.files["a.nii"] = session.backend.files["a.nii"].replace(name="Müller Hans 1950")
    session.open_project(tmp_path / "project")
    session.pair.load("source", "a.nii")
    runner.run()
    session.audit("tick", sentence="Müller Hans 1950 is odd.")
    text = (tmp_path / "project" / "audit.jsonl").read_text(encoding="utf-8")
    assert " is odd." in text
    assert not any(word in text for word in ("Müller", "Hans", "1950"))
