"""Checkpoints built from a reference set are understood without being told what they are."""

from __future__ import annotations

import torch

from bridge_set import loaded, network_settings
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.translation.importers.ct2mri import inspect, recognises


def _check(reference, path, which: str) -> None:
    wanted = network_settings(reference.config[f"{which}unet"])
    assert recognises(path)
    found = inspect(path, head_width=wanted.head_width)
    bridge = reference.config["bridge"]
    assert found.network == wanted
    assert found.path == BridgeSettings(bridge["mt_type"], bridge["num_timesteps"], bridge["max_var"])
    assert (*found.missing, *found.unexpected, *found.mis_shaped) == ()
    network = loaded(reference, which.removesuffix("_")).state_dict()
    assert all(torch.equal(found.state[name], value) for name, value in network.items())


def test_bare_weights(ct2mri):
    for which in ("", "pure_"):
        _check(ct2mri, ct2mri.file(f"{which}state_dict.safetensors"), which)


def test_checkpoint_with_averaged_weights(ct2mri, tmp_path):
    state = ct2mri.state("state_dict.safetensors")
    averaged = {name: value for name, value in state.items() if name.startswith("denoise_fn.")}
    last = {name: torch.zeros_like(value) if name in averaged else value for name, value in state.items()}
    torch.save({"step": 1, "epoch": 1, "model": last, "ema": averaged}, tmp_path / "latest_model_1.pth")
    _check(ct2mri, tmp_path / "latest_model_1.pth", "")
