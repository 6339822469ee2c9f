from __future__ import annotations

import math

import numpy as np
import pytest

from napari_harmonize.errors import SettingsError
from napari_harmonize.metrics import METRICS, evaluate
from napari_harmonize.style import compute

RNG = np.random.default_rng(4)
TRUTH = RNG.random((9, 10, 11))
RESULT = np.clip(TRUTH + 0.1 * RNG.standard_normal(TRUTH.shape), 0, 1)
MASK = np.ones(TRUTH.shape, bool)


def names(**given):
    return {score.name for score in evaluate(RESULT, **given)}


def test_only_metrics_that_apply_are_measured():
    assert names() == set()
    assert names(source=TRUTH) == {"structure"}
    assert names(key=compute(TRUTH)) == {"style"}
    assert names(repeats=[TRUTH]) == {"spread"}
    needs_truth = {name for name, row in METRICS.items() if row.needs <= {"truth", "mask"}}
    assert names(truth=TRUTH, mask=MASK) == needs_truth - {"mae-hu", "vif"}


def test_hounsfield_units_bring_their_own_metric_and_drop_the_others():
    found = names(truth=TRUTH, hounsfield=True)
    assert "mae-hu" in found
    assert "psnr-ct2mri" not in found


def test_named_metrics_come_in_the_order_asked_for():
    assert [score.name for score in evaluate(RESULT, TRUTH, metrics=["ssim", "mae"])] == ["ssim", "mae"]
    with pytest.raises(SettingsError, match="Did you mean 'psnr'"):
        evaluate(RESULT, TRUTH, metrics=["psrn"])


def test_without_a_mask_the_score_says_so():
    assert "whole volume" in evaluate(RESULT, TRUTH, metrics=["psnr"])[0].note
    assert evaluate(RESULT, TRUTH, mask=MASK, metrics=["psnr"])[0].note == ""
    assert evaluate(RESULT, TRUTH, metrics=["psnr-ct2mri"])[0].note == ""


def test_values_below_zero_are_counted_as_zero_and_it_is_said():
    note = evaluate(RESULT, TRUTH - 0.5, mask=MASK, metrics=["psnr"])[0].note
    assert "of the truth below 0 counted as 0" in note
    assert "result" not in note
    assert "below 0" not in evaluate(RESULT, TRUTH - 0.5, mask=MASK, metrics=["mae-hu"], hounsfield=True)[0].note


def test_no_spread_is_explained():
    assert "nothing is drawn at random" in evaluate(RESULT, mask=MASK, repeats=[RESULT], metrics=["spread"])[0].note
    assert evaluate(RESULT, mask=MASK, repeats=[TRUTH], metrics=["spread"])[0].note == ""


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("psnr", {"truth": 0 * TRUTH}, "99.5th percentile"),
        ("mae-hu", {"truth": TRUTH}, "in HU"),
        ("ssim", {"truth": TRUTH, "thin": True}, "7 voxels"),
        ("ssim-ct2mri", {"truth": TRUTH, "thin": True}, "7 voxels"),
        ("ssim-ct2mri", {"truth": 2 * TRUTH}, "truth has other values"),
        ("nrmse-ct2mri", {"truth": 2 * TRUTH}, "whole volumes in 0..1"),
        ("vif", {"truth": TRUTH}, "41 x 41"),
        ("structure", {"source": 0 * TRUTH}, "source is constant"),
        ("structure", {"source": TRUTH, "thin": True}, "no voxel is left"),
        ("slice-consistency-2", {"truth": TRUTH, "mask": np.arange(11) % 2 * MASK}, "along axis 2"),
        ("style", {"key": compute(TRUTH), "scaled": 300.0}, "0..1"),
        ("style", {"key": compute(TRUTH), "scaled": 0.0}, "0.001 on"),
        ("spread", {"repeats": [TRUTH], "scaled": 0.0}, "percentile"),
    ],
)
def test_where_there_is_no_number_there_is_a_reason(name, given, reason):
    thin, scaled = given.pop("thin", False), given.pop("scaled", 1.0)
    cut = np.s_[:, :, :2] if thin else np.s_[:, :, :]
    given = {part: data[cut] if part in ("truth", "source") else data for part, data in given.items()}
    score = evaluate((RESULT * scaled)[cut], metrics=[name], **given)[0]
    assert math.isnan(score.value)
    assert reason in score.note


def test_ssim_needs_finite_values_near_the_mask():
    mask = np.zeros(TRUTH.shape, bool)
    mask[3:6, 3:6, 3:6] = True
    broken = RESULT.copy()
    broken[1, 4, 4] = np.nan
    score = evaluate(broken, TRUTH, mask=mask, metrics=["ssim"])[0]
    assert math.isnan(score.value)
    assert "three voxels around" in score.note
