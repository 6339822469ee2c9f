"""``simulate``: what it writes, what it prints, what it refuses."""

import importlib.util

import pytest

from napari_harmonize.training.pairs import read_table


def test_pairs_of_a_look_are_written_and_named(call, tmp_path):
    pytest.importorskip("nilearn", reason="the template comes with the train extra")
    said = call("simulate", "--out", "made", "--count", "1", "--source", "t2-turbo", "--voxel", "4", "--subject.tumours", "1")
    assert said.code == 0
    assert said.out.splitlines() == ["made/pairs.csv", "made/contact-sheet.png"]
    assert "pairs a minute" in said.err
    pair = read_table(tmp_path / "made" / "pairs.csv")[0]
    assert pair.facts["source_contrast"] == "t2-turbo"
    assert "tumours" in pair.facts["found"]
    again = call("simulate", "--out", "made", "--count", "1")
    assert again.code == 1
    assert "without a table" in again.err


def test_without_the_template_one_sentence_says_what_to_install(call, monkeypatch, tmp_path):
    from napari_harmonize.simulate import template

    template.tissue_maps.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = call("simulate", "--out", "made")
    template.tissue_maps.cache_clear()
    assert said.code == 1
    assert "napari-harmonize[train]" in said.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "--anatomies", "nowhere"],
        ["simulate", "--subject.anatomies", "nowhere"],
        ["train", "regression-unet", "--simulate", "1", "--anatomies", "nowhere"],
        ["benchmark", "--anatomies", "nowhere"],
    ],
)
def test_brains_of_ones_own_are_looked_for_before_anything_is_made(call, arguments, tmp_path):
    said = call(*arguments, "--out", "made")
    assert said.code == 1
    assert "there is no folder 'nowhere'" in said.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("arguments", [["--source", "photograph"], ["--voxel", "0"], ["--subject.tumours", "2"]])
def test_wrong_options_are_refused_before_anything_is_made(call, arguments, tmp_path):
    assert call("simulate", "--out", "made", *arguments).code == 2
    assert not (tmp_path / "made").exists()
