"""Translating from the command line: what is asked, checked, written and recorded."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import tiny_model
from napari_harmonize import style
from napari_harmonize.cli import demo
from napari_harmonize.session import Look, SettingsFile, settings_file
from napari_harmonize.style import Edit
from napari_harmonize.translation import TranslationSettings
from napari_harmonize.volumes import Volume, from_array, read, write

CONFIRM = ("--accept", "modality", "--accept", "anatomy", "--accept", "spacing", "--accept", "stripped", "--accept", "intensity")


def translate(call, pair, tiny, *more):
    source, _, mask = pair
    return call("translate", source, "--mask", mask, "--model", tiny, "--steps", 1, *CONFIRM, *more)


def record(folder: str | Path) -> dict:
    (path,) = Path(folder).rglob("sub-*.json")
    return json.loads(path.read_text(encoding="utf-8"))["NapariHarmonize"]


def test_a_result_a_sidecar_and_a_sheet_are_written(call, pair, tiny):
    source, truth, _ = pair
    said = translate(call, pair, tiny, "--truth", truth, "--operator", "somebody")
    assert said.code == 0, said.err
    paths = [Path(line) for line in said.out.splitlines()[-3:]]
    assert [path.name.rsplit("_", 1)[1] for path in paths] == ["T1w.nii.gz", "T1w.json", "T1w.png"]
    made, came = read(paths[0]), read(source)
    np.testing.assert_allclose(made.affine, came.affine)
    assert made.shape == came.shape
    written = record("harmonized")
    assert written["review_state"].startswith("not reviewed")
    assert written["operator"] == "somebody"
    assert any("does not say what contrast" in sentence for sentence in written["confirmed"])
    assert {"psnr", "ssim"} <= {score["name"] for score in written["scores"]}
    assert "PSNR" in said.out
    assert "Sampling: " in said.err


def test_what_is_not_confirmed_stops_the_run_and_names_the_way_on(call, pair, tiny):
    source, _, mask = pair
    said = call("translate", source, "--mask", mask, "--model", tiny)
    assert said.code == 3
    assert "--accept modality" in said.err
    assert not Path("harmonized").exists()


def test_a_code_nobody_knows_is_refused(call, pair, tiny):
    said = call("translate", pair[0], "--model", tiny, "--accept", "modalty")
    assert said.code == 2
    assert "modalty arrived" in said.err
    assert "modality" in said.err


def test_what_blocks_cannot_be_confirmed(call, pair, tiny, tmp_path):
    flat = write(from_array(np.full((8, 8, 8), 3, np.float32), np.eye(4)), tmp_path / "flat.nii.gz")
    said = call("translate", flat, "--model", tiny, "--accept", "values", *CONFIRM)
    assert said.code == 3
    assert "one single value" in said.err


def test_a_remedy_is_applied_first(call, pair, tiny):
    source, _, _ = pair
    assert call("translate", source, "--model", tiny, "--steps", 1, "--remedy", "mask", *CONFIRM).code == 0
    assert record("harmonized")["facts"]["run"]["mask"]["name"] == "foreground of source"
    said = call("translate", source, "--model", tiny, "--remedy", "masc", *CONFIRM)
    assert said.code == 2
    assert "mask" in said.err


def test_the_contrast_can_be_stated(call, pair, tiny):
    assert translate(call, pair, tiny, "--modality", "CT").code == 0
    source = record("harmonized")["facts"]["run"]["source"]
    assert (source["modality"], source["meaning"]) == ("CT", "HU")


def test_options_win_over_the_settings_file_and_that_over_the_model(call, pair, tiny, tmp_path):
    source, _, mask = pair
    key = style.compute(np.random.default_rng(0).random((9, 9, 9)), label="drawn")
    look = Look(key=key, edit=Edit(gamma=0.8))
    settings_file.write(tmp_path / "asked.json", SettingsFile(TranslationSettings(model=str(tiny), steps=2, eta=0.5, seed=3), look))
    said = call(
        "translate", source, "--mask", mask, "--settings", "asked.json", "--seed", 9, "--correction.repeats", 2, *CONFIRM, "--quiet"
    )
    assert said.code == 0, said.err
    assert said.err == ""
    run = record("harmonized")["facts"]["run"]
    assert {name: run["settings"][name] for name in ("steps", "eta", "seed")} == {"steps": 2, "eta": 0.5, "seed": 9}
    assert run["settings"]["correction"]["repeats"] == 2
    assert run["settings"]["consistency"] == "co-prediction"
    assert "gamma 0.800" in " ".join(run["style"]["history"])


def test_without_a_settings_file_the_models_own_settings_count(call, pair, tiny):
    source, _, mask = pair
    assert call("translate", source, "--mask", mask, "--model", tiny, *CONFIRM).code == 0
    assert record("harmonized")["facts"]["run"]["settings"]["steps"] == 3


def test_a_sampler_brings_its_own_number_of_steps(tiny):
    from napari_harmonize.cli import inputs

    asked = inputs.asked_for(None, {"model": str(tiny), "sampler": "bridge-published"})
    assert asked.settings.steps == 50
    assert inputs.asked_for(None, {"model": str(tiny), "sampler": "bridge-published", "steps": 7}).settings.steps == 7


def test_a_key_file_gives_the_look(call, pair, tiny):
    source, _, mask = pair
    call("style", "make", source, "--mask", mask, "--name", "wished", "--out", "wished.json")
    assert translate(call, pair, tiny, "--key", "wished.json").code == 0
    assert record("harmonized")["facts"]["run"]["style"]["label"] == "wished"


def test_a_baseline_runs_in_a_models_place(call, pair):
    source, truth, mask = pair
    said = call("translate", source, "--mask", mask, "--truth", truth, "--model", "baseline:histogram-matching")
    assert said.code == 0, said.err
    assert "ground truth" in said.err
    assert record("harmonized")["facts"]["run"]["peeks"]


def test_the_same_is_made_twice(call, pair, tiny):
    assert translate(call, pair, tiny, "--out", "one", "--eta", 1, "--seed", 4).code == 0
    assert translate(call, pair, tiny, "--out", "two", "--eta", 1, "--seed", 4).code == 0
    assert record("one")["facts_sha256"] == record("two")["facts_sha256"]


def test_a_file_name_is_no_folder(call, pair, tiny):
    said = translate(call, pair, tiny, "--out", "result.nii.gz")
    assert said.code == 2
    assert "folder" in said.err


def test_the_demo_compares_writes_and_opens_the_window(call, monkeypatch, tmp_path):
    package = tiny_model.make(tmp_path / "fast")
    opened = []
    monkeypatch.setattr(demo, "has_display", lambda: True)
    monkeypatch.setattr(demo, "read_sample", lambda name: tuple(smaller(volume) for volume in demo_pair(name)))
    said = call("demo", "--model", package.path, "--steps", 1, "--sample", "flair-to-t1", open_window=opened.append)
    assert said.code == 0, said.err
    assert "untouched source" in said.out
    assert "histogram matching" in said.out
    assert [folder.name for folder in opened] == ["flair-to-t1"]
    assert len(list(Path("demo_output").rglob("*.png"))) == 1
    said = call("demo", "--model", package.path, "--steps", 1, "--sample", "flair-to-t1", "--no-window", open_window=opened.append)
    assert (said.code, len(opened)) == (0, 1)
    assert call("demo", "--model", package.path, "--sample", "absent").code == 1


def demo_pair(name: str) -> tuple[Volume, ...]:
    from napari_harmonize.session.samples import read_sample

    return read_sample(name)


def smaller(volume: Volume) -> Volume:
    every = 8
    made = from_array(np.ascontiguousarray(volume.data[::every, ::every, ::every]), volume.affine @ np.diag([every, every, every, 1.0]))
    return volume.replace(data=made.data, affine=made.affine, sha256=made.sha256)


def test_a_folder_of_slices_that_is_none_is_refused(call, tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    assert call("translate", tmp_path / "empty", "--model", tiny).code == 1


@pytest.mark.parametrize("file", ["{}", "nothing", '{"kind": "napari-harmonize.settings", "version": 1, "translation": {"stepz": 1}}'])
def test_a_wrong_settings_file_is_refused(call, pair, tmp_path, file):
    (tmp_path / "asked.json").write_text(file, encoding="utf-8")
    said = call("translate", pair[0], "--settings", "asked.json")
    assert said.code == 2
    assert "Traceback" not in said.err


def test_what_was_repaired_is_said_and_a_persons_name_is_not_written(call, pair, tiny, tmp_path):
    data = np.array(read(pair[0]).data)
    data[3, 3, 3] = np.nan
    source = tmp_path / "Müller Hans geb 1950.nii.gz"
    nibabel.save(nibabel.Nifti1Image(data, np.diag([2.0, 2.0, 3.0, 1.0])), source)
    said = call("translate", source, "--model", tiny, "--steps", 1, "--quiet", *CONFIRM)
    assert said.code == 0, said.err
    assert "Warning: Müller Hans geb 1950.nii.gz: 1 voxels were NaN or infinite" in said.err
    (sidecar,) = Path("harmonized").rglob("sub-*.json")
    assert not any(word in sidecar.read_text(encoding="utf-8") for word in ("Müller", "Hans", "1950"))


def test_a_place_that_cannot_be_written_to_is_refused_before_the_run(call, pair, tiny, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    said = translate(call, pair, tiny, "--out", "other")
    assert (said.code, "made by fMRIPrep" in said.err, "Sampling" in said.err) == (1, True, False)
