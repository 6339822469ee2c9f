"""An imported contrast-harmonisation model runs at once, by every sampler that suits it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import finish
from napari_harmonize.networks.guided_unet import GuidedUNet, GuidedUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, import_checkpoint, translate
from napari_harmonize.volumes import from_array

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (6, 20, 18)
AFFINE = np.array([[0, -1.0, 0, 9], [0, 0, 1.0, -8], [1.0, 0, 0, 3], [0, 0, 0, 1]])


def _imported(folder: Path, settings: GuidedUNetSettings, **answers):
    network = GuidedUNet(settings)
    generator = torch.Generator().manual_seed(1)
    state = {name: 0.05 * torch.randn(value.shape, generator=generator) for name, value in network.state_dict().items()}
    torch.save(state, folder / "savedmodel000000.pt")
    return finish(import_checkpoint(folder / "savedmodel000000.pt", folder / "package", bias_field=False, **answers))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return _imported(tmp_path_factory.mktemp("harmonise"), GuidedUNetSettings(width=64, multipliers=(1, 1), blocks=1), size=0)


@pytest.fixture(scope="module")
def case() -> Case:
    """A block in a volume whose axes are neither ordered nor directed as in RAS+."""
    data = np.zeros(SHAPE, np.float32)
    data[1:-1, 3:-3, 2:-2] = 100 + 50 * np.random.default_rng(0).random((4, 14, 14))
    return Case(from_array(data, AFFINE, name="block"))


def test_it_runs_with_its_own_settings(package, case):
    asked = replace(package.recipe.defaults.settings(), steps=3)
    result = finish(translate(case, asked, package))
    assert result.volume.shape == case.source.shape
    assert np.array_equal(result.volume.affine, case.source.affine)
    inside = case.source.data > 0
    assert not result.volume.data[~inside].any()
    assert result.volume.data[inside].std() > 0
    assert (result.volume.data.min(), result.volume.data.max() <= 1) == (0, True)
    again = finish(translate(case, replace(asked, batch=1), package))
    np.testing.assert_allclose(again.volume.data, result.volume.data, atol=1e-4)


def test_three_planes_and_other_samplers(package, case):
    asked = replace(package.recipe.defaults.settings(), steps=2)
    made = [
        finish(translate(case, replace(asked, **changes), package)).volume.data
        for changes in ({}, {"seed": 1}, {"sampler": "ddim"}, {"sampler": "ddpm"}, {"consistency": "three planes"})
    ]
    assert all(np.isfinite(data).all() for data in made)
    assert all(not np.array_equal(made[0], other) for other in made[1:])


def test_without_a_learned_variance_that_sampler_is_refused(tmp_path, case):
    plain = _imported(tmp_path, GuidedUNetSettings(width=64, multipliers=(1, 1), blocks=1, learned_variance=False), size=0)
    assert plain.recipe.defaults.sampler == "ddpm"
    with pytest.raises(SettingsError, match="predicts its variance"):
        finish(translate(case, replace(plain.recipe.defaults.settings(), sampler="ddpm-learned"), plain))


@pytest.mark.slow
def test_published_size(tmp_path):
    """One slice of 224 x 224 by the sampler's fewest steps; prints seconds and memory for the documentation."""
    resource = pytest.importorskip("resource")
    package = _imported(tmp_path, GuidedUNetSettings())
    data = np.zeros((3, 200, 180), np.float32)
    data[1, 10:-10, 10:-10] = 100 + 50 * np.random.default_rng(0).random((180, 160))
    defaults = package.recipe.defaults.settings()
    settings = replace(defaults, steps=SAMPLERS[defaults.sampler].limits[0], device="cpu")
    before = time.perf_counter(), time.process_time()
    result = finish(translate(Case(from_array(data, np.eye(4), name="slice")), settings, package))
    seconds, busy = time.perf_counter() - before[0], time.process_time() - before[1]
    print(f"{seconds:.1f} s, {busy:.1f} s of processor time, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most")
    assert result.run.facts["evaluations"] == settings.steps
    assert np.isfinite(result.volume.data).all()
