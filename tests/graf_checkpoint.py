"""Tiny checkpoints as the spine system writes them, option objects of its classes included; the weights are random."""

from __future__ import annotations

import contextlib
import sys
import types
from typing import TYPE_CHECKING, Any

import torch

from napari_harmonize.networks import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OPTIONS_2D = {
    "lr": 2e-5,
    "channels": 8,
    "dim_multiples": "1, 2",
    "learned_variance": False,
    "image_mode": True,
    "linear": False,
    "timesteps": 1000,
    "image_dropout": 0.3,
    "patch_size": 1,
    "volumes": False,
    "normalize": {"mean": [0.5], "std": [0.5]},
    "condition_types": ["CT", "T1"],
    "conditional_channel_size": 1,
    "gpus": None,
}
OPTIONS_3D = OPTIONS_2D | {
    "image_dropout": 0.0,
    "volumes": True,
    "condition_types": ["CT", "t2", "linespace", "linespace", "linespace"],
    "conditional_channel_size": 4,
    "target_shape3D": [8, 16, 16],
}
OPTIONS_GAN = {
    "mode": "pix2pix",
    "model_name": "base_unet",
    "net_G_depth": 4,
    "net_G_channel": 4,
    "net_G_drop_out": 0.2,
    "condition_types": ["CT", "T1"],
}


def weights(network: str, seed: int = 0, **changes: Any) -> dict[str, torch.Tensor]:
    """Weights of a tiny network, none of them zero."""
    from napari_harmonize.settings import replace

    row = NETWORKS[network]
    state = row.load()(replace(row.settings.tiny(), **changes)).state_dict()
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(value.shape, generator=generator) for name, value in state.items()}


def behind(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


def diffusion_state(network: str = "sa-unet", prefix: str = "", **changes: Any) -> dict[str, torch.Tensor]:
    """Last and averaged weights, as a diffusion training stores them."""
    online, averaged = weights(network, 1, **changes), weights(network, 2, **changes)
    parts = behind("generator.", online) | behind("ema.online_model.", online) | behind("ema.ema_model.", averaged)
    return behind(prefix, parts | {"ema.initted": torch.ones(1), "ema.step": torch.ones(1, dtype=torch.int64)})


@contextlib.contextmanager
def option_object(full_name: str, values: Mapping[str, Any]) -> Iterator[object]:
    """An object of a class of this name, which nobody can import once this is over."""
    module, _, name = full_name.rpartition(".")
    cls = type(name, (), {"__module__": module})
    packages = [module.rsplit(".", count)[0] for count in range(module.count(".") + 1)]
    before = {package: sys.modules.get(package) for package in packages}
    for package in packages:
        sys.modules[package] = types.ModuleType(package)
    setattr(sys.modules[module], name, cls)
    made = cls()
    made.__dict__.update(values)
    try:
        yield made
    finally:
        for package, module_before in before.items():
            sys.modules.pop(package)
            if module_before is not None:
                sys.modules[package] = module_before


def lightning(
    path: Path, state: Mapping[str, torch.Tensor], options: Mapping[str, Any], cls: str = "loader.arguments.Diffusion_Option"
) -> Path:
    """Write a Lightning file."""
    with option_object(cls, options) as made:
        content = {
            "epoch": 3,
            "global_step": 400,
            "pytorch-lightning_version": "1.9.0",
            "state_dict": dict(state),
            "loops": {"fit_loop": {"state_dict": {}}},
            "callbacks": {},
            "optimizer_states": [{"state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 2e-5}]}],
            "lr_schedulers": [],
            "hparams_name": "kwargs",
            "hyper_parameters": {"opt": made, "in_channel": 1},
        }
        torch.save(content, path)
    return path


def raw(path: Path, state: Mapping[str, torch.Tensor], options: Mapping[str, Any] | None) -> Path:
    """Write a bare state_dict, and its options as a .yaml file beside it."""
    import yaml

    torch.save(dict(state), path)
    if options is not None:
        path.with_suffix(".yaml").write_text(yaml.safe_dump(dict(options)), encoding="utf-8")
    return path
