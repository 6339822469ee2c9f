from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.errors import VolumeError
from napari_harmonize.metrics import Undefined, changes, consistency_error, outliers, pairs, per_slice

RNG = np.random.default_rng(17)
SHAPE = (8, 9, 30)
TRUTH = np.cumsum(RNG.standard_normal(SHAPE), axis=2) * 0.01 + 0.5
RESULT = TRUTH + 0.02 * RNG.standard_normal(SHAPE)
MASK = RNG.random(SHAPE) < 0.7


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_changes_and_error_by_hand(axis):
    expected, errors = [], []
    for k in range(SHAPE[axis] - 1):
        one, two = (np.take(MASK, k + step, axis) for step in (0, 1))
        steps = [(np.take(data, k + 1, axis) - np.take(data, k, axis))[one & two] for data in (RESULT, TRUTH)]
        expected.append(np.abs(steps[0]).mean())
        errors.append(np.abs(steps[0] - steps[1]))
    np.testing.assert_allclose(changes(RESULT, MASK, axis), expected)
    assert consistency_error(RESULT, TRUTH, MASK, axis) == pytest.approx(np.concatenate(errors).mean())


def test_pairs_out_of_the_mask_are_nan_and_not_zero():
    mask = MASK.copy()
    mask[:, :, :4] = False
    curve = changes(np.where(mask, TRUTH, np.nan), mask, 2)
    assert np.isnan(curve[:4]).all()
    assert np.isfinite(curve[4:]).all()


def test_a_constant_offset_is_consistent():
    assert consistency_error(TRUTH + 0.2, TRUTH, MASK, 2) == pytest.approx(0, abs=1e-12)


def test_a_jump_is_found_by_the_error_of_its_axis():
    jumped = TRUTH + 0.1 * (np.arange(30) >= 15)
    assert consistency_error(jumped, TRUTH, None, 2) == pytest.approx(0.1 / 29)
    assert consistency_error(jumped, TRUTH, None, 0) == pytest.approx(0, abs=1e-12)


def test_whole_numbers_do_not_wrap():
    assert changes(np.array([[[0, 200]]], np.uint8), None, 2) == [200]
    assert changes(np.array([[[200, 0]]], np.uint8), None, 2) == [200]


def test_one_slice_has_no_neighbour():
    assert changes(TRUTH[:, :, :1], None, 2).shape == (0,)
    with pytest.raises(Undefined, match="along axis 2"):
        consistency_error(TRUTH[:, :, :1], TRUTH[:, :, :1], None, 2)
    with pytest.raises(VolumeError, match="axis 3"):
        changes(TRUTH, None, 3)


def test_a_bright_slice_is_an_outlier_on_both_sides():
    brighter = TRUTH.copy()
    brighter[:, :, 12] += 0.1
    curve, reference = changes(brighter, None, 2), changes(TRUTH, None, 2)
    assert outliers(curve) == (11, 12)
    assert outliers(curve, reference) == (11, 12)


def test_a_frozen_slice_and_the_double_step_after_it_are_outliers():
    frozen = TRUTH.copy()
    frozen[:, :, 20] = frozen[:, :, 19]
    assert outliers(changes(frozen, None, 2), changes(TRUTH, None, 2)) == (19, 20)


def test_a_smooth_curve_and_one_like_its_reference_have_none():
    smooth = 0.05 + 0.03 * np.sin(np.linspace(0, np.pi, 60))
    assert outliers(smooth) == ()
    rough = smooth * np.where(np.arange(60) == 30, 3, 1)
    assert outliers(rough) == (30,)
    assert outliers(1.3 * rough, rough) == ()


def test_outliers_pass_over_what_is_not_known():
    curve = np.where(np.arange(40) < 5, np.nan, 0.05)
    curve[25] = 0.3
    assert outliers(curve) == (25,)
    assert outliers([np.nan, 0.1, 0.9]) == ()
    assert outliers([]) == ()
    assert outliers(np.zeros(9)) == ()


def test_curves_that_do_not_fit_are_refused():
    with pytest.raises(VolumeError, match=r"shapes \(3,\) and \(2,\)"):
        outliers([0.1, 0.1, 0.1], [0.1, 0.1])
    with pytest.raises(VolumeError, match="not below zero"):
        outliers([0.1, -0.1, 0.1, 0.2])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_per_slice_adds_up_to_the_whole(axis):
    from napari_harmonize.metrics import evaluate

    rows = per_slice(RESULT, TRUTH, MASK, axis)
    assert rows.mae.shape == (SHAPE[axis],)
    whole = {score.name: score.value for score in evaluate(RESULT, TRUTH, mask=MASK, metrics=["mae", "mse"])}
    assert np.average(rows.mae, weights=rows.voxels) == pytest.approx(whole["mae"])
    assert np.average(10 ** (-rows.psnr / 10), weights=rows.voxels) == pytest.approx(whole["mse"])


def test_per_slice_of_empty_and_equal_slices():
    mask = MASK.copy()
    mask[:, :, 0] = False
    rows = per_slice(TRUTH, TRUTH, mask, 2)
    assert np.isnan(rows.mae[0])
    assert np.isnan(rows.psnr[0])
    assert (rows.mae[1:] == 0).all()
    assert np.isposinf(rows.psnr[1:]).all()


def test_pairs_are_what_the_changes_are_means_of():
    np.testing.assert_array_equal(pairs(MASK, 2), [(MASK[:, :, k] & MASK[:, :, k + 1]).sum() for k in range(29)])
    with pytest.raises(VolumeError, match="axis -1"):
        pairs(MASK, -1)


def test_a_slow_drift_against_the_reference_is_no_jump():
    reference = 0.05 + 0.01 * RNG.random(80)
    drifting = reference * np.exp(np.linspace(-0.5, 0.8, 80))
    assert outliers(drifting, reference) == ()
    drifting[40] *= 1.5
    assert outliers(drifting, reference) == (40,)


def test_tips_with_few_voxels_are_passed_over():
    curve = np.full(40, 0.05)
    curve[[0, 39, 20]] = 0.4
    voxels = np.full(40, 900)
    voxels[[0, 39]] = 30
    assert outliers(curve, voxels=voxels) == (20,)
    assert outliers(curve) == (0, 20, 39)
