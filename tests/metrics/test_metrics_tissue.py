"""Segmentation of a T1 look, and agreement of segmentations, against known answers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.errors import Undefined, VolumeError
from napari_harmonize.metrics.tissue import agreement, dice, hausdorff, volumes
from napari_harmonize.tissue import TISSUES, segment

SPACING = (1.0, 2.0, 3.0)


def blocks() -> np.ndarray:
    """Labels: three slabs of unequal size along the first axis, empty rim."""
    labels = np.zeros((20, 12, 10), np.uint8)
    labels[1:6, 1:-1, 1:-1] = 1
    labels[6:14, 1:-1, 1:-1] = 2
    labels[14:19, 1:-1, 1:-1] = 3
    return labels


def scanned(labels: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    means = np.array([0.0, 40.0, 110.0, 180.0])
    return means[labels] + np.random.default_rng(seed).normal(0, noise, labels.shape) * (labels > 0)


def test_three_tissues_are_told_apart_and_ordered_by_brightness():
    labels = blocks()
    found = segment(scanned(labels, 5.0), labels > 0, SPACING, uneven=False)
    assert np.array_equal(found.labels, labels)
    assert found.means[0] < found.means[1] < found.means[2]
    np.testing.assert_allclose(found.shares.sum(0)[labels > 0], 1, atol=1e-5)
    assert not found.shares[:, labels == 0].any()


def test_the_unit_does_not_matter():
    labels = blocks()
    data = scanned(labels, 12.0)
    one, other = (segment(values, labels > 0).labels for values in (data, data * 32))
    assert np.array_equal(one, other)


def test_neighbours_mend_what_noise_breaks():
    labels = blocks()
    data = scanned(labels, 28.0)
    alone, together = (segment(data, labels > 0, strength=strength, uneven=False).labels for strength in (0.0, 0.5))
    assert (together == labels).mean() > (alone == labels).mean() + 0.02


def test_an_uneven_coil_is_seen_through():
    rng = np.random.default_rng(2)
    pieces = rng.integers(1, 4, (7, 7, 7)).astype(np.uint8).repeat(4, 0).repeat(4, 1).repeat(4, 2)
    labels = np.pad(pieces, 1)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, 30),) * 3, indexing="ij")
    data = scanned(labels, 6.0) * np.exp(0.35 * x + 0.3 * y * z - 0.3 * z**2)
    ignored, modelled = (segment(data, labels > 0, uneven=uneven).labels for uneven in (False, True))
    inside = labels > 0
    assert (ignored == labels)[inside].mean() < 0.9
    assert (modelled == labels)[inside].mean() > 0.99


def test_known_volumes_dice_and_distances():
    labels = blocks()
    moved = np.roll(labels, 1, axis=1)
    found = agreement(moved, labels, SPACING)
    assert volumes(labels, SPACING) == {"csf": 5 * 80 * 6.0, "grey": 8 * 80 * 6.0, "white": 5 * 80 * 6.0}
    for name in TISSUES:
        assert found[f"dice-{name}"] == pytest.approx(0.9)  # nine rows of ten are shared
        assert found[f"hausdorff-{name}"] == pytest.approx(2.0)
        assert found[f"volume-difference-{name}"] == 0
    smaller = np.where(labels == 2, 0, labels).astype(np.uint8)
    assert agreement(smaller, labels, SPACING)["volume-difference-grey"] == 8 * 80 * 6.0
    assert np.isnan(agreement(smaller, labels, SPACING)["hausdorff-grey"])


def test_what_is_empty_has_no_number():
    empty, full = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    assert np.isnan(dice(empty, empty))
    assert dice(empty, full) == 0
    assert np.isnan(hausdorff(empty, full, SPACING))


def test_what_has_no_three_tissues_is_refused():
    inside = np.ones((5, 5, 5), bool)
    with pytest.raises(Undefined, match="three values"):
        segment(np.ones((5, 5, 5)), inside)
    with pytest.raises(VolumeError, match="empty"):
        segment(np.ones((5, 5, 5)), ~inside)


def test_a_clean_mprage_agrees_with_the_shares_it_was_made_from():
    pytest.importorskip("nilearn", reason="the template comes with the train extra")
    import torch

    from napari_harmonize.simulate.acquisition import CLEAN
    from napari_harmonize.simulate.anatomy import AnatomySettings, generator, subject
    from napari_harmonize.simulate.contrast import image, means
    from napari_harmonize.simulate.effects import EFFECTS
    from napari_harmonize.simulate.signal import MPRAGE_3T

    shares = subject(AnatomySettings(lesions=0.0, remnants=0.0), 5, 0)[:, ::2, ::2, ::2].contiguous()
    contrast = means(MPRAGE_3T)
    picture = EFFECTS["rician"].apply(image(shares, contrast) / contrast.max(), CLEAN.noise, generator(5, 1))
    inside = (shares.sum(0) > 0.5).numpy()
    # deep grey matter lies between grey and white in brightness, and is counted as neither
    truth = torch.stack([shares[0], shares[1], shares[2]]).argmax(0).numpy() + 1
    counted = inside & (shares[3] < 0.1).numpy()
    found = segment(picture.numpy(), inside, (2, 2, 2)).labels
    for number in (1, 2, 3):
        assert dice((found == number) & counted, (truth == number) & counted) > 0.9
