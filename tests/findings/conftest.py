"""Small subjects and tiny models under the names that sections ask for."""

from __future__ import annotations

import numpy as np
import pytest

import family_models
import tiny_model
from napari_harmonize.findings import harmonisation, spine, style_keys, vessels
from napari_harmonize.findings.job import finder
from napari_harmonize.findings.subjects import TASKS, Subject
from napari_harmonize.translation import Case
from napari_harmonize.volumes import from_array

SHAPE = (20, 24, 12)
FAMILIES = {
    "1p5t-to-3t": "guided-unet",
    "3t-to-1p5t": "guided-unet",
    "compare-regression": "xmodality-unet",
    "compare-unet": "guided-unet",
    "compare-adm": "xmodality-adm",
    "compare-uvit": "xmodality-uvit",
    "compare-dit": "xmodality-dit",
    "compare-ddim-image": "sa-unet",
    "compare-ddim-noise": "sa-unet",
    "compare-ddim-3d": "unet-3d",
    "compare-pix2pix": "pix2pix-unet",
}


def small(task: str, number: int, folder=None) -> Subject:
    """A ball of three shells in two contrasts."""
    rng = np.random.default_rng([list(TASKS).index(task), number])
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij"))
    radius = np.sqrt((grid**2).sum(0)) + 0.05 * rng.normal(size=SHAPE)
    inside = np.sqrt((grid**2).sum(0)) < 0.95
    shell = np.digitize(radius, (0.4, 0.7))
    contrasts = ((90, 140, 40), (200, 120, 30))
    source, truth = (np.where(inside, np.take(means, shell) + rng.normal(0, 5, SHAPE), 0).clip(0) for means in contrasts)
    volumes = (from_array(data.astype(np.float32), np.eye(4), name=role) for role, data in (("source", source), ("truth", truth)))
    return Subject(f"small {number}", number, Case(*volumes, from_array(inside.astype(np.uint8), np.eye(4), name="mask")))


@pytest.fixture
def make():
    return small


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Folder of a tiny package for every name, but for those of the FLAIR bridges."""
    home = tmp_path_factory.mktemp("packages")
    tiny_model.make(home / "ct-to-t1")
    tiny_model.make(home / "ct-to-t1-no-key", style=False)
    for name, family in FAMILIES.items():
        family_models.make(home / name, family)
    return home


@pytest.fixture
def find(packages):
    return finder((packages,))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Every section with as few steps as tell its rows apart."""
    monkeypatch.setattr(style_keys, "STEPS", 4)
    monkeypatch.setattr(harmonisation, "STEPS", 2)
    monkeypatch.setattr(vessels, "STEPS", (1, 2))
    monkeypatch.setattr(vessels, "SWAPPED", 2)
    monkeypatch.setattr(spine, "SETTINGS", ((1.0, 2, 0.0), (0.0, 2, 0.0), (1.0, 1, 0.0), (1.0, 3, 0.0), (1.0, 2, 1.0), (1.0, 2, 2.0)))
