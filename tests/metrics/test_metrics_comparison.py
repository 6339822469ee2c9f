from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.errors import GeometryError, VolumeError
from napari_harmonize.metrics import Comparison, Undefined, scale

RNG = np.random.default_rng(1)
DATA = RNG.random((6, 7, 8)) * 300
MASK = RNG.random((6, 7, 8)) < 0.5


def test_scale_divides_by_the_percentile_in_the_mask_and_clips():
    expected = np.clip(DATA / np.percentile(DATA[MASK], 99.5), 0, 1)
    np.testing.assert_allclose(scale(DATA, MASK), expected, atol=1e-15)
    np.testing.assert_allclose(scale(DATA.astype(np.float32), MASK.astype(np.uint8)), expected, atol=1e-6)
    assert scale(DATA).max() == 1


def test_scale_does_not_depend_on_the_unit():
    np.testing.assert_allclose(scale(DATA, MASK), scale(DATA * 37, MASK), atol=1e-12)


def test_volumes_on_one_scale_are_left_on_it():
    truth = DATA / 300
    case = Comparison(truth / 2, truth, mask=MASK, scaled=True)
    np.testing.assert_array_equal(case.scaled_result, truth / 2)
    np.testing.assert_array_equal(case.scaled_truth, truth)
    assert Comparison(truth * 2, truth, mask=MASK, scaled=True).scaled_result.max() == 1


def test_what_cannot_be_scaled_is_refused():
    with pytest.raises(Undefined, match="that of the truth is -5"):
        scale(np.full((3, 3, 3), -5.0), None, "truth")
    with pytest.raises(VolumeError, match="empty"):
        scale(DATA, np.zeros(DATA.shape))
    with pytest.raises(GeometryError, match=r"\(2, 2, 2\)"):
        scale(DATA, np.ones((2, 2, 2)))


def test_a_comparison_knows_what_it_has():
    assert Comparison(DATA).has == {"mask"}
    assert Comparison(DATA, DATA, DATA, MASK, repeats=(DATA,)).has == {"truth", "source", "mask", "repeats"}


@pytest.mark.parametrize("name", ["truth", "source", "repeats"])
def test_every_volume_is_checked(name):
    broken = np.where(MASK, np.nan, DATA)
    with pytest.raises(VolumeError, match=f"the {name.rstrip('s')}.* has {MASK.sum()} others"):
        Comparison(DATA, mask=MASK, **{name: (broken,) if name == "repeats" else broken})
    assert Comparison(DATA, mask=~MASK, **{name: (broken,) if name == "repeats" else broken}).inside.sum() == (~MASK).sum()


def test_complex_and_flat_arrays_are_no_volumes():
    with pytest.raises(VolumeError, match="complex128"):
        Comparison(DATA.astype(complex))
    with pytest.raises(VolumeError, match="three axes"):
        Comparison(DATA[0])


def test_what_is_missing_is_said():
    with pytest.raises(Undefined, match="truth"):
        Comparison(DATA).need_truth()
    with pytest.raises(Undefined, match="source"):
        Comparison(DATA).need_source()


def test_volumes_on_other_grids_are_refused():
    with pytest.raises(GeometryError, match=r"the truth has shape \(6, 7, 4\), the result \(6, 7, 8\)"):
        Comparison(DATA, DATA[..., :4])
