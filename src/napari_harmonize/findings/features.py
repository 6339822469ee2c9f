"""Features of slices for Fréchet distances: wavelet scattering, or those of a vision transformer whose weights a user supplies."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.metrics.frechet import scattering_features

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def maker(weights: str) -> tuple[str, str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]:
    """Choose the features.

    Parameters
    ----------
    weights : str
        File of the published ViT-B/16; scattering where empty.

    Returns
    -------
    str, str, callable
        Name in ``columns.FEATURES``; what they depend on, for the cache; the function, from slices (n, rows, columns) in 0..1.

    Raises
    ------
    ModelError
        The file does not hold such a network.
    """
    if not weights:
        return "scattering", "scattering", scattering
    from napari_harmonize.findings.vit import load_vit

    network = load_vit(weights)
    return "vit", hashlib.sha256(Path(weights).read_bytes()).hexdigest(), network.features


def scattering(slices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scattering features of every slice, (n, 113)."""
    return np.stack([scattering_features(picture) for picture in slices])
