"""Volumes go into layers and come back the same; foreign layers are taken as they stand, with a note."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_harmonize.errors import VolumeError
from napari_harmonize.session.display import Convention
from napari_harmonize.volumes import Header, Meaning, Volume, read, world
from napari_harmonize.widgets import layers


def _rotation(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def _affine(order: tuple[int, ...], signs: tuple[int, ...], oblique: float = 0.0) -> np.ndarray:
    affine = np.zeros((4, 4))
    for axis, (body, sign) in enumerate(zip(order, signs, strict=True)):
        affine[body, axis] = sign * (1.0, 1.5, 4.0)[axis]
    affine[:, 3] = (-20.0, 31.0, 7.5, 1.0)
    return _rotation(oblique) @ affine


def _volume(affine: np.ndarray, dtype: type = np.float32) -> Volume:
    data = np.random.default_rng(0).integers(0, 100, (5, 6, 7)).astype(dtype)
    header = Header(format="nifti", dtype="int16", slope=2.0, qform_code=1, qform=affine)
    return Volume(data, affine, Meaning.ARBITRARY, "T1", "head", header, ("Read with care.",), "abc")


ORIENTATIONS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]


@pytest.mark.parametrize("oblique", [0.0, 19.0])
def test_every_orientation_comes_back_as_it_went(oblique):
    for order, signs in ORIENTATIONS:
        volume = _volume(_affine(order, signs, oblique))
        back = layers.from_layer(ViewerModel().add_layer(layers.to_layer(volume)))
        assert np.array_equal(back.data, volume.data)
        assert back.data.dtype == volume.data.dtype
        assert np.array_equal(back.affine, volume.affine)
        assert back.header is volume.header
        assert (back.meaning, back.modality, back.name, back.notes, back.sha256) == (
            volume.meaning,
            volume.modality,
            volume.name,
            volume.notes,
            volume.sha256,
        )


def test_the_layer_is_canonical_and_diagonal():
    volume = _volume(_affine((2, 0, 1), (-1, 1, -1)))
    layer = layers.to_layer(volume, name="T1 of head")
    assert layer.name == "T1 of head"
    assert layer.data.shape == (6, 7, 5)
    assert np.allclose(layer.scale, (1.5, 4.0, 1.0))
    assert np.allclose(layer.rotate, np.eye(3))
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    assert layer.axis_labels == ("R", "A", "S")
    assert layer.locked
    assert np.shares_memory(layer.data, volume.data)


def test_positions_go_both_ways_and_land_on_the_voxel():
    for order, signs in ORIENTATIONS[::5]:
        volume = _volume(_affine(order, signs, 19.0))
        layer = layers.to_layer(volume)
        ijk = (4, 0, 5)
        xyz = world(volume.affine, ijk)
        point = layers.viewer_point(layer, xyz)
        assert np.allclose(layers.world_point(layer, point), xyz)
        seen = tuple(round(float(place)) for place in layer.world_to_data(point))
        assert layer.data[seen] == volume.data[ijk]


def test_volumes_of_one_examination_lie_on_each_other():
    """Two grids with the same obliquity: one patient position is one viewer position."""
    first = _volume(_affine((0, 1, 2), (1, 1, 1), 19.0))
    affine = first.affine.copy()
    affine[:3, :3] *= 0.5
    affine[:3, 3] += (1.0, 2.0, 3.0)
    second = _volume(affine)
    xyz = (3.0, 4.0, 5.0)
    assert np.allclose(layers.viewer_point(layers.to_layer(first), xyz), layers.viewer_point(layers.to_layer(second), xyz))


def test_without_obliquity_the_viewer_shows_patient_millimetres():
    layer = layers.to_layer(_volume(_affine((1, 2, 0), (1, -1, 1))))
    assert np.allclose(layers.viewer_point(layer, (3.0, 4.0, 5.0)), (3.0, 4.0, 5.0))


def test_a_mask_may_be_painted():
    volume = _volume(_affine((0, 1, 2), (1, 1, 1)), np.uint8)
    layer = layers.to_layer(volume, kind="labels")
    assert isinstance(layer, Labels)
    layer.data[0, 0, 0] = 7
    back = layers.from_layer(layer)
    assert back.data[0, 0, 0] == 7
    assert back.sha256 != volume.sha256
    assert volume.data[0, 0, 0] != 7
    boolean = layers.to_layer(volume.replace(data=volume.data > 50), kind="labels")
    assert layers.from_layer(boolean).data.dtype == bool


def test_replaced_values_have_another_hash():
    volume = _volume(_affine((0, 1, 2), (1, 1, 1)))
    layer = layers.to_layer(volume)
    layer.data = layer.data + 1
    back = layers.from_layer(layer)
    assert np.array_equal(back.data, volume.data + 1)
    assert back.sha256 != volume.sha256


def test_a_moved_layer_moves_the_volume():
    volume = _volume(_affine((2, 0, 1), (-1, 1, -1)))
    layer = layers.to_layer(volume)
    layer.translate = np.add(layer.translate, (10.0, 0.0, 0.0))
    back = layers.from_layer(layer)
    assert np.allclose(back.affine[:3, 3], volume.affine[:3, 3] + (10.0, 0.0, 0.0))
    assert np.allclose(back.affine[:3, :3], volume.affine[:3, :3])
    assert "moved" in back.notes[-1]


def test_foreign_layer_with_unit_and_names():
    layer = Image(
        np.zeros((2, 3, 4)), scale=(0.3, 0.2, 0.1), translate=(3, 2, 1), units=("cm",) * 3, axis_labels=("z", "y", "x"), name="other"
    )
    volume = layers.from_layer(layer)
    assert volume.name == "other"
    assert np.allclose(volume.affine, [[0, 0, 1, 10], [0, 2, 0, 20], [3, 0, 0, 30], [0, 0, 0, 1]])
    assert any("x, y and z were taken as right, anterior and superior" in note for note in volume.notes)
    xyz = world(volume.affine, (1, 2, 3))
    assert np.allclose(layers.world_point(layer, layers.viewer_point(layer, xyz)), xyz)
    assert not layers.is_ours(layer)


def test_foreign_layer_without_anything():
    volume = layers.from_layer(Image(np.zeros((2, 3, 4)), rotate=90))
    assert any("no unit of length" in note for note in volume.notes)
    assert any("names no body axes" in note for note in volume.notes)
    assert abs(np.linalg.det(volume.affine)) == pytest.approx(1.0)


def test_multiscale_layer_gives_its_finest_level():
    layer = Image([np.ones((8, 8, 8)), np.ones((4, 4, 4))], multiscale=True)
    assert layers.from_layer(layer).shape == (8, 8, 8)


def test_an_array_of_another_shape_is_foreign():
    layer = layers.to_layer(_volume(_affine((2, 0, 1), (-1, 1, -1))))
    layer.data = np.zeros((3, 3, 3), np.float32)
    assert layers.from_layer(layer).header.format == "layer"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Image(np.zeros((4, 4))), "has 2"),
        (Image(np.zeros((2, 4, 4, 4))), "has 4"),
        (Image(np.zeros((4, 4, 4, 3), np.uint8), rgb=True), "colours"),
        (Points(np.zeros((1, 3))), "type Points"),
    ],
)
def test_what_is_no_volume_is_refused(layer, words):
    with pytest.raises(VolumeError, match=words):
        layers.from_layer(layer)


def test_what_a_model_made_says_so():
    volume = _volume(_affine((0, 1, 2), (1, 1, 1)))
    layer = layers.to_layer(volume, synthetic=True, run={"model": "default"})
    assert layers.is_synthetic(layer)
    assert layers.run_of(layer) == {"model": "default"}
    assert not layers.is_synthetic(layers.to_layer(volume))
    assert layers.run_of(layers.to_layer(volume)) is None


def test_the_camera_turns_and_the_data_do_not():
    viewer = ViewerModel()
    volume = _volume(_affine((0, 1, 2), (1, 1, 1)))
    layer = viewer.add_layer(layers.to_layer(volume))
    layers.arrange(viewer)
    assert viewer.dims.order == (2, 1, 0)
    assert [str(side) for side in viewer.scene.camera.orientation2d] == ["up", "left"]
    layers.arrange(viewer, Convention.NEUROLOGICAL)
    assert [str(side) for side in viewer.scene.camera.orientation2d] == ["up", "right"]
    assert np.array_equal(layer.data, volume.data)
    assert viewer.canvas.overlays["axes"].visible, "the canvas has no letters of its own"
    assert not viewer.canvas.overlays["axes"].colored, "one of napari's colours cannot be read on a light canvas"
    assert tuple(viewer.dims.axis_labels) == layers.AXES
    layers.mark(viewer, True)
    assert viewer.canvas.overlays["text"].text.startswith("SYNTHETIC")
    layers.mark(viewer, False)
    assert not viewer.canvas.overlays["text"].visible


def test_limits_of_a_flat_volume_are_in_order():
    volume = Volume(np.full((3, 3, 3), 5.0), np.eye(4))
    low, high = layers.to_layer(volume).contrast_limits
    assert low < high


def test_real_oblique_pair_shares_the_viewer(real):
    """FLAIR, T1 and T2 of one person: oblique by 19 degrees, one grid."""
    volumes = [read(real / "pair_stroke" / f"{name}.nii.gz") for name in ("T1", "FLAIR")]
    xyz = world(volumes[0].affine, np.array(volumes[0].shape) // 2)
    points = [layers.viewer_point(layers.to_layer(volume), xyz) for volume in volumes]
    assert np.allclose(points[0], points[1], atol=0.1)
    assert np.array_equal(layers.from_layer(layers.to_layer(volumes[0])).data, volumes[0].data)
