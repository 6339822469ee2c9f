"""Preparation of volumes for translation, and of slices for training."""

from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.prepare import Context, make, prepare
from napari_harmonize.volumes import Meaning, Volume
from xmodality_set import arrays, every_file, every_set

SLICES = 1e-6
SUMS = 1e-3
RESAMPLED = 1e-3
WINDOW = {"low": -50, "high": 350}


def _prepared(data: np.ndarray, *steps, meaning=Meaning.ARBITRARY) -> np.ndarray:
    volume = Volume(data, np.eye(4), meaning)
    return prepare(volume, [make(name, settings) for name, settings in steps], Context())[0].data


@every_set
def test_volumes_are_stripped_resampled_and_scaled(folder):
    found = arrays(folder / "volume_unet.npz")
    every = -(-256 // found["resampled_every4"].shape[0])
    bottom, top = found["strip"]
    stripped = _prepared(found["tof_volume"], ("strip_flat_slices", {}))
    assert np.array_equal(stripped, found["tof_volume"][:, :, bottom : found["tof_volume"].shape[2] - top])
    resampled = _prepared(stripped, ("resample_slices", {}))
    assert np.abs(resampled[::every, ::every] - found["resampled_every4"]).max() <= RESAMPLED
    scaled = _prepared(resampled, ("scale_slices", {}))
    theirs = np.moveaxis(found["normalised_every4"][..., 0], 0, 2)
    assert np.abs(2 * scaled[::every, ::every] - 1 - theirs).max() <= 10 * SLICES


@every_file("preprocess_slices.npz")
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("role", ["src", "tgt"])
def test_training_slices(path, number, role):
    found = arrays(path)
    scale = ("scale_slices", {}) if role == "src" else ("window", WINDOW)
    every = 256 // found[f"{role}{number}_out_every8"].shape[0]
    pad = ("pad_slices", {"least": [256, 256]})
    whole = _prepared(found[f"{role}{number}"][..., None].astype(np.float32), scale, pad, meaning=Meaning.HU)
    row, column = found[f"crop_offset{number}"]
    cropped = whole[row : row + 256, column : column + 256]  # 0..1; the network's -1..1 comes later
    assert np.abs(cropped[::every, ::every] - found[f"{role}{number}_out_every8"]).max() <= SLICES
    assert abs(cropped.astype(float).sum() - found[f"{role}{number}_sum"]) <= SUMS
