"""Measurements kept by what they depend on, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

VERSION = 2
"""Raised whenever the same inputs would be measured otherwise."""
NONE = np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Measurement:
    """What is kept of one subject translated one way.

    Parameters
    ----------
    scores : mapping of str to float
        Numbers by name; NaN where there is none.
    features : (slices, features) float64
        For Fréchet distances; empty where none was asked for.
    picture : (rows, columns) float32
        The middle slice, 0..1.
    """

    scores: Mapping[str, float]
    features: NDArray[np.float64] = field(default_factory=lambda: NONE)
    picture: NDArray[np.float32] = field(default_factory=lambda: NONE.astype(np.float32))


def key_of(**parts: Any) -> str:
    """Name of a measurement: SHA-256 of all it depends on.

    Parameters
    ----------
    **parts
        JSON values: hash of the model, settings, hash of the subject, slices, numbers asked for.
    """
    return hashlib.sha256(json.dumps({"version": VERSION, **parts}, sort_keys=True).encode()).hexdigest()


class Cache:
    """A folder of measurements.

    Parameters
    ----------
    folder : Path
        Made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)

    def get(self, key: str) -> Measurement | None:
        """Give what was kept under a name, or nothing."""
        path = self._path(key)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as found:
            scores = {name: float(value) for name, value in zip(found["names"].tolist(), found["values"].tolist(), strict=True)}
            return Measurement(scores, found["features"], found["picture"])

    def put(self, key: str, made: Measurement) -> None:
        """Keep a measurement; its file appears only when it is whole."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez_compressed(
                stream,
                names=np.array(list(made.scores), dtype=str),
                values=np.array(list(made.scores.values()), float),
                features=made.features,
                picture=made.picture,
            )
        part.replace(path)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npz"
