"""A file of one system is recognised without being told, by that system alone, and becomes a model that runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import exported_program
import graf_checkpoint
import xmodality_export
from napari_harmonize.diffusion.schedules import bridge, buffers
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.errors import ModelError
from napari_harmonize.events import Note, finish
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings
from napari_harmonize.networks.guided_unet import GuidedUNet, GuidedUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.style import Origin, compute
from napari_harmonize.translation import IMPORTERS, Case, import_checkpoint, recognise, translate
from napari_harmonize.volumes import from_array


def _random(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: 0.05 * torch.randn(value.shape, generator=generator) for name, value in network.state_dict().items()}


def _bridge(folder):
    state = {f"denoise_fn.{name}": value for name, value in _random(BridgeUNet(BridgeUNetSettings.tiny())).items()}
    state |= {name: torch.from_numpy(values).float() for name, values in buffers(bridge(BridgeSettings())).items()}
    torch.save({"step": 1, "epoch": 1, "model": state}, folder / "top_model_epoch_5.pth")
    return folder / "top_model_epoch_5.pth"


def _guided(folder):
    torch.save(_random(GuidedUNet(GuidedUNetSettings(width=64, multipliers=(1, 1), blocks=1))), folder / "savedmodel000010.pt")
    return folder / "savedmodel000010.pt"


def _program(folder):
    (folder / "generator.pt").write_bytes(exported_program.script())
    return folder / "generator.pt"


FILES = {
    "bridge": ("ct2mri", _bridge),
    "guided": ("dm-moni-mr", _guided),
    "unet": ("xmodality", lambda folder: xmodality_export.write(folder / "unet.safetensors", xmodality_export.stored("unet"))),
    "adm": ("xmodality", lambda folder: xmodality_export.write(folder / "adm.npz", xmodality_export.stored("adm"))),
    "raw volumes": (
        "graf",
        lambda folder: graf_checkpoint.raw(folder / "t.pt", graf_checkpoint.diffusion_state("unet-3d"), graf_checkpoint.OPTIONS_3D),
    ),
    "lightning": (
        "graf",
        lambda folder: graf_checkpoint.lightning(folder / "last.ckpt", graf_checkpoint.diffusion_state(), graf_checkpoint.OPTIONS_2D),
    ),
    "program": ("exported", _program),
}
every_file = pytest.mark.parametrize("name", FILES)


def _claims(row, path) -> bool:
    try:
        return path.suffix in row.suffixes and row.recognises(path)
    except ModelError:
        return False


@every_file
def test_one_system_alone_knows_its_file(name, tmp_path):
    system, make = FILES[name]
    path = make(tmp_path)
    assert recognise(path) == system
    assert [other for other, row in IMPORTERS.items() if _claims(row, path)] == [system]


# a tiny network of two levels would attend over half of its 256 x 256 pixels at once; test_graf_job.py runs that kind
@pytest.mark.parametrize("name", [name for name in FILES if name != "lightning"])
def test_it_says_so_and_writes_a_model_that_runs_at_once(name, tmp_path):
    system, make = FILES[name]
    heard = []
    answers = {"size": 0} if system == "dm-moni-mr" else {}  # not padded to its training size
    package = finish(import_checkpoint(make(tmp_path), tmp_path / "model", **answers), heard.append)
    assert any(IMPORTERS[system].help in event.text for event in heard if isinstance(event, Note))
    rng = np.random.default_rng(0)
    data = np.zeros((20, 20, 4), np.float32)
    data[4:-4, 4:-4, 1:-1] = 20 + 40 * rng.random((12, 12, 2))
    key = compute(rng.random(4000), bins=package.recipe.bins, label="made up", origin=Origin.REFERENCE)
    asked = replace(package.recipe.defaults.settings(), steps=max(1, min(3, package.recipe.defaults.steps)))
    result = finish(translate(Case(from_array(data, np.eye(4), name="block"), key=key), asked, package))
    assert result.volume.shape == data.shape
    assert np.isfinite(result.volume.data).all()


def test_a_file_of_no_system_is_refused_with_those_that_are_known(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="contrast harmonisation"):
        recognise(tmp_path / "other.pt")
