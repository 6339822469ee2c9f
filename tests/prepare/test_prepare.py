"""What each preparation step does to values and to the grid."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_harmonize.errors import GeometryError, SettingsError, VolumeError
from napari_harmonize.prepare import Context, foreground, make, mask_on, prepare, preparing, undo
from napari_harmonize.volumes import Meaning, Volume

AFFINE = np.array([[-1.5, 0.2, 0, 40], [0.1, 2.0, 0.3, -30], [0, -0.2, 3.0, 5], [0, 0, 0, 1]])


def ball(shape=(20, 24, 16), meaning=Meaning.ARBITRARY) -> Volume:
    """A smooth ball of values 1..2 in zeros; its middle is known."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    data = np.where(radius < 0.6, 2 - radius, 0).astype(np.float32)
    return Volume(data, AFFINE, meaning, name="ball", sha256="ball")


def centre_of_mass(volume: Volume) -> np.ndarray:
    weight = volume.data / volume.data.sum()
    index = [(weight.sum(tuple({0, 1, 2} - {axis})) * np.arange(n)).sum() for axis, n in enumerate(volume.shape)]
    return (volume.affine @ [*index, 1])[:3]


def run(name, volume, settings=None, **context):
    return prepare(volume, [make(name, settings)], Context(**context))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resample", {"spacing": [1.0, 1.0, 1.0]}),
        ("resample", {"spacing": [3.0, 3.0, 3.0], "order": 3}),
        ("crop_to_foreground", {"margin": 3.0}),
        ("pad_to_multiple", {}),
        ("fit_to_size", {"size": [30, 20, 16]}),
    ],
)
def test_a_known_point_stays_where_it_is(name, settings):
    volume = ball()
    changed, records = run(name, volume, settings, multiple=16)
    assert changed.shape != volume.shape
    assert np.abs(centre_of_mass(changed) - centre_of_mass(volume)).max() < 0.06
    back = undo(changed, records)
    assert back.shape == volume.shape
    assert np.array_equal(back.affine, volume.affine)
    assert np.abs(centre_of_mass(back) - centre_of_mass(volume)).max() < 0.06


def test_steps_go_back_in_turn_to_the_very_grid():
    steps = [make("mask"), make("normalise"), make("resample"), make("crop_to_foreground", {"margin": 0.0}), make("pad_to_multiple")]
    volume = ball()
    prepared, records = prepare(volume, steps, Context(multiple=16))
    assert prepared.shape[0] % 16 == prepared.shape[1] % 16 == 0
    back = undo(prepared, records)
    assert back.shape == volume.shape
    assert np.array_equal(back.affine, volume.affine)
    inside = foreground(volume).data
    core = inside & np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1)
    core &= np.roll(inside, 1, 2) & np.roll(inside, -1, 2)
    assert np.abs(back.data - np.clip(volume.data / records[1].params["scale"], 0, 1))[core].max() < 0.06
    assert back.data[0, 0, 0] == 0


def test_crop_and_pad_lose_nothing_inside_and_leave_zero_outside():
    volume = ball()
    prepared, records = prepare(volume, [make("crop_to_foreground", {"margin": 0.0}), make("pad_to_multiple")], Context(multiple=8))
    assert np.array_equal(undo(prepared, records).data, volume.data)


def test_every_record_is_json():
    _, records = prepare(ball(), [make("mask"), make("resample"), make("crop_to_foreground")], Context())
    assert json.loads(json.dumps([record.to_json() for record in records]))[1]["params"]["from_shape"] == [20, 24, 16]


def test_a_spacing_within_one_percent_is_left_alone():
    volume = Volume(np.ones((4, 4, 4), np.float32), np.diag([1.009, 0.995, 1, 1]))
    same, records = run("resample", volume)
    assert same.data is volume.data
    assert "already" in records[0].params["skipped"]
    changed, _ = run("resample", Volume(np.ones((40, 4, 4), np.float32), np.diag([1.02, 1, 1, 1])))
    assert changed.shape == (41, 4, 4)


def test_cubic_resampling_does_not_leave_the_range_of_the_data():
    data = np.zeros((12, 12, 12), np.float32)
    data[4:8, 4:8, 4:8] = 1
    fine, _ = run("resample", Volume(data, np.eye(4)), {"spacing": [0.6, 0.6, 0.6], "order": 3})
    assert fine.data.min() == 0
    assert fine.data.max() == 1


def test_coarsening_blurs_first_unless_told_not_to():
    volume = Volume(np.random.default_rng(3).random((24, 24, 24)).astype(np.float32), np.eye(4))
    smooth, _ = run("resample", volume, {"spacing": [4.0, 4.0, 4.0]})
    sharp, _ = run("resample", volume, {"spacing": [4.0, 4.0, 4.0], "smooth": False})
    assert smooth.data.std() < 0.6 * sharp.data.std()
    assert smooth.data.mean() == pytest.approx(0.5, abs=0.02)


def test_the_mask_may_lie_on_another_grid():
    volume = ball()
    coarse = Volume(np.ones((5, 6, 4), np.float32), volume.affine @ np.diag([2.0, 2.0, 2.0, 1.0]), name="box")
    masked, records = run("mask", volume, mask=coarse)
    assert records[0].params["mask"] == "box"
    assert masked.data[9:, :, :][10:].sum() == 0
    assert np.array_equal(masked.data[:9, :11, :7], volume.data[:9, :11, :7])


def test_an_empty_mask_is_refused_by_name():
    with pytest.raises(VolumeError, match="nowhere is empty where ball lies"):
        run("mask", ball(), mask=Volume(np.zeros((20, 24, 16)), AFFINE, name="nowhere"))


def test_foreground_is_what_differs_from_the_corners():
    data = np.full((6, 6, 6), -1024, np.int16)
    data[2:4, 2:4, 2:4] = 0
    assert foreground(Volume(data, np.eye(4))).data.sum() == 8
    data[0, 0, 0] = 7
    assert foreground(Volume(data, np.eye(4))).data.sum() == 6**3 - 8
    assert mask_on(Volume(data, np.eye(4)), Context()).sum() == 6**3 - 8


def test_a_window_acts_on_hounsfield_units_only():
    data = np.array([-1000, 0, 40, 80, 500], np.int16).reshape(5, 1, 1)
    windowed, _ = run("window", Volume(data, np.eye(4), Meaning.HU))
    assert windowed.data.ravel().tolist() == [0, 0, 0.5, 1, 1]
    assert windowed.meaning is Meaning.UNIT
    same, records = run("window", Volume(data, np.eye(4), Meaning.ARBITRARY))
    assert same.data is not None
    assert records[0].params["skipped"] == "the numbers are arbitrary MR, not HU"


def test_normalise_divides_by_the_percentile_inside_the_mask():
    volume = ball()
    done, records = run("normalise", volume)
    assert records[0].params["scale"] == pytest.approx(np.percentile(volume.data[volume.data > 0], 99.5))
    assert done.data.max() == 1
    with pytest.raises(VolumeError, match="above 0"):
        run("normalise", Volume(np.full((3, 3, 3), -1.0), np.eye(4)), mask=Volume(np.ones((3, 3, 3)), np.eye(4)))


def test_normalise_may_start_at_a_low_percentile():
    volume = Volume(np.linspace(100, 300, 1001, dtype=np.float32).reshape(-1, 1, 1), np.eye(4))
    mask = Volume(np.ones((1001, 1, 1)), np.eye(4))
    done, records = run("normalise", volume, {"lowest": 10.0, "percentile": 90.0}, mask=mask)
    assert records[0].params == {"low": pytest.approx(120), "scale": pytest.approx(160)}
    assert done.data[500, 0, 0] == pytest.approx(0.5, abs=1e-5)
    assert done.data[50, 0, 0] == 0


def test_robust_rescaling_refuses_a_constant_volume():
    with pytest.raises(VolumeError, match="more than one value"):
        run("robust_brats", Volume(np.ones((3, 3, 3)), np.eye(4)), mask=Volume(np.ones((3, 3, 3)), np.eye(4)))


def test_padding_repeats_the_edge_or_writes_zero_and_honours_the_least_size():
    volume = Volume(np.ones((5, 7, 3), np.float32), np.eye(4))
    edge, _ = run("pad_to_multiple", volume, multiple=4)
    assert edge.shape == (8, 8, 3)
    assert edge.data.min() == 1
    zero, records = run("pad_to_multiple", volume, {"fill": "zero", "least": [10, 0]}, multiple=4)
    assert zero.shape == (12, 8, 3)
    assert zero.data.sum() == 5 * 7 * 3
    assert np.array_equal(undo(zero, records).data, volume.data)
    sagittal, _ = run("pad_to_multiple", volume, multiple=4, axis=0)
    assert sagittal.shape == (5, 8, 4)


def test_cropping_to_values_and_nothing_to_crop_to():
    data = np.zeros((6, 6, 6), np.float32)
    data[1:3, 2:5, 3] = 0.5
    cut, _ = run("crop_to_foreground", Volume(data, np.eye(4)), {"margin": 0.0, "above": 0.1})
    assert cut.shape == (2, 3, 1)
    with pytest.raises(VolumeError, match="no voxel of volume is above 1"):
        run("crop_to_foreground", Volume(data, np.eye(4)), {"above": 1.0})


def test_bias_field_is_off_by_default_and_flattens_a_shaded_ball_when_on():
    volume = ball((32, 32, 32))
    flat = volume.replace(data=(volume.data > 0).astype(np.float32) * 100)
    shade = np.exp(np.linspace(-0.4, 0.4, 32))[:, None, None].astype(np.float32)
    shaded = flat.replace(data=flat.data * shade)
    same, records = run("bias_field", shaded)
    assert same is shaded
    assert "switched off" in records[0].params["skipped"]
    better, _ = run("bias_field", shaded, {"enabled": True, "shrink": 2, "iterations": 20})
    inside = flat.data > 0
    assert better.data[inside].std() / better.data[inside].mean() < 0.5 * shaded.data[inside].std() / shaded.data[inside].mean()
    assert "no bias field" in run("bias_field", shaded.replace(meaning=Meaning.HU), {"enabled": True})[1][0].params["skipped"]


def test_undo_refuses_another_grid():
    volume = ball()
    _, records = run("crop_to_foreground", volume, {"margin": 0.0})
    with pytest.raises(GeometryError, match="A step is undone on the grid it made"):
        undo(volume, records)


def test_unknown_steps_and_wrong_settings_are_refused():
    with pytest.raises(SettingsError, match="A preparation step is one of mask"):
        make("sharpen")
    with pytest.raises(SettingsError, match="spacing has three numbers"):
        make("resample", {"spacing": [1.0]})
    with pytest.raises(SettingsError, match="low end lies below"):
        make("window", {"low": 90.0})
    with pytest.raises(SettingsError, match="size has three numbers"):
        make("fit_to_size", {"size": [3]})
    with pytest.raises(SettingsError, match="least size of a slice"):
        make("pad_to_multiple", {"least": [3]})


def test_each_step_is_named_before_it_is_done():
    work = preparing(ball(), [make("mask"), make("normalise")], Context())
    assert [next(work), next(work)] == ["mask", "normalise"]
    work.close()


def test_a_mask_counts_wherever_it_is_above_zero():
    data = np.arange(1, 28, dtype=np.float32).reshape(3, 3, 3)
    faint = Volume(np.where(data > 5, 0.3, 0).astype(np.float32), np.eye(4))
    assert mask_on(Volume(data, np.eye(4)), Context(faint)).sum() == 22


def test_one_value_inside_the_mask_cannot_be_normalised():
    data = np.zeros((3, 3, 3), np.float32)
    data[1, 1, 1] = 7
    with pytest.raises(VolumeError, match=r"is above their percentile 0\.5\. 7 and 7 arrived"):
        run("normalise", Volume(data, np.eye(4)), {"lowest": 0.5}, mask=Volume(data > 0, np.eye(4)))
