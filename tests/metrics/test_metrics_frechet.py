"""The Fréchet distance against closed forms, and what scattering features see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter

from napari_harmonize.errors import Undefined, VolumeError
from napari_harmonize.metrics.angiography import slice_scores, volume_scores
from napari_harmonize.metrics.frechet import SCALES, frechet_distance, scattering_features

RNG = np.random.default_rng(3)


def test_a_set_has_no_distance_to_itself_in_any_order():
    data = RNG.normal(size=(40, 7))
    assert frechet_distance(data, data[::-1]) == pytest.approx(0, abs=1e-9)


def test_a_shift_and_a_stretch_have_known_distances():
    data = RNG.normal(size=(60, 5))
    assert frechet_distance(data, data + 2) == pytest.approx(5 * 4)
    spread = np.trace(np.cov(data, rowvar=False))
    centred = data - data.mean(0)
    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * spread)


def test_it_is_the_formula_with_a_matrix_root():
    a, b = RNG.normal(size=(50, 6)), RNG.normal(size=(45, 6)) @ RNG.normal(size=(6, 6))
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    wanted = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + other - 2 * np.real(sqrtm(one @ other)))
    assert frechet_distance(a, b) == pytest.approx(wanted)


def test_fewer_items_than_features_still_have_a_distance():
    a, b = RNG.normal(size=(4, 30)), RNG.normal(size=(5, 30)) + 1
    assert frechet_distance(a, b) > 10


@pytest.mark.parametrize("shapes", [((5, 3), (5, 4)), ((1, 3), (5, 3)), ((5,), (5,))])
def test_sets_that_do_not_fit_are_refused(shapes):
    with pytest.raises(VolumeError, match="same features"):
        frechet_distance(*(np.zeros(shape) for shape in shapes))


def test_features_do_not_see_where_things_are_but_how_bright():
    picture = RNG.random((24, 32))
    features = scattering_features(picture)
    assert features.shape == (113,)
    np.testing.assert_allclose(scattering_features(np.roll(picture, (5, 9), (0, 1))), features, atol=1e-12)
    np.testing.assert_allclose(scattering_features(2 * picture), 2 * features, atol=1e-12)


def test_a_flat_picture_has_nothing_but_a_mean():
    features = scattering_features(np.full((20, 20), 0.4))
    assert features[0] == pytest.approx(0.4)
    assert np.abs(features[1:]).max() < 1e-9


def test_blur_takes_the_finest_edges_and_stripes_have_a_direction():
    picture = RNG.random((32, 32))
    sharp, soft = (scattering_features(data)[1 : 1 + 4 * SCALES].reshape(SCALES, 4) for data in (picture, gaussian_filter(picture, 1.5)))
    assert soft[0].mean() < 0.2 * sharp[0].mean()
    stripes = np.tile(np.sin(3 * np.pi / 4 * np.arange(32)), (32, 1))  # waves along the columns
    edges = scattering_features(stripes)[1:5]
    assert edges[0] > 5 * edges[2]


def test_small_pictures_are_refused():
    with pytest.raises(VolumeError, match="at least 16 x 16"):
        scattering_features(np.zeros((15, 40)))


def test_published_slice_and_volume_scores_of_a_known_offset():
    truth = RNG.random((3, 14, 16)) * 0.5
    assert slice_scores(truth + 0.1, truth)["psnr"] == pytest.approx(20)
    assert slice_scores(truth, truth) == {"mse": 0, "mae": 0, "psnr": float("inf"), "ssim": pytest.approx(1)}
    volume = RNG.random((12, 13, 14)) * 400 - 50
    assert volume_scores(volume + 40, volume)["psnr"] == pytest.approx(20)
    with pytest.raises(Undefined, match="11"):
        slice_scores(truth[:, :10], truth[:, :10])
