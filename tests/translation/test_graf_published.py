"""The spine system at published size through the real job: one slice or one patch, fewest steps, random weights."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest
import torch

from graf_checkpoint import OPTIONS_2D, OPTIONS_3D, OPTIONS_GAN, behind, raw
from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.events import finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, import_checkpoint, translate
from napari_harmonize.volumes import from_array

SLICE, PATCH = (2, 256, 256), (32, 128, 128)
PATCHED = OPTIONS_3D | {"target_shape3D": list(PATCH)}
CASES = [
    ("sa-unet", {"learns_variance": True}, "generator.", OPTIONS_2D, SLICE),
    ("unet-3d", {}, "generator.", PATCHED, PATCH),
    ("unet-3d", {"source_channels": 0, "timed": False}, "generator.", PATCHED, PATCH),
    ("pix2pix-unet", {}, "gan.", OPTIONS_GAN, SLICE),
    ("resnet-generator", {}, "gan.", OPTIONS_GAN, SLICE),
    ("sa-unet-generator", {}, "gan.", OPTIONS_GAN, SLICE),
]


def _weights(network: str, changes: dict) -> dict[str, torch.Tensor]:
    row = NETWORKS[network]
    with torch.device("meta"):
        state = row.load()(row.settings(**changes)).state_dict()
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(value.shape, generator=generator).mul_(0.02) for name, value in state.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("network", "changes", "prefix", "options", "shape"), CASES)
def test_published_size_translates(tmp_path, network, changes, prefix, options, shape):
    path = raw(tmp_path / "published.pt", behind(prefix, _weights(network, changes)), options)
    # needed padding, so that one patch stays one patch
    package = finish(import_checkpoint(path, tmp_path / "package", padding="needed"))
    path.unlink()
    recipe = package.recipe
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    if shape == SLICE:
        data[1:] = 0  # a volume has two slices; one without anything in it is not translated
    source = from_array(np.ascontiguousarray(recipe.frame.from_slices(data)), np.eye(4), name="spine")
    least = SAMPLERS[recipe.defaults.sampler].limits[0]
    began, worked = time.perf_counter(), time.process_time()
    result = finish(translate(Case(source), replace(recipe.defaults.settings(), steps=least, device="cpu"), package))
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{network} {changes}: {seconds:.1f} s, {cpu:.1f} s of processor, at most {most:.1f} GB with everything loaded")
    assert result.run.facts["evaluations"] == least
    assert result.volume.shape == source.shape
    assert np.isfinite(result.volume.data).all()
