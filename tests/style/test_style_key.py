from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_harmonize.errors import StyleError
from napari_harmonize.style import Origin, StyleKey, average, compute, from_curves, from_histogram

RNG = np.random.default_rng(5)
BRAIN = np.where(RNG.random((12, 13, 14)) < 0.4, 0, RNG.beta(4, 3, (12, 13, 14))).astype(np.float32)


def by_hand(data: np.ndarray, bins: int) -> np.ndarray:
    """The recipe of the published key, bin by bin."""
    edges = np.linspace(0.001, 1, bins + 1, dtype=data.dtype if data.dtype.kind == "f" else np.float64)
    counts = np.array([((data >= low) & (data < high)).sum() for low, high in itertools.pairwise(edges)], float)
    counts[-1] += (data == edges[-1]).sum()
    h = 10 * counts / counts.sum()
    d = [10 * (h[k] - h[k - 1]) for k in range(1, bins)]
    return np.array([h, np.cumsum(h), [d[0], *d]])


@pytest.mark.parametrize("bins", [128, 64])
def test_key_is_the_published_recipe(bins):
    key = compute(BRAIN, bins=bins)
    np.testing.assert_allclose(key.curves, by_hand(BRAIN, bins), atol=1e-12)
    assert key.histogram.sum() == pytest.approx(10, abs=1e-12)


def test_values_outside_the_range_are_no_foreground():
    awkward = np.concatenate([BRAIN.ravel(), np.array([np.nan, np.inf, -np.inf, -0.5, 1.5, 0.0009], np.float32)])
    assert compute(awkward).same_as(compute(BRAIN))


def test_both_ends_of_the_range_count():
    key = compute(np.array([0.001, 1.0], np.float64))
    assert (key.histogram[0], key.histogram[-1]) == (5, 5)


def test_whole_numbers_count_like_floats():
    key = compute(np.array([[0, 1, 1, 0]], np.uint8))
    assert key.histogram[-1] == 10


def test_a_mask_leaves_voxels_out():
    mask = np.zeros(BRAIN.shape, np.uint8)
    mask[:6] = 1
    assert compute(BRAIN, mask=mask).same_as(compute(BRAIN[:6]))
    with pytest.raises(StyleError, match=r"mask has the shape.*\(3, 3, 3\)"):
        compute(BRAIN, mask=np.ones((3, 3, 3)))


@pytest.mark.parametrize("data", [np.zeros((4, 4, 4)), np.full(5, 300.0), np.full(3, np.nan)], ids=["black", "units", "nan"])
def test_no_foreground_is_refused_and_never_becomes_nan(data):
    with pytest.raises(StyleError, match=r"scan\.nii.*Scale the volume"):
        compute(data, source_name="scan.nii")


def test_complex_and_too_few_bins_are_refused():
    with pytest.raises(StyleError, match="real numbers"):
        compute(BRAIN.astype(complex))
    with pytest.raises(StyleError, match="at least 8 bins"):
        compute(BRAIN, bins=4)


def test_average_is_the_mean_of_each_curve():
    keys = [compute(BRAIN), compute(BRAIN**2), compute(np.sqrt(BRAIN)[:4])]
    mean = average(keys)
    np.testing.assert_allclose(mean.curves, np.mean([key.curves for key in keys], 0), atol=1e-12)
    assert mean.origin is Origin.AVERAGE
    assert not mean.peeks
    assert average([keys[0], compute(BRAIN, origin=Origin.ORACLE)]).peeks


def test_average_of_nothing_or_of_unlike_keys_is_refused():
    with pytest.raises(StyleError, match="at least one"):
        average([])
    with pytest.raises(StyleError, match="64 and 128 bins"):
        average([compute(BRAIN), compute(BRAIN, bins=64)])


def test_an_oracle_always_peeks():
    assert StyleKey(compute(BRAIN).curves, origin=Origin.ORACLE, peeks=False).peeks
    assert not compute(BRAIN).peeks
    assert "knows the ground truth" in compute(BRAIN, origin=Origin.ORACLE).describe()
    assert "knows" not in compute(BRAIN).describe()


def test_same_to_rounding_is_the_same():
    key = compute(BRAIN)
    assert key.same_as(from_curves(key.curves.astype(np.float32)))
    assert not key.same_as(compute(BRAIN * np.float32(0.99)))
    assert not key.same_as(compute(BRAIN, bins=64))


@pytest.mark.parametrize("shape", ["rows", "columns", "published"])
def test_published_curves_come_in_in_every_layout(shape):
    curves = compute(BRAIN).curves
    arrived = {"rows": curves, "columns": curves.T, "published": curves.T[..., None]}[shape]
    key = from_curves(arrived, label="subject 7", source_name="keys.pkl")
    np.testing.assert_allclose(key.curves, curves, atol=1e-12)
    assert (key.origin, key.label, key.source_name) == (Origin.FILE, "subject 7", "keys.pkl")


def test_curves_that_are_no_key_are_refused():
    curves = compute(BRAIN).curves
    bad = {
        "three curves": curves[:2],
        "finite number": np.where(np.arange(128) == 3, np.nan, curves),
        "sums to 10": 2 * curves,
        "running sum": np.stack([curves[0], curves[1], curves[1]]),
    }
    for sentence, arrived in bad.items():
        with pytest.raises(StyleError, match=sentence):
            from_curves(arrived, label="odd")


def test_histograms_that_are_no_histogram_are_refused():
    assert from_histogram(np.arange(8)).histogram.sum() == pytest.approx(10)
    for sentence, counts in {"one row": np.ones((2, 9)), "finite": [1.0] * 8 + [-1], "foreground": np.zeros(9)}.items():
        with pytest.raises(StyleError, match=sentence):
            from_histogram(counts)


def test_curves_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        compute(BRAIN).curves[0, 0] = 1


def test_quantiles_agree_with_the_voxels():
    inside = BRAIN[(BRAIN >= 0.001) & (BRAIN <= 1)]
    q = np.linspace(0.02, 0.98, 25)
    assert np.abs(compute(BRAIN).quantiles(q) - np.quantile(inside, q)).max() < 1.5 * 0.999 / 128


def test_quantiles_skip_gaps():
    key = from_histogram([0, 1, 0, 0, 0, 0, 1, 0, 0, 0])
    edges = key.edges
    expected = [edges[1], (edges[1] + edges[2]) / 2, edges[2], (edges[6] + edges[7]) / 2, edges[7]]
    np.testing.assert_allclose(key.quantiles([0, 0.25, 0.5, 0.75, 1]), expected, atol=1e-12)
    with pytest.raises(StyleError, match="share from 0 to 1"):
        key.quantiles([0.5, np.nan])
