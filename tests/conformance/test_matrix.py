"""Every network family with every sampler and every kind of slice consistency.

A cell that is valid runs to its end although memory runs out half-way, and stops half-way when asked to; a cell that is
not is refused with its reason. What a cell costs is what its progress counted.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch

import family_models
from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import Note, Progress, finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, load_engine, prepare_case, translate
from napari_harmonize.translation.plan import refusal
from napari_harmonize.translation.settings import CONSISTENCY
from napari_harmonize.volumes import from_array

SLICES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("families")


@functools.cache
def _ready(name: str, folder):
    """Case, package, prepared case and engine of a family."""
    package = family_models.make(folder / name, name)
    side = max(8, 2 * package.multiple, package.least)
    data = np.zeros((side, side, SLICES), np.float32)
    data[1:-1, 1:-1] = np.random.default_rng(1).random((side - 2, side - 2, SLICES)) + 0.5
    case = Case(from_array(data, np.eye(4), name="block"))
    settings = replace(package.recipe.defaults.settings(), batch=2)
    return case, package, prepare_case(case, package), load_engine(package, settings)


def _asked(package, sampler: str, consistency: str, guidance: float = 0.0):
    row = SAMPLERS[sampler]
    steps = min(max(2, row.limits[0]), row.limits[1])
    return replace(
        package.recipe.defaults.settings(), sampler=sampler, steps=steps, consistency=consistency, batch=2, seed=3, guidance=guidance
    )


@pytest.fixture
def short_of_memory(monkeypatch):
    """Let the network run out of memory once, at a batch of two after the first."""
    from napari_harmonize.translation import engine as engines

    calls, short, real = [], [], engines.Engine.predict

    def predict(self, x, *rest):
        calls.append(len(x))
        if len(calls) > 1 and len(x) > 1 and not short:
            short.append(True)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, x, *rest)

    monkeypatch.setattr(engines.Engine, "predict", predict)
    return short


@pytest.mark.parametrize("consistency", CONSISTENCY)
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_cell_runs_or_says_why_not(name, sampler, consistency, folder, short_of_memory):
    case, package, prepared, engine = _ready(name, folder)
    asked = _asked(package, sampler, consistency)
    job = functools.partial(translate, case, asked, package, prepared=prepared, engine=engine)
    reason = refusal(asked, package.recipe)
    if reason:
        with pytest.raises(SettingsError) as refused:
            finish(job())
        assert reason in str(refused.value)
        return
    _finishes(job, case.source.shape, short_of_memory)
    _stops_half_way(job)


def _finishes(job, shape, short) -> None:
    events = []
    result = finish(job(), events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert result.volume.shape == shape
    assert np.isfinite(result.volume.data).all()
    assert progress[-1].done == progress[-1].total == result.run.facts["evaluations"]
    halved = [event for event in events if isinstance(event, Note) and "did not fit into memory" in event.text]
    assert len(halved) == len(short)


def _stops_half_way(job) -> None:
    running = job()
    for event in running:
        if isinstance(event, Progress) and 2 * event.done >= event.total:
            break
    running.close()
    with pytest.raises(StopIteration):
        next(running)


@pytest.mark.parametrize("name", NETWORKS)
def test_guidance_runs_where_conditions_were_dropped_and_is_refused_elsewhere(name, folder, tmp_path):
    case, package, prepared, engine = _ready(name, folder)
    plain, guided = (_asked(package, package.recipe.defaults.sampler, "co-prediction", weight) for weight in (0.0, 1.5))
    if not package.recipe.dropped:
        assert "dropped" in refusal(guided, package.recipe)
        return
    one, other = (finish(translate(case, asked, package, prepared=prepared, engine=engine)) for asked in (plain, guided))
    assert other.run.facts["evaluations"] == 2 * one.run.facts["evaluations"]
    assert not np.array_equal(one.volume.data, other.volume.data)


def test_clipping_follows_guidance(folder, monkeypatch):
    """What leads out of the range is clipped after both answers are joined, not before."""
    case, package, prepared, engine = _ready("sa-unet", folder)
    asked = replace(_asked(package, "ddim", "co-prediction", 2.0), steps=1, clip=True)
    seen = []
    real = engine.objective.x0

    def watched(c, prediction, x_t, y):
        found = real(c, prediction, x_t, y) * 5
        seen.append(found)
        return found

    loud = dataclasses.replace(engine, objective=dataclasses.replace(engine.objective, x0=watched))
    result = finish(translate(case, asked, package, prepared=prepared, engine=loud))
    conditional, dropped = (torch.cat(half) for half in (seen[: len(seen) // 2], seen[len(seen) // 2 :]))
    expected = (conditional + 2 * (conditional - dropped)).clamp(-1, 1)[:, 0] * 0.5 + 0.5
    np.testing.assert_allclose(result.volume.data, expected.permute(2, 1, 0).numpy(), atol=1e-5)
