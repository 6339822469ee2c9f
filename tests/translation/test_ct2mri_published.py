"""CT2MRI at its published size through the real job: one slice, fewest steps, random weights."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from napari_harmonize.diffusion.schedules import bridge, buffers
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.events import finish
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.style import Origin, compute
from napari_harmonize.translation import Case, import_checkpoint, translate
from napari_harmonize.volumes import Meaning, from_array


@pytest.mark.slow
def test_published_size_translates(tmp_path):
    """One slice of 160 x 160 by the corrected rule's fewest steps; prints seconds and memory for the documentation."""
    resource = pytest.importorskip("resource")
    with torch.device("meta"):
        wanted = BridgeUNet(BridgeUNetSettings()).state_dict()
    generator = torch.Generator().manual_seed(0)
    weights = {f"denoise_fn.{name}": torch.randn(value.shape, generator=generator).mul_(0.02) for name, value in wanted.items()}
    schedule = {name: torch.from_numpy(values).float() for name, values in buffers(bridge(BridgeSettings())).items()}
    torch.save({"step": 1, "epoch": 1, "model": weights | schedule}, tmp_path / "published.pth")
    package = finish(import_checkpoint(tmp_path / "published.pth", tmp_path / "package"))
    (tmp_path / "published.pth").unlink()
    rng = np.random.default_rng(0)
    data = np.zeros((150, 150, 3), np.float32)
    data[10:-10, 10:-10, 1] = 20 + 40 * rng.random((130, 130))
    key = compute(rng.random(4000), label="made up", origin=Origin.REFERENCE)
    case = Case(from_array(data, np.eye(4), meaning=Meaning.HU, modality="CT", name="slice"), key=key)
    asked = replace(package.recipe.defaults.settings(), sampler="bridge", steps=1, consistency="co-prediction", device="cpu")
    began, worked = time.perf_counter(), time.process_time()
    result = finish(translate(case, asked, package))
    seconds, busy = time.perf_counter() - began, time.process_time() - worked
    print(f"{seconds:.1f} s, {busy:.1f} s of processor time, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB at most")
    assert result.run.facts["evaluations"] == 1
    assert np.isfinite(result.volume.data).all()
