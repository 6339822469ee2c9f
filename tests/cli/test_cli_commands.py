"""Every command but the translation itself, and what each exit code means."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_harmonize import cli, style
from napari_harmonize.cli import demo, samples
from napari_harmonize.errors import EngineError, StoppedError
from napari_harmonize.metrics import METRICS
from napari_harmonize.session.samples import SAMPLES
from napari_harmonize.volumes import from_array, read, write


def test_wrong_usage_is_told_apart_from_a_refusal(call):
    for argv in (["nonsense"], ["translate"], ["translate", "a.nii", "--stpes", "3"], ["translate", "a.nii", "--steps", "0"]):
        said = call(*argv)
        assert said.code == 2
        assert said.err.startswith("napari-harmonize: ")
        assert "Traceback" not in said.err
    assert call("evaluate", "absent.nii", "absent.nii").code == 1


def test_a_near_miss_is_named(call):
    assert "--steps" in call("translate", "a.nii", "--stpes", "3").err


def test_debug_shows_where_an_error_came_from(call):
    from napari_harmonize.errors import ReadError

    with pytest.raises(ReadError):
        call("evaluate", "absent.nii", "absent.nii", "--debug")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (StoppedError("Stopped"), 130, "Stopped"),
        (KeyboardInterrupt(), 130, "Stopped"),
        (MemoryError(), 1, "memory"),
        (PermissionError(13, "Permission denied", "there"), 1, "Permission denied"),
        (EngineError("The network computes", "it did not"), 1, "it did not"),
    ],
)
def test_what_ends_a_command_becomes_an_exit_code_and_a_sentence(call, monkeypatch, error, code, words):
    def fail(*_):
        raise error

    monkeypatch.setattr(samples.screen, "tell", fail)
    said = call("sample", "list")
    assert (said.code, words in said.err) == (code, True)


def test_version_and_help(call):
    assert call("--version").out.strip() == cli.napari_harmonize.__version__
    said = call("--help")
    assert said.code == 0
    for name in ("translate", "evaluate", "style", "import", "models", "sample", "demo"):
        assert f" {name} " in said.out


def test_evaluate_prints_every_metric_that_applies(call, pair):
    source, truth, mask = pair
    said = call("evaluate", source, truth, "--mask", mask, "--source", source)
    assert said.code == 0
    for name in ("psnr", "ssim", "structure"):
        assert METRICS[name].title in said.out


def test_evaluate_gives_numbers_as_json(call, pair):
    source, truth, _ = pair
    found = json.loads(call("evaluate", truth, truth, "--metrics", "psnr", "--metrics", "mae", "--json").out)
    assert [row["name"] for row in found] == ["psnr", "mae"]
    assert [row["value"] for row in found] == [None, 0.0]  # equal volumes: the PSNR is infinite, which JSON cannot say
    assert call("evaluate", source, truth, "--metrics", "pnsr").code == 2


def test_evaluate_resamples_what_is_on_another_grid_and_says_so(call, pair, tmp_path):
    source, truth, _ = pair
    volume = read(truth)
    write(from_array(np.asarray(volume.data)[::2], volume.affine @ np.diag([2, 1, 1, 1])), tmp_path / "coarse.nii.gz")
    said = call("evaluate", source, tmp_path / "coarse.nii.gz", "--metrics", "correlation")
    assert said.code == 0
    assert "resampled" in said.err
    assert "resampled" not in call("evaluate", source, tmp_path / "coarse.nii.gz", "--metrics", "correlation", "--quiet").err


def test_a_key_is_made_edited_shown_blended_and_compared(call, pair):
    source, truth, mask = pair
    assert call("style", "make", truth, "--mask", mask, "--oracle", "--name", "mine", "--out", "keys/true.json").code == 0
    assert call("style", "make", source, "--name", "other", "--gamma", 0.7, "--out", "other.json").code == 0
    (true,), (other,) = style.load("keys/true.json"), style.load("other.json")
    assert true.peeks
    assert "gamma 0.700" in " ".join(other.history)
    shown = call("style", "show", "keys/true.json", "other.json").out
    assert "it knows the ground truth" in shown
    assert "50% below" in shown
    assert call("style", "blend", "keys/true.json", "other.json", "--weight", 0.25, "--out", "blend.json", "--name", "mix").code == 0
    (mixed,) = style.load("blend.json")
    assert mixed.same_as(style.blend(true, other, 0.25))
    assert (mixed.label, mixed.peeks) == ("mix", True)
    compared = call("style", "compare", "keys/true.json", "other.json").out
    assert f"{style.distance(true, other):.4f}" in compared
    assert "same look" in call("style", "compare", "other.json", "other.json#other").out


def test_several_volumes_make_a_file_of_keys_or_their_average(call, pair):
    source, truth, _ = pair
    assert call("style", "make", source, truth, "--out", "two.json").code == 0
    both = style.load("two.json")
    assert len(both) == 2
    refused = call("style", "compare", "two.json", "two.json")
    assert refused.code == 1
    assert "two.json#NAME" in refused.err
    assert call("style", "compare", f"two.json#{both[0].label}", f"two.json#{both[1].label}").code == 0
    assert call("style", "show", f"two.json#{both[1].label}").out.startswith(both[1].describe())
    assert call("style", "show", "two.json#absent").code == 1
    assert call("style", "compare", "two.json#absent", "two.json").code == 1
    assert call("style", "make", source, truth, "--average", "--out", "mean.json", "--quiet").err == ""
    assert style.load("mean.json")[0].same_as(style.average(both))


def test_keys_are_compared_with_a_models_training(call, pair, tiny):
    source, _, _ = pair
    call("style", "make", source, "--name", "mine", "--out", "mine.json")
    said = call("style", "compare", "mine.json", tiny, "--model", tiny)
    assert said.code == 0
    assert "mine: " in said.out
    assert "training average: near" in said.out
    assert "training average" in call("style", "show", tiny).out


def test_models_are_listed_with_the_baselines(call):
    said = call("models", "list")
    assert said.code == 0
    assert "baseline:histogram-matching" in said.out


def test_a_card_is_shown_as_table_and_as_json(call, tiny):
    said = call("models", "show", tiny)
    assert said.code == 0
    for words in ("any", "T1", "brain", "random numbers", "4 training keys"):
        assert words in said.out
    assert json.loads(call("models", "show", tiny, "--json").out)["card"]["title"] == "tiny"
    assert call("models", "show", "absent").code == 1


def test_a_checkpoint_of_no_known_system_is_refused(call, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"nothing")
    said = call("import", tmp_path / "weights.pth", "--out", "package")
    assert said.code == 1
    assert call("import", tmp_path / "weights.pth", "--system", "unheard-of").code == 1


def test_what_a_checkpoint_cannot_tell_is_listed_and_answered(call, tmp_path, monkeypatch):
    from napari_harmonize.translation import importers

    asked = []

    def convert(path, **answers):
        asked.append(answers)
        raise EngineError("Reading went well", "so far")

    (tmp_path / "w.pth").write_bytes(b"x")
    said = call("import", tmp_path / "w.pth", "--system", "ct2mri", "--questions")
    assert said.code == 0
    assert "head_width" in said.out
    assert "One of: " in said.out
    assert "axial" in said.out
    monkeypatch.setattr(importers.ImporterRow, "load", lambda self: convert)
    assert call("import", tmp_path / "w.pth", "--system", "ct2mri", "--answer", "head_width=32").code == 1
    assert asked == [{"head_width": 32}]
    assert call("import", tmp_path / "w.pth", "--system", "ct2mri", "--answer", "head_wdith=32").code == 2


def test_samples_are_listed_and_copied_once(call, tmp_path):
    listed = call("sample", "list").out
    assert all(name in listed for name in SAMPLES)
    said = call("sample", "copy", "flair-to-t1", "--out", "here")
    assert said.code == 0
    assert sorted(path.name for path in (tmp_path / "here" / "flair-to-t1").iterdir()) == ["mask.nii.gz", "source.nii.gz", "target.nii.gz"]
    assert call("sample", "copy", "flair-to-t1", "--out", "here").code == 1
    assert "Known are" in call("sample", "copy", "absent").err


def test_a_sample_is_opened_in_the_window_it_is_given(call):
    opened = []
    assert call("sample", "open", "1p5t-to-3t", open_window=opened.append).code == 0
    assert [folder.name for folder in opened] == ["1p5t-to-3t"]
    assert call("sample", "open").code == 1


def test_a_sample_that_did_not_come_with_the_package_is_refused(call, monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "FOLDER", tmp_path / "nowhere")
    said = call("sample", "copy")
    assert said.code == 1
    assert "make samples" in said.err


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "w"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_a_display_is_found_where_there_is_one(monkeypatch, platform, variables, expected):
    monkeypatch.setattr(demo.sys, "platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert demo.has_display() is expected


def test_a_key_without_a_volume_is_wrong_usage(call):
    assert call("style", "make", "--out", "a.json").code != 0


def test_training_free_models_say_so(call, tmp_path):
    import tiny_model

    package = tiny_model.make(tmp_path / "plain", training=False)
    said = call("style", "show", package.path)
    assert said.code == 1
    assert "no training keys" in said.err
    key = replace(style.from_histogram(np.ones(128)), label="flat")
    style.save([key], tmp_path / "flat.json")
    assert "no training keys" in call("style", "show", "flat.json", "--model", package.path).out


def test_a_key_is_written_to_a_json_file_and_made_of_something(call, pair, tmp_path):
    source, _, _ = pair
    before = source.read_bytes()
    said = call("style", "make", source, "--out", source)
    assert (said.code, "is named .json" in said.err, source.read_bytes() == before) == (2, True, True)
    flat = write(from_array(np.full((4, 4, 4), 3, np.float32), np.eye(4)), tmp_path / "flat.nii.gz")
    said = call("style", "make", flat, "--out", "flat.json")
    assert (said.code, "flat.nii.gz: it holds one single value" in said.err) == (1, True)
    none = write(from_array(np.zeros((20, 24, 10), np.uint8), read(source).affine, name="none"), tmp_path / "none.nii.gz")
    said = call("style", "make", source, "--mask", none, "--out", "a.json")
    assert (said.code, "the mask none.nii.gz is empty" in said.err) == (1, True)
    assert call("style", "show").code == 2


def test_a_question_at_the_end_of_a_sentence_keeps_its_mark(call, pair):
    source, truth, _ = pair
    said = call("evaluate", source, truth, "--metrics", "psnrr")
    assert said.err.endswith("Did you mean 'psnr'?\n")


def test_a_file_that_cannot_be_opened_is_named_without_its_folder(call, pair, tmp_path):
    source, _, _ = pair
    (tmp_path / "file").write_text("")
    said = call("style", "make", source, "--out", tmp_path / "file" / "key.json")
    assert said.code == 1
    assert "file: File exists" in said.err
    assert str(tmp_path) not in said.err
