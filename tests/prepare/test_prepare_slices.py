"""Steps that treat every slice for itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_harmonize.errors import SettingsError, VolumeError
from napari_harmonize.prepare import Context, make, prepare, undo
from napari_harmonize.volumes import Volume

AFFINE = np.diag([-0.5, 0.5, 0.8, 1.0])


def scan(shape=(20, 24, 7), empty=(2, 1)) -> Volume:
    data = np.random.default_rng(3).normal(300, 80, shape).astype(np.float32)
    data[:, :, : empty[0]] = 4
    data[:, :, shape[2] - empty[1] :] = 0
    return Volume(data, AFFINE, name="scan")


def run(volume: Volume, *steps, **context):
    return prepare(volume, [make(name, settings) for name, settings in steps], Context(**context))


def test_flat_ends_are_cut_and_come_back_empty():
    done, records = run(scan(), ("strip_flat_slices", {}))
    assert done.shape == (20, 24, 4)
    assert np.allclose(done.affine @ [0, 0, 0, 1], AFFINE @ [0, 0, 2, 1])
    back = undo(done.replace(data=done.data + 1), records)
    assert back.shape == (20, 24, 7)
    assert not back.data[:, :, [0, 1, 6]].any()
    assert np.array_equal(back.data[:, :, 2:6], done.data + 1)


def test_flat_slices_inside_are_kept():
    volume = scan(empty=(0, 0))
    data = np.array(volume.data)
    data[:, :, 3] = 7
    done, records = run(volume.replace(data=data), ("strip_flat_slices", {}))
    assert done.shape == volume.shape
    assert "skipped" in records[0].params


def test_a_flat_volume_is_refused():
    with pytest.raises(VolumeError, match=r"every slice of scan holds one value"):
        run(scan(empty=(7, 0)), ("strip_flat_slices", {}))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_resampling_is_that_of_scipy(axis):
    volume = scan((12, 14, 10), (0, 0))
    done, records = run(volume, ("resample_slices", {"size": [33, 21]}), axis=axis)
    size = [33, 21]
    size.insert(axis, volume.shape[axis])
    theirs = ndimage.zoom(volume.data, [new / old for new, old in zip(size, volume.shape, strict=True)], order=3, mode="mirror")
    assert np.abs(done.data - theirs).max() < 1e-3
    corner, opposite = ([0, 0, 0, 1], [*(np.array(done.shape) - 1), 1])
    assert np.allclose(done.affine @ corner, volume.affine @ corner)
    assert np.allclose(done.affine @ opposite, volume.affine @ [*(np.array(volume.shape) - 1), 1])
    assert undo(done, records).shape == volume.shape


@pytest.mark.parametrize("size", [114, 156, 163, 177, 380, 429, 492, 499, 768])
def test_the_last_row_is_never_lost(size):
    """Sizes at which the published scripts lose it to rounding, on the way back from 256 pixels."""
    volume = Volume(np.full((size, 8, 1), 5, np.float32) + np.linspace(0, 1, size, dtype=np.float32)[:, None, None], np.eye(4))
    done, records = run(volume, ("resample_slices", {"size": [256, 256]}))
    back = undo(done, records)
    assert np.abs(back.data[-1] - volume.data[-1]).max() < 0.01


def test_one_row_slices_are_resampled():
    done, records = run(scan((1, 9, 3), (0, 0)), ("resample_slices", {"size": [4, 5]}))
    assert done.shape == (4, 5, 3)
    assert np.ptp(done.data, axis=0).max() < 1e-3
    assert undo(done, records).shape == (1, 9, 3)


def test_every_slice_fills_its_range():
    done, _ = run(scan(empty=(0, 0)), ("scale_slices", {}))
    assert np.array_equal(done.data.min((0, 1)), np.zeros(7))
    assert np.array_equal(done.data.max((0, 1)), np.ones(7))


def test_a_flat_slice_spoils_nothing_and_stays_empty():
    volume = scan(empty=(0, 0))
    data = np.array(volume.data)
    data[:, :, 3] = 7
    done, records = run(volume.replace(data=data), ("resample_slices", {"size": [32, 32]}), ("scale_slices", {}))
    assert np.isfinite(done.data).all()
    assert not done.data[:, :, 3].any()
    assert "1 of 7 slices hold one value only" in records[1].params["note"]
    back = undo(done.replace(data=np.full(done.shape, 0.7, np.float32)), records)
    assert not back.data[:, :, 3].any()
    assert np.allclose(back.data[:, :, [2, 4]], 0.7, atol=1e-5)


@pytest.mark.parametrize(("ends", "rows", "columns"), [("RAS", slice(0, 20), slice(0, 22)), ("LPI", slice(4, 24), slice(2, 24))])
def test_borders_grow_at_the_named_ends(ends, rows, columns):
    volume = scan((20, 22, 3), (0, 0))
    done, records = run(volume, ("pad_slices", {"value": 0.5, "multiple": 8, "ends": ends}), multiple=4)
    assert done.shape == (24, 24, 3)
    assert np.array_equal(done.data[rows, columns], volume.data)
    assert (done.data == 0.5).sum() == (24 * 24 - 20 * 22) * 3
    assert np.array_equal(undo(done, records).data, volume.data)


def test_borders_reach_the_least_size():
    done, _ = run(scan((20, 22, 3), (0, 0)), ("pad_slices", {"least": [32, 16]}))
    assert done.shape == (32, 22, 3)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resample_slices", {"size": [3]}),
        ("pad_slices", {"least": [1, 2, 3]}),
        ("pad_slices", {"ends": "ARS"}),
        ("pad_slices", {"ends": "R"}),
    ],
)
def test_impossible_settings_are_refused(name, settings):
    with pytest.raises(SettingsError):
        make(name, settings)
