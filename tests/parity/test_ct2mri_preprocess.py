"""The published preparation, number for number."""

from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.prepare import Context, make, prepare, undo
from napari_harmonize.translation.frame import Frame, kept_slices, stack
from napari_harmonize.volumes import Volume

SHIFTED = np.array([[2.0, 0, 0, -20], [0, 2.0, 0, 7], [0, 0, 3.0, 1], [0, 0, 0, 1]])


@pytest.fixture
def brats(reference):
    return dict(np.load(reference / "ct2mri" / "preprocess_brats.npz"))


@pytest.fixture
def data(reference):
    return dict(np.load(reference / "ct2mri" / "dataset.npz"))


def test_robust_rescaling_of_brats(brats):
    done, records = prepare(Volume(brats["vol"], SHIFTED), [make("robust_brats")], Context())
    assert records[0].params["minimum"] == pytest.approx(float(brats["src_min"]), abs=1e-6)
    assert records[0].params["scale"] == pytest.approx(float(brats["scale"]), rel=1e-6)
    assert np.abs(done.data - brats["normed"]).max() <= 1e-6


def test_bounding_box_and_fit_to_size_of_brats(brats):
    size = brats["resized"].shape
    steps = [make("crop_to_foreground", {"margin": 0.0, "above": 1e-6}), make("fit_to_size", {"size": list(size)})]
    volume = Volume(brats["normed"], SHIFTED)
    done, records = prepare(volume, steps, Context())
    assert records[0].params["start"] == brats["start"].tolist()
    assert (np.array(records[0].params["start"]) + records[0].params["to_shape"]).tolist() == brats["end"].tolist()
    assert np.abs(done.data - brats["resized"]).max() <= 1e-6
    back = undo(done, records)
    assert back.shape == volume.shape
    assert np.array_equal(back.affine, volume.affine)


def test_slices_are_kept_and_turned_as_the_published_writer_does(data):
    source, target = (Frame(2).to_slices(data[name]) for name in ("ct_xyz", "mr_xyz"))
    kept = kept_slices(np.nan_to_num(source), at_least=50)
    assert np.array_equal(np.moveaxis(source[kept], 0, -1), data["h5_CT"])
    assert np.array_equal(np.moveaxis(target[kept], 0, -1), data["h5_MR"])
    assert np.array_equal(data["h5_index"][:, 0], np.arange(len(kept)))


def test_stacks_have_their_neighbours_and_minus_one_outside(data):
    radius = data["y_batch"].shape[1] // 2
    for volume, batch in (("ct_xyz", "y_batch"), ("mr_xyz", "x_batch")):
        source = Frame(2).to_slices(data["ct_xyz"])
        slices = Frame(2).to_slices(data[volume])[kept_slices(np.nan_to_num(source), at_least=50)]
        stacks = np.clip(stack(slices, radius) * 2 - 1, -1, 1)
        assert np.abs(stacks - data[batch]).max() <= 1e-6


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("rows", ["later", "earlier"])
def test_slices_go_back_where_they_came_from(axis, rows):
    array, frame = np.arange(2 * 3 * 4).reshape(2, 3, 4), Frame(axis, rows)
    slices = frame.to_slices(array)
    assert slices.shape[0] == array.shape[axis]
    assert (slices.shape[1] > slices.shape[2]) == (rows == "later")
    assert np.array_equal(frame.from_slices(slices), array)
