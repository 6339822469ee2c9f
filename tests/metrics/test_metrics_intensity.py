"""Each number against another way of computing it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy, pearsonr
from skimage.metrics import mean_squared_error, normalized_mutual_information, normalized_root_mse, structural_similarity

from napari_harmonize.metrics import evaluate, scale
from napari_harmonize.style import compute, distance

RNG = np.random.default_rng(9)
SHAPE = (18, 17, 16)
TRUTH = RNG.beta(2, 3, SHAPE) * 800
RESULT = np.abs(TRUTH * 0.8 + 60 * RNG.standard_normal(SHAPE))
MASK = RNG.random(SHAPE) < 0.6
A, B = (np.clip(data / np.percentile(data[MASK], 99.5), 0, 1) for data in (RESULT, TRUTH))


def value(name, result=RESULT, truth=TRUTH, **given):
    return evaluate(result, truth, mask=MASK, metrics=[name], **given)[0].value


def test_psnr():
    assert value("psnr") == pytest.approx(10 * np.log10(1 / np.mean((A - B)[MASK] ** 2)))


def test_psnr_as_answered_leaves_the_result_its_tone():
    half = B.clip(0, 1) / 2
    assert value("psnr-answered", half) == pytest.approx(10 * np.log10(1 / np.mean((half - B)[MASK] ** 2)))
    assert value("psnr", half) > value("psnr-answered", half) + 30
    (score,) = evaluate(RESULT, TRUTH, mask=MASK, metrics=["psnr-answered"])
    assert np.isnan(score.value)
    assert "in 0..1" in score.note


def test_ssim_is_the_whole_map_averaged_in_the_mask():
    full = structural_similarity(A, B, data_range=1, full=True)[1]
    assert value("ssim") == pytest.approx(full[MASK].mean(), abs=1e-12)


@pytest.mark.parametrize("place", [0, 5, 9])
def test_ssim_of_a_small_mask_is_that_of_the_whole_map(place):
    mask = np.zeros(SHAPE, bool)
    mask[place : place + 3, 6:8, 15:] = True
    a, b = scale(RESULT, mask), scale(TRUTH, mask)
    expected = structural_similarity(a, b, data_range=1, full=True)[1][mask].mean()
    assert evaluate(RESULT, TRUTH, mask=mask, metrics=["ssim"])[0].value == pytest.approx(expected, abs=1e-12)


def test_differences():
    assert value("mae") == pytest.approx(np.abs(A - B)[MASK].mean())
    assert value("mse") == pytest.approx(mean_squared_error(A[MASK], B[MASK]))
    assert value("nrmse") == pytest.approx(normalized_root_mse(B[MASK], A[MASK], normalization="min-max"))
    assert value("mae-hu", hounsfield=True) == pytest.approx(np.abs(RESULT - TRUTH)[MASK].mean())


def test_hounsfield_differences_of_whole_numbers_do_not_overflow():
    low, high = np.full(SHAPE, -30_000, np.int16), np.full(SHAPE, 30_000, np.int16)
    assert value("mae-hu", low, high, hounsfield=True) == 60_000


def test_correlation():
    assert value("correlation") == pytest.approx(pearsonr(A[MASK], B[MASK])[0])
    assert value("correlation", TRUTH.max() - TRUTH) < -0.99


def test_mutual_information():
    joint = np.histogram2d(A[MASK], B[MASK], bins=64, range=((0, 1), (0, 1)))[0]
    expected = entropy(joint.sum(0), base=2) + entropy(joint.sum(1), base=2) - entropy(joint.ravel(), base=2)
    assert value("mutual-information") == pytest.approx(expected)


def test_normalised_mutual_information():
    """Scikit-image bins over the range of the data, so a voxel at each end makes both ranges 0..1."""
    result, truth = RESULT.copy(), TRUTH.copy()
    result[0, 0, :2], truth[0, 0, :2] = (0, 1e4), (0, 1e4)
    mask = MASK.copy()
    mask[0, 0, :2] = True
    ours = evaluate(result, truth, mask=mask, metrics=["nmi"])[0].value
    theirs = normalized_mutual_information(scale(result, mask)[mask], scale(truth, mask)[mask], bins=64)
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_histogram_difference_counts_voxels():
    counts = [np.bincount(np.minimum((data[MASK] * 255).astype(int), 254), minlength=255) for data in (A, B)]
    assert value("ahd") == pytest.approx(np.abs(counts[0] - counts[1]).sum(), abs=4)
    all_moved = evaluate(np.ones(SHAPE), np.where(np.arange(16) < 15, 0.0, 1.0) * np.ones(SHAPE), metrics=["ahd"])[0].value
    assert all_moved == 2 * 18 * 17 * 15


def test_style_distance_is_that_of_the_keys():
    unit = RESULT / RESULT.max()
    key = compute(TRUTH / TRUTH.max(), bins=64)
    assert evaluate(unit, key=key, metrics=["style"])[0].value == pytest.approx(distance(compute(unit, bins=64), key))


def test_spread_is_in_units_of_the_result():
    repeats = [RESULT + 40, RESULT - 40]
    expected = np.std([0, 40, -40]) / np.percentile(RESULT[MASK], 99.5)
    assert evaluate(RESULT, mask=MASK, repeats=repeats, metrics=["spread"])[0].value == pytest.approx(expected)
