"""Training in the session: whether it may start, how it gets on, stopping and going on, watching a run of the terminal."""

from __future__ import annotations

import json

import pytest

import training_pairs
from napari_harmonize.errors import SessionError, TrainingError
from napari_harmonize.events import Note, Point, Progress, Stage, Written
from napari_harmonize.session import Action, Phase, Table, TrainingFacts
from napari_harmonize.session.backend import Backend
from napari_harmonize.settings import replace, to_json
from napari_harmonize.training.asked import ASKED, Asked
from napari_harmonize.training.folder import CHECKPOINT, LOG, RESULT
from still_backend import volume

READY = TrainingFacts(named=True, table="pairs.csv", pairs=Table({"train": 3}), folder="run")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, ""),
        ({"running": True}, "is running"),
        ({"named": False}, "recipe, or a model"),
        ({"table": ""}, "Choose a table"),
        ({"pairs": Table(reading=True)}, "still being read"),
        ({"pairs": Table(refusal="No such file.")}, "No such file."),
        ({"pairs": Table({"validation": 2})}, "no pair to train on"),
        ({"folder": ""}, "Choose a folder"),
        ({"looking": True}, "folder is still being read"),
        ({"finished": True}, "run holds a finished model"),
        ({"differs": True}, "asked for something else"),
    ],
)
def test_what_keeps_training_from_starting_is_said(changes, sentence):
    said = TrainingFacts(**{**vars(READY), **changes}).refusal()
    assert (said == "") is (sentence == "")
    assert sentence in said


def _table(folder, splits=("train", "train", "validation")):
    """A table whose files are there; they are only looked for."""
    lines = ["patient,source,target,split"]
    for number, split in enumerate(splits):
        for role in ("source", "target"):
            (folder / f"{role}{number}.nii.gz").write_bytes(b"")
        lines.append(f"p{number},source{number}.nii.gz,target{number}.nii.gz,{split}")
    (folder / "pairs.csv").write_text("\n".join(lines))
    return str(folder / "pairs.csv")


@pytest.fixture
def asked(session, runner, tmp_path):
    """A session that was asked for everything."""
    session.training.ask(recipe="palette", table=_table(tmp_path), fit=training_pairs.QUICK)
    session.training.open(tmp_path / "run")
    runner.run()
    return session


@pytest.fixture
def works(backend, monkeypatch, tmp_path):
    """A training job that is quick; what it was asked for; the volumes it shows."""
    begun = []

    def train(wanted, folder):
        begun.append((wanted, folder))
        yield Stage("Training", "7 parameters")
        for step in (2, 4):
            yield Progress(step, 4)
            yield Point("loss", step, 1.0 / step)
        yield Stage("Validating", "pair 1 of 1")
        yield Progress(1, 3, "network evaluations")
        yield Point("ssim", 4, 0.5)
        yield Written(folder / "validation-0000004.nii.gz", 4)
        yield Note("thin", "warning")
        made = backend.load_model(str(folder / RESULT))
        made.path = folder / RESULT
        return made

    def trial(folder, step, still):
        return step, *(still or (volume("s"), volume("t")))[:1], volume(f"r{step}"), volume("t")

    monkeypatch.setattr(backend, "train", train)
    monkeypatch.setattr(backend, "trial", trial)
    return begun


def test_a_run_is_asked_for_shown_and_offered(asked, runner, works, tmp_path):
    part, curves, shown, said = asked.training, [], [], []
    assert part.table.counts == {"train": 2, "validation": 1}
    part.curves_changed.connect(lambda found: curves.append(dict(found)))
    part.trial_changed.connect(shown.append)
    part.progressed.connect(said.append)
    assert asked.state[Action.TRAIN]
    assert not asked.state[Action.STOP_TRAINING]
    part.start()
    assert part.phase is Phase.RUNNING
    assert asked.state[Action.TRAIN].reason == "Training is running."
    runner.run()
    assert works == [(part.asked, tmp_path / "run")]
    assert curves[-1] == {"loss": ((2, 0.5), (4, 0.25)), "ssim": ((4, 0.5),)}
    assert [(now.done, now.total) for now in said if now.detail == "7 parameters"][-1] == (4, 4)
    assert "1 of 3 network evaluations" in [now.detail for now in said]
    assert (shown[-1].step, shown[-1].result.name) == (4, "r4")
    assert part.phase is Phase.DONE
    assert str(tmp_path / "run" / RESULT) in asked.model.catalogue
    assert asked.model.package is None  # whoever translates keeps the model in use
    assert ("warning", "thin") in asked.heard
    part.use()
    runner.run()
    assert asked.model.settings.model == str(tmp_path / "run" / RESULT)


def test_the_time_left_is_that_of_the_steps_taken_here(session):
    part, now = session.training, [100.0]
    part._clock = lambda: now[0]
    for done, at in ((501, 100.0), (502, 102.0), (511, 120.0)):
        now[0] = at
        part._hear(Progress(done, 1000))
    assert part.progress.seconds_left == pytest.approx(2.0 * 489)


def test_a_stopped_run_goes_on_and_hears_nothing_of_before(asked, runner, works):
    part = asked.training
    request = part.start()
    part.stop()
    assert part.phase is Phase.STOPPED
    assert not asked.receive(request.number, Point("loss", 1, 1.0))
    assert part.found.curves.get("loss", ()) == ()
    assert part.goes_on
    part.ask(fit=replace(part.asked.fit, rate=0.5))
    assert "something else" in asked.state[Action.TRAIN].reason
    part.ask(fit=training_pairs.QUICK)
    part.start()
    runner.run()
    assert part.phase is Phase.DONE
    with pytest.raises(SessionError, match="nothing is training"):
        part.stop()


def test_a_run_that_fails_says_why(asked, runner, backend, monkeypatch):
    def train(wanted, folder):
        yield Stage("Preparing pairs")
        raise TrainingError("Pairs can be prepared", "one is empty")

    monkeypatch.setattr(backend, "train", train)
    asked.training.start()
    runner.run()
    assert asked.training.phase is Phase.FAILED
    assert ("error", "Training failed: Pairs can be prepared. one is empty.") in asked.heard
    assert asked.state[Action.TRAIN]


def test_a_table_that_cannot_be_used_is_refused_with_its_sentence(session, runner, tmp_path):
    path = _table(tmp_path)
    (tmp_path / "source1.nii.gz").unlink()
    session.training.ask(recipe="palette", table=path)
    assert session.training.table.reading
    runner.run()
    assert "there is no source1.nii.gz" in session.state[Action.TRAIN].reason
    session.training.ask(table="")
    assert session.training.table == Table()


def _begin(folder, steps):
    """The folder of a run as the terminal leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / ASKED).write_text(json.dumps(to_json(Asked(recipe="palette", table=str(folder.parent / "pairs.csv")))))
    (folder / CHECKPOINT).write_bytes(b"")
    lines = [f"{step},{1 / step},0.001,,,1" for step in steps]
    (folder / LOG).write_text("\n".join(["step,loss,rate,psnr,ssim,seconds", *lines, ""]))


def test_a_run_of_the_terminal_is_watched_and_can_be_gone_on_with(session, runner, works, tmp_path):
    part, folder = session.training, tmp_path / "run"
    _table(tmp_path)
    _begin(folder, [2, 4])
    part.open(folder)
    runner.run()
    assert part.asked.recipe == "palette"
    assert part.table.counts["train"] == 2
    assert part.found.curves["loss"] == ((2, 0.5), (4, 0.25))
    assert part.goes_on
    _begin(folder, [2, 4, 8, 4])  # killed after step 8, gone on from a checkpoint of step 3
    (folder / "validation-0000004.nii.gz").write_bytes(b"")
    part.look()
    runner.run()
    assert part.found.curves["loss"] == ((2, 0.5), (4, 0.25))
    assert part.trial.step == 4
    assert session.state[Action.TRAIN]
    (folder / RESULT).mkdir()
    part.look()
    runner.run()
    assert "holds a finished model" in session.state[Action.TRAIN].reason
    assert session.state[Action.USE_TRAINED]


def test_an_older_validation_stays_in_front_once_it_was_chosen(asked, runner, works):
    part = asked.training
    for step in (2, 4):
        part._hear(Written(part.folder / f"{step}", step))
    runner.run()
    assert part.trial.step == 4
    part.show(2)
    runner.run()
    part._hear(Written(part.folder / "6", 6))
    runner.run()
    assert part.trial.step == 2
    part.show(6)
    part._hear(Written(part.folder / "8", 8))
    runner.run()
    assert part.trial.step == 8


def test_a_damaged_folder_is_said_and_can_be_changed(session, runner, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ASKED).write_text("{")
    session.training.open(tmp_path / "run")
    runner.run()
    assert any(ASKED in text for level, text in session.heard if level == "error")
    session.training.open(tmp_path / "other")
    runner.run()
    assert session.training.facts.folder == "other"
    assert session.training.look() is not None


def test_a_window_trains_on_one_device(tmp_path):
    asked = Asked("palette", "", str(tmp_path / "pairs.csv"), fit=replace(training_pairs.QUICK, devices=2))
    with pytest.raises(TrainingError, match="Set devices to 1"):
        Backend().train(asked, tmp_path / "run")
