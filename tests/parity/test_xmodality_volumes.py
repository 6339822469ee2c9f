"""Whole volumes through the import and the translation job, against the published scripts.

A volume's own axes are those of the slices there, whatever they mean in the patient; so the tests say they are the
training's.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_harmonize.events import finish
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, import_checkpoint
from napari_harmonize.translation import slabs as slab_module
from napari_harmonize.translation.job import translate
from napari_harmonize.volumes import Meaning, from_array
from xmodality_set import PARAMETERS, arrays, every_file, every_set

HU = 0.05
RAS, LPS = np.diag([0.6, 0.6, 1.0, 1.0]), np.diag([-0.6, -0.6, 1.0, 1.0])


def _package(folder, arch: str, out, **answers):
    return finish(import_checkpoint(folder / f"{arch}{PARAMETERS}", out / "package", **answers))


def _translated(package, data: np.ndarray, affine: np.ndarray, **changes) -> np.ndarray:
    case = Case(from_array(data, affine, meaning=Meaning.ARBITRARY, modality="TOF", name="tof"))
    settings = replace(package.recipe.defaults.settings(), device="cpu", precision="float32", **changes)
    return finish(translate(case, settings, package)).volume.data


@every_set
@pytest.mark.parametrize(("orientation", "affine"), [("RAS", RAS), ("LPS", LPS), ("LPS", np.diag([-0.6, -0.6, -1.0, 1.0]))])
def test_resampled(folder, orientation, affine, tmp_path):
    found = arrays(folder / "volume_unet.npz")
    package = _package(folder, "unet", tmp_path, orientation=orientation)
    ours = _translated(package, found["tof_volume"], affine)
    assert np.abs(ours - found["unet_resampled_out"]).max() <= HU


@every_set
@pytest.mark.parametrize(("orientation", "affine"), [("RAS", RAS), ("LPS", LPS)])
def test_full_resolution(folder, orientation, affine, tmp_path):
    found = arrays(folder / "volume_unet.npz")
    package = _package(folder, "unet", tmp_path, orientation=orientation, procedure="full resolution")
    assert dict(package.recipe.steps)["pad_slices"]["multiple"] == int(found["fullres_factor"])
    ours = _translated(package, found["fullres_in"], affine)
    assert np.abs(ours - found["fullres_unet_out"]).max() <= HU


@every_file("volume_*_ddim.npz")
def test_sampled(path, tmp_path, monkeypatch):
    found = arrays(path)
    noise = torch.from_numpy(found["init_noise"])
    monkeypatch.setattr(slab_module, "normal", lambda like, generator: noise.reshape(like.shape))
    package = _package(path.parent, path.stem.split("_")[1], tmp_path, orientation="RAS")
    ours = _translated(package, found["tof_volume"], RAS, sampler="ddim", steps=int(found["num_sample_steps"]))
    assert np.abs(ours - found["out"]).max() <= HU


@every_set
def test_a_turned_volume_is_turned_to_the_training_s_axes(folder, tmp_path):
    """The result does not depend on how the file stores its axes."""
    found = arrays(folder / "volume_unet.npz")
    package = _package(folder, "unet", tmp_path)
    straight = _translated(package, found["tof_volume"], LPS)
    affine = np.array([[0, -0.6, 0, 0], [-0.6, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    turned = _translated(package, np.ascontiguousarray(found["tof_volume"].swapaxes(0, 1)), affine)
    assert np.abs(turned.swapaxes(0, 1) - straight).max() <= HU


@every_set
def test_a_flat_slice_spoils_itself_alone(folder, tmp_path):
    """The published scripts lose the whole volume to it."""
    found = arrays(folder / "volume_unet.npz")
    package = _package(folder, "unet", tmp_path, orientation="RAS")
    data, middle = found["tof_volume"].copy(), found["tof_volume"].shape[2] // 2
    data[:, :, middle] = 3
    case, settings = Case(from_array(data, RAS, name="tof")), package.recipe.defaults.settings()
    result = finish(translate(case, settings, package))
    assert any("1 of" in note and "one value only" in note for note in result.run.facts["notes"])
    ours = result.volume.data
    assert np.array_equal(ours[:, :, middle], np.full(ours.shape[:2], package.recipe.target.low, np.float32))
    others = [index for index in range(ours.shape[2]) if index != middle]
    assert np.abs(ours - found["unet_resampled_out"])[:, :, others].max() <= HU
