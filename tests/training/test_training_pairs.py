"""Tables of pairs: strict reading, no patient on both sides, folds."""

from __future__ import annotations

import dataclasses

import pytest

import training_pairs
from napari_harmonize.errors import TableError
from napari_harmonize.training import examples
from napari_harmonize.training.examples import read_case
from napari_harmonize.training.pairs import Pair, counts, folds, read_table
from napari_harmonize.translation import Recipe
from napari_harmonize.volumes import Meaning, read


def _table(folder, *lines: str):
    for name in ("a.nii.gz", "b.nii.gz", "m.nii.gz"):
        (folder / name).write_bytes(b"")
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_are_pairs_beside_the_table(tmp_path):
    path = _table(
        tmp_path, "patient,source,target,mask,split,site", "p1,a.nii.gz,b.nii.gz,m.nii.gz,,north", "p2,b.nii.gz,a.nii.gz,,test,south"
    )
    one, other = read_table(path)
    assert one == Pair("p1", tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", tmp_path / "m.nii.gz", "train", {"site": "north"})
    assert (other.mask, other.split) == (None, "test")
    assert counts((one, other)) == {"train": 1, "test": 1}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("patient,source", "p1,a.nii.gz"), "lacks target"),
        (("patient,source,target",), "lacks rows"),
        (("patient,source,target", "p1,a.nii.gz,"), "line 2 of pairs.csv: target is empty"),
        (("patient,source,target,split", "p1,a.nii.gz,b.nii.gz,tune"), "the split is 'tune'"),
        (("patient,source,target", "p1,a.nii.gz,gone.nii.gz"), "there is no gone.nii.gz"),
        (("patient,source,target,split", "p1,a.nii.gz,b.nii.gz,train", "p1,b.nii.gz,a.nii.gz,test"), "1 of 1 patients are in several"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, lines, reason):
    with pytest.raises(TableError, match=reason):
        read_table(_table(tmp_path, *lines))


def test_patients_are_not_named_in_refusals(tmp_path):
    path = _table(tmp_path, "patient,source,target,split", "Miller,a.nii.gz,b.nii.gz,train", "Miller,b.nii.gz,a.nii.gz,test")
    with pytest.raises(TableError) as refused:
        read_table(path)
    assert "Miller" not in str(refused.value)


def _pairs(tmp_path, patients: int, scans: int = 2):
    rows = [f"p{n},a.nii.gz,b.nii.gz,{'north' if n % 3 else 'south'}" for n in range(patients) for _ in range(scans)]
    return read_table(_table(tmp_path, "patient,source,target,site", *rows))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_patient_is_validated_once_and_never_straddles(tmp_path, count):
    pairs = _pairs(tmp_path, 12)
    found = folds(pairs, count, seed=5)
    assert len(found) == count
    validated = [{pair.patient for pair in fold if pair.split == "validation"} for fold in found]
    assert sum(map(len, validated)) == len(set.union(*validated)) == 12
    for fold, held in zip(found, validated, strict=True):
        assert len(fold) == len(pairs)
        assert not held & {pair.patient for pair in fold if pair.split == "train"}
    assert folds(pairs, count, seed=5) == found != folds(pairs, count, seed=6)


def test_folds_hold_equal_shares_of_a_column(tmp_path):
    for fold in folds(_pairs(tmp_path, 12), 4, by="site"):
        held = {pair.patient: pair.facts["site"] for pair in fold if pair.split == "validation"}
        assert sorted(held.values()) == ["north", "north", "south"]


def test_folds_that_cannot_be_are_refused(tmp_path):
    pairs = _pairs(tmp_path, 3)
    for count in (1, 4):
        with pytest.raises(TableError, match="folds"):
            folds(pairs, count)
    with pytest.raises(TableError, match="field"):
        folds(pairs, 2, by="field")


def test_a_source_that_does_not_say_what_its_numbers_mean_has_those_the_recipe_expects(tmp_path, monkeypatch):
    pair = training_pairs.make(tmp_path)[0]
    recipe = Recipe(network="shuffle-unet", path="bridge", objective="clean", source="HU")
    assert read(pair.source).meaning is Meaning.UNKNOWN
    assert read_case(pair, recipe).source.meaning is Meaning.HU
    assert read_case(pair, dataclasses.replace(recipe, source="arbitrary MR")).source.meaning is Meaning.ARBITRARY
    monkeypatch.setattr(examples, "read", lambda path: read(path).replace(meaning=Meaning.UNIT))
    assert read_case(pair, recipe).source.meaning is Meaning.UNIT
