"""What every preparation step must keep; a new row of the table is tested by existing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_harmonize.prepare import STEPS, Context, foreground, make, name_of, prepare, undo
from napari_harmonize.settings import from_json, to_json
from napari_harmonize.volumes import Meaning, Volume

AFFINE = np.array([[-1.2, 0.3, 0, 40], [0.2, 1.8, 0.4, -30], [0, -0.3, 2.6, 5], [0, 0, 0, 1.0]])
ENABLED = {"bias_field": {"enabled": True, "shrink": 2, "iterations": 5}, "fit_to_size": {"size": [30, 18, 16]}}


@pytest.fixture(params=[Meaning.ARBITRARY, Meaning.HU])
def blob(request) -> Volume:
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (19, 23, 14)), indexing="ij"))
    radius = np.sqrt(((grid - 0.1) ** 2).sum(0))
    return Volume(np.where(radius < 0.55, 60 - 30 * radius, 0).astype(np.float32), AFFINE, request.param, name="blob")


@pytest.fixture(params=STEPS)
def step(request):
    return make(request.param, ENABLED.get(request.param))


def centre(volume: Volume) -> np.ndarray:
    weight = volume.data.astype(float) / volume.data.sum()
    return (volume.affine @ [*((weight * grid).sum() for grid in np.indices(volume.shape)), 1])[:3]


def test_a_known_point_keeps_its_place(step, blob):
    done, _ = prepare(blob, [step], Context(multiple=8))
    assert np.abs(centre(done) - centre(blob)).max() < 0.1


def test_undo_gives_the_grid_back_exactly_and_the_image_nearly(step, blob):
    done, records = prepare(blob, [step], Context(multiple=8))
    back = undo(done, records)
    assert back.shape == blob.shape
    assert np.array_equal(back.affine, blob.affine)
    if done.shape != blob.shape:
        assert np.abs(back.data - blob.data).mean() < 0.05 * blob.data.max()
    else:
        assert np.array_equal(back.data, done.data)


def test_the_record_alone_repeats_the_step(step, blob):
    context = Context(foreground(blob), multiple=8)
    done, records = prepare(blob, [step], context)
    record = json.loads(json.dumps(records[0].to_json()))
    if "skipped" in record["params"]:
        assert done is blob
        return
    again = make(record["step"], record["settings"]).apply(blob, record["params"], context)
    assert np.array_equal(again.data, done.data)
    assert np.array_equal(again.affine, done.affine)


def test_what_arrives_is_left_as_it_is(step, blob):
    before = blob.data.copy()
    prepare(blob, [step], Context(multiple=8))
    assert np.array_equal(blob.data, before)


def test_name_and_settings_go_round(step):
    assert name_of(step) in STEPS
    assert from_json(type(step.settings), to_json(step.settings)) == step.settings
