"""``train``: tables, recipes, fine-tuning, folds, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import family_models
from napari_harmonize.cli import main
from napari_harmonize.settings import from_json, to_json
from napari_harmonize.training.asked import ASKED, Asked, read_asked
from napari_harmonize.training.settings import FitSettings
from napari_harmonize.translation import load
from napari_harmonize.volumes import from_array, write

QUICK = ["--steps", "2", "--batch", "1", "--validate", "2", "--cases", "1", "--validation-steps", "1", "--threads", "1", "--quiet"]


@pytest.fixture
def table(tmp_path):
    lines = ["patient,source,target,split,site"]
    for number in range(4):
        data = np.zeros((16, 16, 8), np.float32)
        data[3:-3, 3:-3] = 0.5 + 0.4 * np.random.default_rng(number).random((10, 10, 8))
        for role, values in (("source", data), ("target", np.where(data > 0, 1.4 - data, 0))):
            write(from_array(values.astype(np.float32), np.eye(4), name=role), tmp_path / f"{role}{number}.nii.gz")
        split, site = ("train", "validation")[number == 3], "ns"[number % 2]
        lines.append(f"p{number},source{number}.nii.gz,target{number}.nii.gz,{split},{site}")
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def recipe(tmp_path):
    return family_models.make(tmp_path / "start", "sa-unet").path / "recipe.json"


def test_a_recipe_becomes_a_model(table, recipe, tmp_path, capsys):
    named = ["--title", "Boxes", "--source-contrast", "FLAIR"]
    assert main(["train", str(recipe), "--pairs", str(table), "--out", str(tmp_path / "run"), *named, *QUICK]) == 0
    package = load(tmp_path / "run" / "model")
    assert package.card.title == "Boxes"
    assert package.card.from_contrasts == ("FLAIR",)
    asked = read_asked(tmp_path / "run")
    assert (asked.recipe, asked.table, asked.fit.steps) == (str(recipe), str(table), 2)
    assert str(package.path) in capsys.readouterr().out


def test_a_folder_goes_on_with_what_it_was_asked_for(table, recipe, tmp_path, capsys):
    arguments = ["train", str(recipe), "--pairs", str(table), "--out", str(tmp_path / "run"), *QUICK]
    (tmp_path / "run").mkdir()
    asked = Asked(str(recipe), "", str(table), fit=from_json(FitSettings, {"steps": 9}))
    (tmp_path / "run" / ASKED).write_text(json.dumps(to_json(asked)))
    assert main(arguments) == 1
    assert "first asked for" in capsys.readouterr().err


def test_a_model_is_tuned_further(table, recipe, tmp_path):
    arguments = ["train", "--from", str(recipe.parent), "--pairs", str(table), "--out", str(tmp_path / "run"), "--rate", "0", *QUICK]
    assert main(arguments) == 0
    package, start = load(tmp_path / "run" / "model"), load(recipe.parent)
    assert "fine-tuned" in package.card.title
    kept, begun = package.load_network().state_dict(), start.load_network().state_dict()
    assert all((kept[name] - begun[name]).abs().max() < 1e-6 for name in begun)


def test_folds_are_trained_one_after_another(table, recipe, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", str(recipe), "--pairs", str(table), "--out", str(out), "--folds", "2", "--stratify", "site", *QUICK]) == 0
    assert [load(out / f"fold-{number}" / "model").card.metrics[0][1] for number in (1, 2)] == ["SSIM", "SSIM"]
    assert "held out" in capsys.readouterr().out


def test_two_processes_train_one_model(table, recipe, tmp_path):
    command = [sys.executable, "-m", "napari_harmonize", "train", str(recipe), "--pairs", str(table), "--out", str(tmp_path / "run")]
    how = ["--steps", "4", "--batch", "1", "--validate", "2", "--cases", "1", "--validation-steps", "1", "--report", "2", "--threads", "1"]
    # each process is given this command again by the first
    done = subprocess.run([*command, *how, "--device", "cpu", "--devices", "2"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines().count(str(tmp_path / "run" / "model")) == 1
    assert load(tmp_path / "run" / "model").load_network()
    assert [line.split(",")[0] for line in (tmp_path / "run" / "log.csv").read_text().splitlines()] == ["step", "2", "4"]
    assert not list((tmp_path / "run").glob("work*"))


def test_folds_are_for_one_device(table, recipe, tmp_path, capsys):
    arguments = ["train", str(recipe), "--pairs", str(table), "--out", str(tmp_path / "run"), "--folds", "2", "--devices", "2", *QUICK]
    assert main(arguments) == 2
    assert "Set devices to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "a recipe or a model"),
        (["nowhere"], "palette"),
        (["palette", "--folds", "9"], "9 folds"),
        (["palette", "--weighting", "max"], "weighting"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_sentence(arguments, reason, table, tmp_path, capsys):
    assert main(["train", *arguments, "--pairs", str(table), "--out", str(tmp_path / "run"), "--quiet"]) in (1, 2)
    said = capsys.readouterr().err
    assert reason in said
    assert "Traceback" not in said


def test_pairs_are_simulated_kept_and_trained_on(recipe, tmp_path, monkeypatch, table):
    from napari_harmonize.simulate import kept

    asked = []

    def keep_pairs(tasks, count):
        asked.append((tasks, count))
        yield from ()
        return (table,)

    monkeypatch.setattr(kept, "keep_pairs", keep_pairs)
    out = tmp_path / "run"
    simulated = ["--simulate", "5", "--source", "flair", "--voxel", "4", "--seed", "7", "--subject.tumours", "1"]
    assert main(["train", str(recipe), *simulated, "--out", str(out), *QUICK]) == 0
    (folder, how), count = *asked[0][0].items(), asked[0][1]
    assert (folder, count) == (out / "pairs", 5)
    assert (how.source, how.target, how.voxel, how.seed, how.threads, how.subject.tumours) == ("flair", "mprage", 4, 7, 1, 1.0)
    assert load(out / "model").card.metrics


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "neither was given"),
        (["--pairs", "pairs.csv", "--simulate", "2"], "both were given"),
        (["--pairs", "pairs.csv", "--source", "ct"], "go with --simulate"),
    ],
)
def test_pairs_come_from_one_place(arguments, reason, tmp_path, capsys):
    assert main(["train", "palette", *arguments, "--out", str(tmp_path / "run"), "--quiet"]) == 2
    assert reason in capsys.readouterr().err
