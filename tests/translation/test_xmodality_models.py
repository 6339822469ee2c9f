"""Models imported from xmodality in the real job: tiny ones to the end, published sizes on one slice (slow)."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from napari_harmonize.diffusion import PATHS, SAMPLERS
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import Note, Progress, finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace, to_json
from napari_harmonize.translation import Case, TranslationSettings, estimate, import_checkpoint, save
from napari_harmonize.translation.cost import expected_size
from napari_harmonize.translation.importers.xmodality import convert
from napari_harmonize.translation.job import translate
from napari_harmonize.volumes import Meaning, from_array
from xmodality_export import KINDS, stored, write

every_kind = pytest.mark.parametrize("kind", KINDS)
AFFINE = np.diag([-0.5, -0.5, 0.8, 1.0])


def _angiography(shape=(30, 22, 5), flat: int = 0) -> Case:
    """Noise as a scan, its last slices empty."""
    data = np.random.default_rng(2).normal(200, 60, shape).astype(np.float32)
    data[:, :, shape[2] - flat :] = 0
    return Case(from_array(data, AFFINE, meaning=Meaning.ARBITRARY, modality="TOF", name="tof"))


def _package(folder, kind: str, **answers):
    path = write(folder / f"{kind}.safetensors", stored(kind))
    return finish(import_checkpoint(path, folder / f"{kind} {len(answers)}", **{"size": 32, **answers}))


def _settings(package, **changes) -> TranslationSettings:
    return replace(package.recipe.defaults.settings(), device="cpu", precision="float32", **changes)


@every_kind
@pytest.mark.parametrize("procedure", ["resampled", "full resolution"])
def test_an_import_runs_at_once(tmp_path, kind, procedure):
    package, case = _package(tmp_path, kind, procedure=procedure), _angiography()
    steps = 1 if kind == "unet" else 2
    heard = []
    result = finish(translate(case, _settings(package, steps=steps), package), heard.append)
    volume = result.volume
    assert (volume.shape, volume.meaning, volume.modality) == (case.source.shape, Meaning.HU, "CTA")
    assert np.array_equal(volume.affine, case.source.affine)
    assert -50 <= volume.data.min() < volume.data.max() <= 350
    assert max(event.done for event in heard if isinstance(event, Progress)) == steps * 5


def _suiting() -> list[str]:
    """Samplers for models without learnt variance on a continuous path."""
    whole = [(name, row) for name, row in SAMPLERS.items() if row.spacing == "usual" and not row.learned_variance]
    return [name for name, row in whole if not row.refusal("diffusion", row.limits[0])]


@pytest.mark.parametrize("sampler", _suiting())
def test_every_sampler_of_continuous_time_runs(tmp_path, sampler):
    package = _package(tmp_path, "dit")
    low = SAMPLERS[sampler].limits[0]
    volume = finish(translate(_angiography((16, 16, 2)), _settings(package, sampler=sampler, steps=max(2, low)), package)).volume
    assert np.isfinite(volume.data).all()


@pytest.mark.parametrize("schedule", ["shifted-cosine", "sigmoid", "linear"])
def test_the_schedule_is_swapped_without_training(tmp_path, schedule):
    case, results = _angiography((16, 16, 2)), []
    for answers in ({}, {"schedule": schedule}):
        package = _package(tmp_path, "dit", **answers)
        results.append(finish(translate(case, _settings(package, sampler="ddim", steps=3), package)).volume.data)
    assert np.isfinite(results[1]).all()
    assert np.abs(results[0] - results[1]).max() > 1e-3


def test_a_direct_model_refuses_what_makes_no_sense(tmp_path):
    package = _package(tmp_path, "unet")
    assert not SAMPLERS["one-pass"].seed_matters(0.0)
    assert PATHS[package.recipe.path].kind == "direct"
    with pytest.raises(SettingsError, match="direct path"):
        finish(translate(_angiography(), _settings(package, sampler="ddim", steps=4), package))


@every_kind
def test_the_cost_knows_the_resampled_size(tmp_path, kind):
    package, case = _package(tmp_path, kind), _angiography()
    assert expected_size(case.source, package) == (5, 32, 32)
    found = estimate(case, _settings(package), package)
    assert found.evaluations == 5 * package.recipe.defaults.steps


def test_flat_slices_are_said(tmp_path):
    package, case = _package(tmp_path, "unet"), _angiography()
    data = np.array(case.source.data)
    data[:, :, 2] = 9
    heard = []
    finish(translate(Case(case.source.replace(data=data)), _settings(package), package), heard.append)
    assert any("one value only" in event.text for event in heard if isinstance(event, Note))


@pytest.mark.slow
@every_kind
def test_published_sizes_translate_a_slice(tmp_path, kind, record_property):
    """One slice of 256 x 256 with the fewest steps; says seconds and the most memory this process has held."""
    resource = pytest.importorskip("resource")
    recipe = convert(write(tmp_path / "tiny.safetensors", stored(kind))).recipe
    row = NETWORKS[recipe.network]
    torch.manual_seed(0)
    network = row.load()(row.settings())
    with torch.no_grad():
        for value in network.parameters():
            if not value.any():
                value.normal_(0, 0.02)
    recipe = dataclasses.replace(recipe, network_settings=to_json(row.settings()))
    card = convert(tmp_path / "tiny.safetensors").card
    package = save(tmp_path / "published", recipe, card, network.state_dict())
    del network
    sampler = "one-pass" if kind == "unet" else "ddim"
    settings = _settings(package, sampler=sampler, steps=SAMPLERS[sampler].limits[0])
    began = time.perf_counter()
    volume = finish(translate(_angiography((256, 256, 2), flat=1), settings, package)).volume
    seconds, gigabytes = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    record_property("cost", f"{seconds:.1f} s, {gigabytes:.1f} GB")
    print(f"{kind}: {seconds:.1f} s with loading, {gigabytes:.1f} GB at most")
    assert np.isfinite(volume.data).all()
    assert np.ptp(volume.data) > 0
