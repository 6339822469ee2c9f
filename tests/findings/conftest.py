"""Small subjects and tiny models under the names that sections ask for."""

from __future__ import annotations

import pytest

import family_models
import tiny_model
from napari_harmonize.findings import harmonisation, spine, style_keys, vessels
from small_subjects import among, small

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
    return among(packages)


@pytest.fixture(autouse=True, scope="session")
def few_steps():
    """Every section with as few steps as tell its rows apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style_keys, "STEPS", 4)
        patch.setattr(harmonisation, "STEPS", 2)
        patch.setattr(vessels, "STEPS", (1, 2))
        patch.setattr(vessels, "SWAPPED", 2)
        patch.setattr(spine, "SETTINGS", ((1.0, 2, 0.0), (0.0, 2, 0.0), (1.0, 1, 0.0), (1.0, 3, 0.0), (1.0, 2, 1.0), (1.0, 2, 2.0)))
        yield
