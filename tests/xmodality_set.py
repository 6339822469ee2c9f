"""Reading an xmodality reference set in our own terms."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_harmonize.condition import Condition
from napari_harmonize.networks import NETWORKS
from napari_harmonize.translation.importers import flax
from napari_harmonize.translation.importers.xmodality_layout import kind_of, layout, network_settings

ROOT = Path(__file__).resolve().parents[1]
PARAMETERS = "_params.safetensors"


def _folders() -> list[Path]:
    root = Path(os.environ.get("HARMONIZE_REFERENCE", ROOT / "../shared/reference"))
    layouts = sorted(root.rglob("published_layout.json")) if root.is_dir() else []
    return [path.parent for path in layouts if any(path.parent.glob(f"dit{PARAMETERS}"))]


SETS = _folders()
NETWORKS_THERE = [(folder, path.name.removesuffix(PARAMETERS)) for folder in SETS for path in sorted(folder.glob(f"*{PARAMETERS}"))]
REASON = "no xmodality set below HARMONIZE_REFERENCE (default ../shared/reference)"


def _parametrised(names: str, found: list, ids: list[str]):
    empty = [pytest.param(*(None for _ in names.split(",")), marks=pytest.mark.skip(REASON))]
    return pytest.mark.parametrize(names, found or empty, ids=ids or None)


every_set = _parametrised("folder", SETS, [folder.name for folder in SETS])
every_network = _parametrised("folder,arch", NETWORKS_THERE, [f"{folder.name}-{arch}" for folder, arch in NETWORKS_THERE])


def every_file(pattern: str):
    """Every file of every set with a name like this."""
    found = [path for folder in SETS for path in sorted(folder.glob(pattern))]
    return _parametrised("path", found, [path.stem for path in found])


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as found:
        return dict(found)


def images(values: np.ndarray) -> torch.Tensor:
    """(..., rows, columns, channel) as stored to (..., channel, row, column)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, -3)))


@cache
def loaded(folder: Path, arch: str) -> torch.nn.Module:
    """Network of a set with its weights."""
    stored = load_file(folder / f"{arch}{PARAMETERS}")
    kind = kind_of(set(stored))
    settings = network_settings(kind, stored, arch)
    fit = flax.fit(stored, layout(kind, settings))
    assert fit.missing == fit.unexpected == fit.mis_shaped == ()
    network = NETWORKS[kind].load()(settings)
    network.load_state_dict(fit.state)
    return network.requires_grad_(False).eval()


def ask(network: torch.nn.Module, found: dict[str, np.ndarray], case: str) -> torch.Tensor:
    """Answer of a network to a stored case; one image may be asked at several times."""
    x = images(found[f"{case}_x"])
    t = torch.from_numpy(found[f"{case}_logsnr"]) if f"{case}_logsnr" in found else torch.zeros(len(x))
    source = images(found[f"{case}_condition"]) if f"{case}_condition" in found else None
    wide = [None if part is None else part.expand(len(t), -1, -1, -1) for part in (x, source)]
    return network(wide[0], t, Condition(wide[1]))


def config(folder: Path, arch: str) -> dict:
    return json.loads((folder / f"{arch}_config.json").read_text())


def worst(ours, theirs) -> float:
    return float((torch.as_tensor(ours) - torch.as_tensor(theirs)).abs().max())
