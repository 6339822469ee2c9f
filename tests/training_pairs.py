"""Tiny pairs to train on: a noisy box, and the same with another contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.training.pairs import Pair
from napari_harmonize.training.settings import FitSettings
from napari_harmonize.volumes import from_array, write

if TYPE_CHECKING:
    from pathlib import Path

SIDE, SLICES = 16, 8
QUICK = FitSettings(steps=6, batch=2, rate=1e-3, warm_up=1, validate=3, cases=1, validation_steps=1, save=2, report=2, threads=1)


def make(folder: Path) -> tuple[Pair, ...]:
    """Three pairs to train on and one to validate with."""
    splits = ("train", "train", "train", "validation")
    return tuple(Pair(f"p{number}", *_volumes(folder, number), split=split) for number, split in enumerate(splits))


def _volumes(folder: Path, number: int) -> list[Path]:
    rng = np.random.default_rng(number)
    data = np.zeros((SIDE, SIDE, SLICES), np.float32)
    data[3:-3, 3:-3, 1:-1] = 0.4 + 0.4 * rng.random((SIDE - 6, SIDE - 6, SLICES - 2))
    roles = (("source", data), ("target", np.where(data > 0, 1.2 - data, 0)))
    return [write(from_array(values.astype(np.float32), np.eye(4), name=role), folder / f"{role}{number}.nii.gz") for role, values in roles]
