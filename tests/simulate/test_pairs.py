"""Pairs on disk: one grid, made again by number, a table that training reads, a sheet."""

import csv
import filecmp

import matplotlib.image
import numpy as np
import pytest

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.errors import WriteError
from napari_harmonize.events import Note, finish
from napari_harmonize.simulate.pairs import ROLES, make_pair, simulate, split_of
from napari_harmonize.simulate.relaxation import WIDE
from napari_harmonize.simulate.settings import SimulationSettings, SubjectSettings
from napari_harmonize.training.pairs import counts, read_table
from napari_harmonize.volumes import Meaning, read, same_grid

SETTINGS = SimulationSettings(seed=8, source="flair", voxel=3, validation=0.5, subject=SubjectSettings(hyperintensities=1.0))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    said = []
    out = tmp_path_factory.mktemp("pairs")
    return out, finish(simulate(SETTINGS, 2, out), said.append), said


def test_training_reads_the_table(made):
    out, written, _ = made
    pairs = read_table(written.table)
    assert len(pairs) == written.pairs == 2
    assert counts(pairs) == {"train": 1, "validation": 1}
    assert len({pair.patient for pair in pairs}) == 2
    for pair in pairs:
        source, target, mask = (read(path) for path in (pair.source, pair.target, pair.mask))
        labels = read(out / pair.facts["labels"])
        assert same_grid(source, target)
        assert same_grid(source, mask)
        assert same_grid(source, labels)
        assert np.allclose(np.diag(source.affine)[:3], 3)
        assert np.array_equal(labels.data > 0, mask.data > 0)
        assert not source.data[mask.data == 0].any()
        assert set(np.unique(labels.data)) <= set(range(len(WIDE) + 1))
        assert "hyperintensities" in pair.facts["found"]
        assert pair.facts["source_contrast"] == "flair"


def test_any_pair_is_made_again_by_its_number_alone(made, tmp_path):
    out, _, _ = made
    finish(simulate(SimulationSettings(**{**vars(SETTINGS), "first": 1}), 1, tmp_path))
    for role in ROLES:
        name = f"pair-000001/{role}.nii.gz"
        assert filecmp.cmp(out / name, tmp_path / name, shallow=False)
    rows = [list(csv.DictReader((folder / "pairs.csv").read_text().splitlines())) for folder in (out, tmp_path)]
    assert rows[0][1] == rows[1][0]


def test_the_sheet_is_a_picture_with_something_on_it(made):
    _, written, _ = made
    picture = matplotlib.image.imread(written.sheet)
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 0.1


def test_it_says_how_fast_it_was(made):
    _, written, said = made
    assert written.rate > 0
    assert any(isinstance(event, Note) and "pairs a minute" in event.text for event in said)


def test_labels_are_named(made):
    out, _, _ = made
    lines = (out / "labels.tsv").read_text().splitlines()
    assert lines[0] == "index\tname"
    assert [line.split("\t")[1] for line in lines[1:]] == list(WIDE)


def test_a_folder_is_not_filled_twice(made):
    with pytest.raises(WriteError, match="without a table"):
        finish(simulate(SETTINGS, 1, made[0]))
    with pytest.raises(WriteError, match="At least one"):
        finish(simulate(SETTINGS, 0, made[0] / "new"))


def test_a_whole_head_keeps_bone_and_scalp_and_its_lesions():
    settings = SimulationSettings(seed=8, source="ct", voxel=4, head=True, subject=SubjectSettings(tumours=1.0))
    pair = make_pair(settings, 3)
    names = [WIDE[number - 1] for number in np.unique(pair.labels.data) if number]
    assert {"bone", "scalp", "tumour", "csf", "grey", "white"} <= set(names)
    assert pair.source.meaning is Meaning.HU
    assert pair.source.data.max() > 500
    assert pair.mask.data.sum() < 0.8 * (pair.labels.data > 0).sum()


def test_splits_are_spread_evenly_over_the_numbers():
    shares = [sum(split_of(index, 0.2) == "validation" for index in range(first, first + 50)) for first in (0, 1000, 123456)]
    assert all(9 <= share <= 11 for share in shares)
    assert {split_of(index, 0.0) for index in range(50)} == {"train"}
    assert {split_of(index, 1.0) for index in range(50)} == {"validation"}
