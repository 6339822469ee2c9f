"""Small volumes on disk, and a command line called in this process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from napari_harmonize.cli import main
from napari_harmonize.volumes import from_array, write


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*argv, open_window=None) -> Said:
        code = main([str(part) for part in argv], open_window)
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return run


def ellipsoid(seed: int, shape=(20, 24, 10)) -> np.ndarray:
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    texture = np.random.default_rng(seed).random(shape) * 40
    return np.where(radius < 0.8, 60 + 80 * radius * (-1) ** seed + texture + 100 * (seed % 2), 0).astype(np.float32)


@pytest.fixture
def pair(tmp_path):
    """Files of a source, its truth and its mask: (source, truth, mask)."""
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    volumes = {"source": ellipsoid(0), "truth": ellipsoid(1), "mask": (ellipsoid(0) > 0).astype(np.uint8)}
    return tuple(write(from_array(data, affine, name=name), tmp_path / f"{name}.nii.gz") for name, data in volumes.items())


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Folder of a model package with random weights."""
    import tiny_model

    return tiny_model.make(tmp_path_factory.mktemp("models") / "tiny").path
