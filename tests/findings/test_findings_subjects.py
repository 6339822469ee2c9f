"""Held-out subjects are made once, and real pairs are read strictly."""

from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.errors import ReadError
from napari_harmonize.findings import subjects
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
