"""Reading the spine system's reference sets in our own terms: found by what they hold, never described here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
FORWARD, UPDATE, CHAIN, SCHEDULE = 2e-5, 5e-5, 2e-4, 1e-6


def folder_root() -> Path:
    return Path(os.environ.get("HARMONIZE_REFERENCE", ROOT / "../shared/reference"))


@dataclass(frozen=True)
class GrafSet:
    """One ``NAME.config.json`` with ``NAME.vectors.npz`` and ``NAME.state.safetensors`` beside it."""

    folder: Path
    name: str

    @cached_property
    def config(self) -> dict:
        return json.loads((self.folder / f"{self.name}.config.json").read_text())

    @cached_property
    def options(self) -> dict:
        """The hyper-parameters, wherever the layout keeps them."""
        return self.config.get("yaml_side_file") or self.config["hyper_parameters"]["opt"]

    @cached_property
    def arrays(self) -> dict:
        import torch

        with np.load(self.folder / f"{self.name}.vectors.npz", allow_pickle=False) as found:
            return {key: torch.from_numpy(value) for key, value in found.items()}

    @cached_property
    def state(self) -> dict:
        from safetensors.torch import load_file

        return load_file(self.folder / f"{self.name}.state.safetensors")

    def weights(self, prefix: str) -> dict:
        """Tensors behind a prefix."""
        return {key.removeprefix(prefix): value for key, value in self.state.items() if key.startswith(prefix)}

    @property
    def volumes(self) -> bool:
        return any(value.ndim == 5 for value in self.state.values())

    @property
    def runs(self) -> list[str]:
        """Names of the sampling runs."""
        return sorted({key.split(".")[0] for key in self.arrays if key.endswith(".xT")})


def graf_sets(layout: str) -> list[GrafSet]:
    """Sets whose layout begins so; "" for those without a layout."""
    found = sorted(folder_root().rglob("*.config.json")) if folder_root().is_dir() else []
    sets = [GrafSet(path.parent, path.name.removesuffix(".config.json")) for path in found]
    return [one for one in sets if _matches(one.config, layout)]


def _matches(config: dict, layout: str) -> bool:
    if not layout:
        return "layout" not in config and "conditional_dimensions" in config.get("generator", {})
    return config.get("layout", "").startswith(layout)


def params(items: list, ids: list[str]) -> list:
    """Parameters of a test; one that is skipped with its reason where there are none."""
    reason = "no set of the spine system below HARMONIZE_REFERENCE (default ../shared/reference)"
    return [pytest.param(item, id=name) for item, name in zip(items, ids, strict=True)] or [
        pytest.param(None, marks=pytest.mark.skip(reason))
    ]


def diffusion_sets() -> list[GrafSet]:
    return [*graf_sets("lightning_2d_diffusion"), *graf_sets("raw_pt"), *graf_sets("lightning_3d")]


def every_diffusion_set():
    """Mark that runs a test on every diffusion set."""
    found = diffusion_sets()
    return pytest.mark.parametrize("found", params(found, [one.name for one in found]))


def multipliers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def network_settings(found: GrafSet):
    """Our settings for upstream's hyper-parameters."""
    from napari_harmonize.networks.sa_unet import SaUNetSettings
    from napari_harmonize.networks.unet_3d import UNet3dSettings

    options = found.options
    common = {
        "width": options["channels"],
        "multipliers": multipliers(options["dim_multiples"]),
        "learns_variance": options["learned_variance"],
    }
    if found.volumes:
        return UNet3dSettings(**common)
    return SaUNetSettings(**common, source_channels=options["conditional_channel_size"], patch=options["patch_size"])


@cache
def loaded(found: GrafSet, which: str = "online"):
    """Network of a diffusion set with its online or its averaged weights."""
    from napari_harmonize.networks.sa_unet import SaUNet
    from napari_harmonize.networks.unet_3d import UNet3d

    network = (UNet3d if found.volumes else SaUNet)(network_settings(found))
    network.load_state_dict(found.weights(found.config[f"state_dict_prefix_{which}"]))
    return network.requires_grad_(False).eval()


def condition_of(cond):
    """Upstream's conditioning channels as ours: the source, and behind it the ramps of a volume."""
    from napari_harmonize.condition import Condition

    return Condition(cond[:, :1], position=cond[:, 1:]) if cond.ndim == 5 else Condition(cond)


def close(ours, theirs, limit: float) -> bool:
    """Whether the largest difference is at most ``limit`` of the largest value, or of 1."""
    return float((ours - theirs).abs().max()) <= limit * max(1.0, float(theirs.abs().max()))
