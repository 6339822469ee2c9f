"""The recolouring takes the tissues of one key to those of another."""

import numpy as np
import pytest

from napari_harmonize.style import compute, distance, from_histogram, recolouring
from napari_harmonize.style.recolour import tissues

USUAL = (0.18, 0.46, 0.36)
LOOKS = [((0.15, 0.6, 0.9), (0.3, 0.7, 0.95)), ((0.3, 0.5, 0.8), (0.1, 0.6, 0.9)), ((0.2, 0.7, 0.9), (0.15, 0.45, 0.9))]


def _picture(peaks, shares=USUAL, seed=0):
    """Voxels of three tissues, divided by their 99.5th percentile as every input of the model is, and what each is."""
    rng = np.random.default_rng(seed)
    tissue = rng.choice(3, 60_000, p=shares)
    values = np.asarray(peaks)[tissue] + 0.03 * rng.standard_normal(tissue.size)
    return np.clip(values / np.percentile(values, 99.5), 0.002, 1).astype(np.float32), tissue


def _recoloured(volume, wished):
    return np.interp(volume, *recolouring(compute(volume), wished)).astype(np.float32)


@pytest.mark.parametrize(("there", "wished"), LOOKS)
def test_a_volume_with_the_source_key_gets_the_wished_key(there, wished):
    volume, key = _picture(there)[0], compute(_picture(wished, seed=1)[0])
    found = compute(_recoloured(volume, key))
    assert distance(found, key) < 0.02
    assert distance(found, key) < 0.25 * distance(compute(volume), key)


@pytest.mark.parametrize(("there", "wished"), LOOKS)
def test_tissues_go_to_tissues_where_a_person_has_other_shares_of_them(there, wished):
    volume, tissue = _picture(there, (0.08, 0.52, 0.4))
    other, other_tissue = _picture(wished, (0.3, 0.4, 0.3), seed=1)
    found = _recoloured(volume, compute(other))
    for number in range(3):
        assert found[tissue == number].mean() == pytest.approx(other[other_tissue == number].mean(), abs=0.04)


def test_curves_rise_within_the_range():
    rng = np.random.default_rng(5)
    keys = [compute(_picture(np.sort(rng.uniform(0.05, 1, 3)), seed=seed)[0]) for seed in range(12)]
    keys += [from_histogram(rng.random(128)) for _ in range(4)]  # whatever a hand may draw
    for one, other in zip(keys, reversed(keys), strict=True):
        there, wished = recolouring(one, other)
        assert np.all(np.diff(there) > 0)
        assert np.all(np.diff(wished) >= 0)
        assert wished.min() >= 0
        assert wished.max() <= 1


def test_equal_keys_change_nothing():
    volume, _ = _picture((0.2, 0.5, 0.9))
    values = np.linspace(float(np.percentile(volume, 1)) + 1 / 128, 1, 50)
    key = compute(volume)
    assert np.allclose(np.interp(values, *recolouring(key, key)), values, atol=1e-3)


def test_the_tissues_of_a_key_of_one_bin_are_numbers():
    histogram = np.zeros(128)
    histogram[40] = 1
    assert np.isfinite(tissues(from_histogram(histogram))).all()
