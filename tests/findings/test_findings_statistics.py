"""Means, paired tests and verdicts on numbers whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_harmonize.findings.cache import Measurement
from napari_harmonize.findings.claims import FAILS, HOLDS, UNKNOWN, Claim, judge
from napari_harmonize.findings.statistics import Summary, paired, paired_distances

NAN = math.nan


def test_a_summary_leaves_out_what_has_no_value():
    found = Summary.of([1.0, 3.0, NAN, math.inf])
    assert (found.mean, found.count) == (2.0, 2)
    assert found.deviation == pytest.approx(math.sqrt(2))
    assert math.isnan(Summary.of([4.0]).deviation)
    assert math.isnan(Summary.of([NAN]).mean)


def test_wilcoxon_of_six_equal_signs_is_one_in_thirty_two():
    found = paired([2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 1])
    assert (found.difference, found.count) == (3.5, 6)
    assert found.p == pytest.approx(2 / 2**6)


def test_too_few_pairs_have_no_p_and_equal_ones_the_largest():
    assert math.isnan(paired([1, 2, 3, 4, 5], [0, 0, 0, 0, 0]).p)
    assert paired([1] * 8, [1] * 8).p == 1
    assert paired([1, 2, NAN, 4, 5, 6, 7], [0, 0, 0, NAN, 0, 0, 0]).count == 5


def test_distances_are_told_apart_by_resampling_subjects():
    rng = np.random.default_rng(0)
    truth = [rng.normal(size=(6, 3)) for _ in range(8)]
    near, far = ([data + shift + 0.1 * rng.normal(size=data.shape) for data in truth] for shift in (0.1, 3.0))
    assert paired_distances(near, far, truth).difference < -20
    assert paired_distances(near, far, truth).p < 0.05
    again = [data + 0.1 + 0.1 * rng.normal(size=data.shape) for data in truth]
    assert paired_distances(near, again, truth).p > 0.05
    assert math.isnan(paired_distances(near[:3], far[:3], truth[:3]).p)


def scored(*values: float) -> list[Measurement]:
    return [Measurement({"psnr": value, "mse": -value, "slice-consistency-2": -value}) for value in values]


GOOD, BAD = scored(5, 6, 7, 8, 9, 10, 11), scored(1, 2, 3, 4, 5, 6, 7)
MIXED = scored(6, 5, 8, 7, 10, 9, 11)


@pytest.mark.parametrize("number", ["psnr", "mse"])  # higher is better, lower is better
@pytest.mark.parametrize(
    ("better", "worse", "strict", "outcome", "words"),
    [
        (GOOD, BAD, True, HOLDS, "p = 0.016, 7 subjects"),
        (BAD, GOOD, True, FAILS, "the other way round"),
        (MIXED, GOOD, True, FAILS, "not told from chance"),
        (MIXED, GOOD, False, HOLDS, "7 subjects"),
        (GOOD, MIXED, False, HOLDS, "7 subjects"),
        (BAD, GOOD, False, FAILS, "7 subjects"),
        (GOOD[:5], BAD[:5], True, UNKNOWN, "a paired test needs 6 subjects"),
        (scored(*[NAN] * 7), BAD, True, UNKNOWN, "has no value here"),
    ],
)
def test_verdicts(number, better, worse, strict, outcome, words):
    claim = Claim("one is better", "a paper", number, "one", "other", strict)
    found = judge(claim, {"one": better, "other": worse}, {}, "scattering")
    assert found.outcome == outcome
    assert words in found.reason


def test_a_way_that_was_not_measured_says_why():
    claim = Claim("one is better", "a paper", "psnr", "one", "other")
    found = judge(claim, {"one": GOOD}, {"other": "the model x is not there"}, "scattering")
    assert (found.outcome, found.reason) == (UNKNOWN, "other: the model x is not there")
