from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.findings.measure import measure, slices_first, unit
from napari_harmonize.findings.table import answers
from napari_harmonize.translation import load
from small_subjects import small

SUBJECT = small("flair-to-t1", 0, None)
TRUTH = unit(np.asarray(SUBJECT.truth.data), SUBJECT.inside)
WHOLE = range(TRUTH.shape[2])


def psnr(data, answered, slices=WHOLE):
    return measure(np.asarray(data, np.float32), SUBJECT, slices, ("psnr",), None, answered).scores["psnr"]


def test_a_model_is_measured_as_it_answered():
    expected = -10 * np.log10(np.mean((0.5 * TRUTH[SUBJECT.inside]) ** 2))
    assert psnr(TRUTH / 2, True) == pytest.approx(expected, abs=1e-4)
    assert psnr(TRUTH / 2, False) > 100, "a baseline has no scale of its own"


def test_some_slices_are_on_the_scale_of_the_whole_volume():
    part = range(1, 3)
    assert psnr(TRUTH, True, part) > 100
    assert psnr(TRUTH / 2, True, part) < 20


def test_a_black_result_has_no_scale_and_is_black():
    assert not unit(np.zeros(SUBJECT.truth.shape), SUBJECT.inside).any()


def test_slices_come_first():
    assert slices_first(TRUTH).shape == (TRUTH.shape[2], *TRUTH.shape[:2])


def test_models_of_the_zoo_answer_on_the_scale_of_their_targets():
    assert answers(load("ct-to-t1"))
    assert not answers(None)
