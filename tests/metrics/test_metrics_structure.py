from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_harmonize.errors import VolumeError
from napari_harmonize.metrics import evaluate, pointwise_mapping
from napari_harmonize.volumes.masks import bounding_box

RNG = np.random.default_rng(13)
SHAPE = (24, 26, 22)
SOURCE = gaussian_filter(RNG.standard_normal(SHAPE), 1.2)
SOURCE = (SOURCE - SOURCE.min()) / np.ptp(SOURCE)
MASK = np.zeros(SHAPE, bool)
MASK[3:-3, 3:-3, 3:-3] = True


def structure(result, source=SOURCE, mask=MASK):
    return evaluate(result, source=source, mask=mask, metrics=["structure"])[0].value


def test_structure_does_not_mind_the_contrast():
    assert structure(3 * SOURCE + 1) == pytest.approx(1, abs=1e-12)
    assert structure(1 - SOURCE) == pytest.approx(1, abs=1e-12)


def test_structure_minds_where_things_are():
    other = gaussian_filter(RNG.standard_normal(SHAPE), 1.2)
    moved = np.roll(SOURCE, 2, axis=1)
    assert structure(other) == pytest.approx(1 / 3, abs=0.1)
    assert structure(moved) < 0.6
    assert structure(other) < structure(gaussian_filter(SOURCE, 1)) < 1


def test_the_outline_of_the_mask_is_no_structure():
    """Two unrelated stripped volumes share the edge of the mask and nothing else."""
    other = gaussian_filter(RNG.standard_normal(SHAPE), 1.2)
    stripped = structure(np.where(MASK, other + 9, 0), np.where(MASK, SOURCE + 9, 0))
    assert stripped == pytest.approx(structure(other), abs=1e-9)


def test_pointwise_mapping_is_the_best_recolouring():
    labels = RNG.integers(0, 5, SHAPE)
    truth = np.array([0.9, 0.1, 0.5, 0.3, 0.7])[labels] + 0.1 * RNG.standard_normal(SHAPE)
    found = pointwise_mapping(labels.astype(float), truth, MASK)
    for label in range(5):
        np.testing.assert_allclose(found[labels == label], truth[MASK & (labels == label)].mean(), atol=1e-12)


def test_pointwise_mapping_uses_only_the_mask_and_covers_everything():
    source = np.where(MASK, SOURCE, 7.0)
    source[0, 0, 0] = np.nan
    found = pointwise_mapping(source, np.where(MASK, 2 * SOURCE, -50), MASK)
    assert np.abs(found - 2 * SOURCE)[MASK].max() < 2 * 2 / 256
    assert found[~MASK].min() >= 0
    with pytest.raises(VolumeError, match="empty"):
        pointwise_mapping(source, source, np.zeros(SHAPE))


def test_beyond_recolouring_is_positive_only_for_more_than_recolouring():
    truth = SOURCE**2 + 0.1 * gaussian_filter(RNG.standard_normal(SHAPE), 1)
    recoloured = pointwise_mapping(SOURCE, truth, MASK)
    scores = [
        evaluate(result, truth, SOURCE, MASK, metrics=["psnr-over-pointwise"])[0].value
        for result in (SOURCE, recoloured, 0.5 * (truth + recoloured))
    ]
    assert scores[0] < scores[1] < scores[2]
    assert scores[1] == pytest.approx(0, abs=0.5)
    assert scores[2] == pytest.approx(6, abs=1)


def test_recolouring_that_reaches_the_truth_leaves_nothing_to_gain():
    labels = RNG.integers(0, 2, SHAPE).astype(float)
    score = evaluate(SOURCE, labels, 1 - 0.5 * labels, MASK, metrics=["psnr-over-pointwise"])[0]
    assert np.isnan(score.value)
    assert "truth itself" in score.note


def test_vif_is_that_of_the_slices():
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.image import visual_information_fidelity

    truth = gaussian_filter(RNG.standard_normal((45, 44, 20)), 1)
    truth = np.clip(0.5 + truth / np.abs(truth).max() / 2, 0, 1)
    result = np.clip(truth + 0.05 * RNG.standard_normal(truth.shape), 0, 1)
    mask = np.zeros(truth.shape, bool)
    mask[:, :, 1:19] = True
    found = evaluate(result, truth, mask=mask, metrics=["vif"])[0].value
    scaled = [np.clip(data / np.percentile(data[mask], 99.5), 0, 1) * 255 for data in (result, truth)]
    each = [visual_information_fidelity(*(torch.from_numpy(data[None, None, :, :, k].copy()) for data in scaled)) for k in range(1, 19)]
    assert found == pytest.approx(float(torch.stack(each).mean()), abs=1e-9)


def test_vif_needs_a_truth_that_varies():
    flat = np.ones((44, 44, 3))
    assert "constant" in evaluate(flat, flat, metrics=["vif"])[0].note


@pytest.mark.parametrize(("place", "expected"), [(0, slice(0, 7)), (10, slice(7, 14)), (19, slice(13, 20))])
def test_bounding_box_is_wide_enough_and_inside(place, expected):
    inside = np.zeros((20, 3, 20), bool)
    inside[place, 1, 2] = True
    box = bounding_box(inside, 3, 7)
    assert box[0] == expected
    assert box[1] == slice(0, 3)
