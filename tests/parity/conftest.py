"""Sets of arrays made by running published systems: found, opened, never described here."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from dm_moni_set import chains_of

ROOT = Path(__file__).resolve().parents[2]


def sets(*keys: str) -> list[Path]:
    """Folders below the reference folder whose config.json has all of these keys."""
    root = Path(os.environ.get("HARMONIZE_REFERENCE", ROOT / "../shared/reference"))
    found = sorted(root.rglob("config.json")) if root.is_dir() else []
    return [path.parent for path in found if set(keys) <= set(json.loads(path.read_text()))]


@dataclass(frozen=True)
class ReferenceSet:
    """One folder with config.json, README.md, .npz and .safetensors files."""

    folder: Path

    @cached_property
    def config(self) -> dict:
        return json.loads((self.folder / "config.json").read_text())

    def file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            pytest.skip(f"the set {self.folder.name} has no {name}")
        return path

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.file(name), allow_pickle=False) as found:
            return dict(found)

    def tensors(self, name: str) -> dict:
        import torch

        return {key: torch.from_numpy(value) for key, value in self.arrays(name).items() if value.dtype.kind != "U"}

    def state(self, name: str) -> dict:
        from safetensors.torch import load_file

        return load_file(self.file(name))

    def tolerance(self, what: str, default: float) -> float:
        """Absolute tolerance of the README's table row whose first cell begins ``what``, or with which ``what`` begins."""
        readme = self.folder / "README.md"
        for line in readme.read_text().splitlines() if readme.is_file() else []:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            number = re.search(r"≤ ?([\d.]+(?:e-?\d+)?)", cells[1]) if line.startswith("|") and len(cells) == 2 else None
            if number and cells[0] and (cells[0].startswith(what) or what.startswith(cells[0])):
                return float(number[1])
        return default


def _params(found: list, ids: list[str], what: str, marks: list | None = None) -> list:
    reason = f"no {what} below HARMONIZE_REFERENCE (default ../shared/reference)"
    marks = marks or [()] * len(found)
    return [pytest.param(*item, id=name, marks=mark) for item, name, mark in zip(found, ids, marks, strict=True)] or [
        pytest.param(None, marks=pytest.mark.skip(reason))
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``ct2mri``: every Brownian-bridge set; ``ct2mri_run``: every (set, name of a sampling run).

    ``dm_moni``: every contrast-harmonisation set; ``dm_moni_chain``: every (set, file, chain in it) that is a target;
    ``dm_moni_model``: every (set, model).
    """
    folders = [ReferenceSet(folder) for folder in sets("unet", "bridge")]
    if "ct2mri" in metafunc.fixturenames:
        metafunc.parametrize("ct2mri", _params([(item,) for item in folders], [item.folder.name for item in folders], "bridge set"))
    if "ct2mri_run" in metafunc.fixturenames:
        runs = [((item, run),) for item in folders for run in item.config.get("runs", {})]
        names = [f"{item[0].folder.name}-{item[1]}" for (item,) in runs]
        metafunc.parametrize("ct2mri_run", _params(runs, names, "bridge set with sampling runs"))
    harmonising = [ReferenceSet(folder) for folder in sets("models", "schedules", "chains")]
    if "dm_moni" in metafunc.fixturenames:
        named = [item.folder.name for item in harmonising]
        metafunc.parametrize("dm_moni", _params([(item,) for item in harmonising], named, "contrast-harmonisation set"))
    if "dm_moni_chain" in metafunc.fixturenames:
        chains = [found for item in harmonising for found in chains_of(item) if not found[2]["verbatim_upstream_bug"]]
        named = [f"{file}-{chain['prefix']}" for _, file, chain in chains]
        # chains of which only the end is kept are long or large
        slow = {file for item, file, _ in chains if "x_final" in item.config["arrays"][file]}
        marks = [pytest.mark.slow if file in slow else () for _, file, _ in chains]
        metafunc.parametrize("dm_moni_chain", _params([(item,) for item in chains], named, "contrast-harmonisation set with chains", marks))
    if "dm_moni_model" in metafunc.fixturenames:
        models = [(item, model) for item in harmonising for model in item.config["models"]]
        named = [model for _, model in models]
        metafunc.parametrize("dm_moni_model", _params([(item,) for item in models], named, "contrast-harmonisation set"))
