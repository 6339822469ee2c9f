"""Style keys against those the published scripts wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_harmonize.style import average, compute, from_curves

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def sets(reference: Path) -> list[dict[str, np.ndarray]]:
    """Every set with style keys: a folder whose config has a network and a bridge."""
    found = []
    for config in sorted(reference.rglob("config.json")):
        file = config.parent / "style_key.npz"
        if {"unet", "bridge"} <= json.loads(config.read_text()).keys() and file.is_file():
            with np.load(file) as arrays:
                found.append({name: arrays[name] for name in arrays.files})
    if not found:
        pytest.skip("no CT2MRI set with style keys in the reference folder")
    return found


def pairs(arrays: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Volumes and their keys, by the two ways they are named."""
    named = {name: (f"vol_{name[4:]}", name) for name in arrays if name.startswith("key_")}
    named |= {f"{name}_vol": (f"{name}_vol", f"key_{name}") for name in ("colin",) if f"{name}_vol" in arrays}
    named |= {name: (name.replace("_key", "_vol"), name) for name in arrays if name.endswith("_key")}
    return {name: (arrays[volume], arrays[key]) for name, (volume, key) in named.items() if volume in arrays and key in arrays}


def test_keys_are_the_published_ones(sets):
    for arrays in sets:
        found = pairs(arrays)
        assert len(found) >= 3
        for volume, key in found.values():
            ours = compute(volume, bins=key.shape[0]).curves
            np.testing.assert_allclose(ours.T[..., None], key, rtol=0, atol=TOLERANCE)


def test_the_average_is_the_published_one(sets):
    for arrays in sets:
        bins = arrays["key_avg"].shape[0]
        ours = average([compute(arrays[name], bins=bins) for name in ("vol_a", "vol_b")]).curves
        np.testing.assert_allclose(ours.T[..., None], arrays["key_avg"], rtol=0, atol=TOLERANCE)


def test_published_keys_are_read_as_they_are(sets):
    for arrays in sets:
        for name in (name for name in arrays if name.startswith("key_") or name.endswith("_key")):
            np.testing.assert_allclose(from_curves(arrays[name]).curves.T[..., None], arrays[name], rtol=0, atol=TOLERANCE)


def test_bin_borders_are_those_of_the_data_type(sets):
    for arrays in sets:
        key = from_curves(arrays["key_a"])
        np.testing.assert_allclose(key.edges, arrays["edges_float32"], rtol=0, atol=1e-7)
