from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from napari_harmonize.errors import StyleError
from napari_harmonize.style import Origin, blend, compute, distance, from_histogram, peaks

RNG = np.random.default_rng(3)
A = compute(RNG.normal(0.3, 0.03, 50_000), label="dark")
B = compute(RNG.normal(0.7, 0.06, 30_000), label="bright")
GAPS = from_histogram([0, 3, 0, 0, 1, 0, 0, 0, 0, 2] * 12 + [0] * 8, label="gaps")


@pytest.mark.parametrize(("a", "b"), [(A, B), (B, A), (A, GAPS), (GAPS, B)])
def test_the_ends_of_a_blend_are_the_keys(a, b):
    assert blend(a, b, 0).same_as(a)
    assert blend(a, b, 1).same_as(b)


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.8])
def test_a_blend_interpolates_quantiles(weight):
    q = np.linspace(0.05, 0.95, 19)
    expected = (1 - weight) * A.quantiles(q) + weight * B.quantiles(q)
    assert np.abs(blend(A, B, weight).quantiles(q) - expected).max() < 0.999 / 128
    assert blend(A, B, weight).histogram.sum() == pytest.approx(10)


def test_a_blend_moves_the_peak_and_does_not_show_both():
    middle = blend(A, B, 0.5)
    assert middle.centres[middle.histogram.argmax()] == pytest.approx(0.5, abs=0.02)
    assert middle.histogram[(middle.centres < 0.35) | (middle.centres > 0.65)].sum() < 0.2


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.75])
def test_a_blend_lies_on_the_way(weight):
    whole = distance(A, B)
    assert distance(A, blend(A, B, weight)) == pytest.approx(weight * whole, rel=0.01)
    assert distance(blend(A, B, weight), B) == pytest.approx((1 - weight) * whole, rel=0.01)


def test_a_blend_remembers_both_and_peeks_if_one_does():
    oracle = compute(RNG.normal(0.5, 0.1, 1000), label="own", origin=Origin.ORACLE)
    mixed = blend(blend(A, oracle, 0.5), B, 0.2)
    assert mixed.peeks
    assert mixed.origin is Origin.BLEND
    assert "oracle" in mixed.history[0]
    assert not blend(A, B, 0.5).peeks


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_weights_are_shares(weight):
    with pytest.raises(StyleError, match="from 0 to 1"):
        blend(A, B, weight)


def test_distance_is_the_wasserstein_distance():
    for other in (B, GAPS):
        expected = wasserstein_distance(A.centres, other.centres, A.histogram, other.histogram)
        assert distance(A, other) == pytest.approx(expected, abs=1e-12)
    assert distance(A, A) == 0
    assert distance(A, B) == pytest.approx(distance(B, A))


def test_a_shifted_key_is_as_far_as_it_was_shifted():
    shifted = from_histogram(np.roll(A.histogram, 10))
    assert distance(A, shifted) == pytest.approx(10 * 0.999 / 128, abs=1e-9)
    assert peaks(shifted)[1] > peaks(A)[1]


def test_unlike_keys_are_not_compared():
    with pytest.raises(StyleError, match="8 and 128 bins"):
        distance(A, from_histogram(np.ones(8)))
    with pytest.raises(StyleError, match="8 and 128 bins"):
        blend(A, from_histogram(np.ones(8)), 0.5)
