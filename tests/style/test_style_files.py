from __future__ import annotations

import json

import numpy as np
import pytest

from napari_harmonize.errors import StyleError
from napari_harmonize.style import Edit, Origin, apply, average, compute, load, save

RNG = np.random.default_rng(2)
FIRST = compute(RNG.random(5000), label="first", source_name="a.nii.gz")
ORACLE = compute(RNG.random(5000) ** 2, label="own", origin=Origin.ORACLE)
KEYS = (FIRST, ORACLE, apply(Edit(gamma=1.5), ORACLE), average([FIRST, ORACLE]))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "keys.json"
    save(KEYS, path)
    return path


def test_keys_come_back_to_the_last_bit_with_all_they_knew(saved):
    for before, after in zip(KEYS, load(saved), strict=True):
        np.testing.assert_array_equal(before.curves[0], after.curves[0])
        np.testing.assert_array_equal(before.curves, after.curves)
        for fact in ("label", "origin", "source_name", "history", "peeks"):
            assert getattr(before, fact) == getattr(after, fact)


def test_the_file_says_its_kind_and_leaves_nothing_beside_it(saved):
    found = json.loads(saved.read_text())
    assert (found["kind"], found["version"]) == ("napari-harmonize.style-keys", 1)
    assert [path.name for path in saved.parent.iterdir()] == ["keys.json"]


def changed(path, change):
    found = json.loads(path.read_text())
    change(found, found["keys"][0])
    path.write_text(json.dumps(found))
    return path


@pytest.mark.parametrize(
    ("sentence", "change"),
    [
        ("says 'recipe'", lambda file, key: file.update(kind="recipe")),
        ("has version 2", lambda file, key: file.update(version=2)),
        ("a list of keys", lambda file, key: file.update(extra=1)),
        ("a list of keys", lambda file, key: file.update(keys="none")),
        ("at least one", lambda file, key: file.update(keys=[])),
        ("object of named values", lambda file, key: file["keys"].append(3)),
        ("Did you mean 'label'", lambda file, key: key.update(lable="x")),
        ("field 'peeks'.*missing", lambda file, key: key.pop("peeks")),
        ("'peeks' of a style key is a bool", lambda file, key: key.update(peeks="no")),
        ("origin of a style key is one of", lambda file, key: key.update(origin="somewhere")),
        ("list of sentences", lambda file, key: key.update(history=[1])),
        ("list of numbers", lambda file, key: key["histogram"].append("1")),
        ("finite number", lambda file, key: key["histogram"].append(float("nan"))),
        ("sums to 10", lambda file, key: key["histogram"].append(5.0)),
        ("three curves of at least 8", lambda file, key: key.update(histogram=[])),
        ("has none", lambda file, key: key.update(label=" ")),
        ("2 in keys.json are called 'own'", lambda file, key: key.update(label="own")),
    ],
)
def test_reading_is_strict(saved, sentence, change):
    with pytest.raises(StyleError, match=sentence):
        load(changed(saved, change))


def test_what_is_no_file_of_keys_is_refused(tmp_path):
    with pytest.raises(StyleError, match=r"absent\.json: No such file"):
        load(tmp_path / "absent.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(StyleError, match="kind"):
        load(tmp_path / "list.json")
    (tmp_path / "binary.json").write_bytes(b"\x80\x04\xff")
    with pytest.raises(StyleError, match="JSON text"):
        load(tmp_path / "binary.json")


def test_saving_needs_names_and_a_folder(tmp_path):
    with pytest.raises(StyleError, match="at least one"):
        save([], tmp_path / "k.json")
    with pytest.raises(StyleError, match="has none"):
        save([compute(RNG.random(50))], tmp_path / "k.json")
    with pytest.raises(StyleError, match="can be written"):
        save([FIRST], tmp_path / "absent" / "k.json")
    assert not list(tmp_path.iterdir())


def test_an_oracle_cannot_be_washed_by_a_file(saved):
    washed = changed(saved, lambda file, key: file["keys"][1].update(peeks=False))
    assert load(washed)[1].peeks
