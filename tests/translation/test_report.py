import numpy as np
import pytest

import made_result
from made_result import volume
from napari_harmonize.translation import Case, Result, Run
from napari_harmonize.translation.compared import unit
from napari_harmonize.translation.report import PLANES, fact_rows, picture, sheet
from napari_harmonize.volumes import Meaning, canonical


@pytest.fixture
def case():
    return made_result.make_case()


@pytest.fixture
def made(case):
    return made_result.make_result(case)


@pytest.fixture
def scores(case, made):
    return made_result.make_scores(case, made)


def test_pictures_are_radiological():
    """A spot at the patient's right, front and top is where the letters say."""
    data = np.zeros((10, 12, 14), np.float32)
    data[9, 11, 13] = 1
    corners = {plane.name: np.argwhere(picture(data, plane, (9, 11, 13)[plane.across]))[0].tolist() for plane in PLANES}
    assert corners == {"axial": [0, 0], "coronal": [0, 0], "sagittal": [0, 0]}
    assert {plane.letters[0] + plane.letters[2] for plane in PLANES} == {"RA", "RS", "AS"}


def test_a_left_handed_volume_is_drawn_the_same():
    turned = volume()
    back, _ = canonical(turned)
    assert back.affine[0, 0] > 0
    assert np.array_equal(back.data, turned.data[::-1])


@pytest.mark.parametrize("truth", [True, False])
def test_the_sheet_is_a_png_that_says_synthetic(case, made, scores, tmp_path, truth):
    shown = case if truth else Case(case.source)
    path = sheet(made, shown, tmp_path / "sheet.png", scores=scores if truth else (), position=(0.0, 0.0, 0.0))
    raw = path.read_bytes()
    assert raw.startswith(b"\x89PNG")
    assert b"SYNTHETIC" in raw
    assert path.read_bytes() == sheet(made, shown, path, scores=scores if truth else (), position=(0.0, 0.0, 0.0)).read_bytes()


def test_hounsfield_volumes_keep_their_unit(case, made, tmp_path):
    truth = case.source.replace(data=case.source.data - 20, meaning=Meaning.HU, name="ct")
    result = Result(made.volume.replace(data=case.source.data, meaning=Meaning.HU), made.run)
    assert sheet(result, Case(case.source, truth), tmp_path / "sheet.png").exists()


def test_the_facts_are_listed(made):
    rows = dict(fact_rows(made, "accept by MM"))
    assert rows["sampler"] == "bridge, 3 steps, eta 0.5, seed 4"
    assert "knows the ground truth" in rows["style"]
    assert rows["review"] == "accept by MM"
    bare = Result(made.volume, Run({}, {}))
    assert set(dict(fact_rows(bare, ""))) <= {"source", "made", "run"}


def test_a_source_without_positive_values_and_a_truth_elsewhere_are_drawn(case, made, tmp_path):
    below = case.source.replace(data=case.source.data - 1000)
    empty = case.source.replace(data=np.zeros_like(case.source.data))
    mask = case.source.replace(data=case.source.data > 0)
    assert sheet(made, Case(below, empty, mask), tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    shown = unit(below.data, mask.data)
    assert (shown[mask.data].min(), shown.max()) == (0.0, 1.0)
