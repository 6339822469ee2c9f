"""Held-out subjects are made once, and real pairs are read strictly."""

from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.errors import ReadError
from napari_harmonize.events import Note, finish
from napari_harmonize.findings import job, subjects
from napari_harmonize.findings.settings import BenchmarkSettings
from napari_harmonize.findings.subjects import HELD_OUT, real_pairs, simulated
from napari_harmonize.volumes import Meaning, from_array, write


def test_a_subject_is_simulated_once(tmp_path, monkeypatch):
    pytest.importorskip("nilearn", reason="the template comes with the train extra")
    monkeypatch.setattr(subjects, "VOXEL", 8)
    first = simulated("ct-to-t1", 3, tmp_path)
    assert first.inside.sum() > 1000
    assert first.truth.shape == first.case.source.shape
    assert first.case.source.meaning is Meaning.HU
    assert first.truth.data[first.inside].mean() > 0
    monkeypatch.setattr(subjects, "_make", None)  # a second making would fail
    again = simulated("ct-to-t1", 3, tmp_path)
    assert again.hash == first.hash
    assert not list(tmp_path.rglob("part-*"))


@pytest.fixture
def brains(tmp_path):
    home = tmp_path / "somebody"
    home.mkdir()
    for name in "ab":
        (home / f"{name}.nii.gz").write_bytes(name.encode())
    return home


def test_subjects_of_ones_own_brains_are_kept_apart_by_what_the_scans_hold(tmp_path, brains, monkeypatch):
    made = []

    def make(task, number, home, anatomies):
        made.append((home.relative_to(tmp_path).parts, anatomies))
        home.mkdir(parents=True)
        for role in subjects.ROLES:
            write(from_array(np.ones((3, 4, 5), np.int16), np.eye(4)), home / f"{role}.nii.gz")

    monkeypatch.setattr(subjects, "_make", make)
    simulated("ct-to-t1", 3, tmp_path)
    for _ in range(2):
        simulated("ct-to-t1", 3, tmp_path, str(brains))
    (brains / "b.nii.gz").write_bytes(b"another")
    simulated("ct-to-t1", 3, tmp_path, str(brains))
    folders = [parts[0] for parts, _ in made]
    assert len(set(folders)) == len(made) == 3
    assert folders[0] == "ct-to-t1"
    assert "somebody" not in str(folders)
    assert [anatomies for _, anatomies in made] == ["", str(brains), str(brains)]
    assert subjects.TASKS["ct-to-t1"].simulation(str(brains)).subject.anatomies == str(brains)


def test_results_say_how_many_brains_and_not_where_they_lie(tmp_path, brains, monkeypatch):
    monkeypatch.setattr(job, "SECTIONS", {})
    said = []
    found = finish(job.benchmark(BenchmarkSettings(subjects=20, anatomies=str(brains)), tmp_path / "out", tmp_path), said.append)
    assert (found["anatomies"], found["settings"]["anatomies"]) == (2, subjects.own_name(str(brains)))
    assert "2 brains of the user's own" in (tmp_path / "out" / job.PAGE).read_text()
    assert "somebody" not in (tmp_path / "out" / job.RESULTS).read_text()
    assert [isinstance(event, Note) for event in said] == [True, True]


def test_no_training_has_the_seed():
    from napari_harmonize.simulate.samples import SEED
    from napari_harmonize.simulate.settings import SimulationSettings
    from napari_harmonize.training.settings import FitSettings

    assert HELD_OUT not in (SEED, SimulationSettings().seed, FitSettings().seed)
    assert HELD_OUT > 2**32  # nobody types such a number by chance


@pytest.fixture
def folder(tmp_path):
    data = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    turned = np.array([[-2.0, 0, 0, 4], [0, 2.0, 0, 0], [0, 0, 2.0, 0], [0, 0, 0, 1]])
    write(from_array(data, turned), tmp_path / "source.nii.gz")
    write(from_array(data[::-1].copy(), np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "target.nii.gz")
    (tmp_path / "pairs.csv").write_text("patient,task,source,target,mask\nsomebody,ct-to-t1,source.nii.gz,target.nii.gz,\n")
    return tmp_path


def test_a_real_pair_lies_on_one_grid_in_our_order(folder):
    (pair,) = real_pairs(folder)["ct-to-t1"]
    np.testing.assert_allclose(pair.truth.data, pair.case.source.data, atol=1e-4)
    assert pair.case.source.affine[0, 0] > 0
    assert pair.case.source.meaning is Meaning.HU
    assert pair.inside.all()
    assert "somebody" not in pair.name


def test_a_folder_without_a_table_or_a_column_is_refused(folder):
    (folder / "pairs.csv").write_text("patient,source,target\na,source.nii.gz,target.nii.gz\n")
    with pytest.raises(ReadError, match="task is missing"):
        real_pairs(folder)
    (folder / "pairs.csv").unlink()
    with pytest.raises(ReadError, match=r"holds pairs\.csv"):
        real_pairs(folder)
