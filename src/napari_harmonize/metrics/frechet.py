"""Fréchet distance between two sets of features, and features that need no trained network.

The distance is that of two normal distributions fitted to the sets (Heusel et al., NeurIPS 2017). What it means depends on the
features, so it is never named without them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import VolumeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCATTERING = "Fréchet distance of scattering features"
SCALES, ANGLES = 4, 4
CENTRE = 3 * np.pi / 4
WIDTH = 0.8
SLANT = 0.5
LEAST = 2**SCALES


def frechet_distance(first: NDArray[Any], second: NDArray[Any]) -> float:
    """|m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), with means m and unbiased covariances S.

    The trace of the root is taken over the eigenvalues of S1^(1/2) S2 S1^(1/2), which are those of S1 S2 and stay real where
    there are fewer items than features.

    Parameters
    ----------
    first, second : (items, features) array
        Two or more items each.

    Raises
    ------
    VolumeError
        The sets have different features, or fewer than two items.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise VolumeError("Two sets of two items or more have the same features", f"shapes {a.shape} and {b.shape} arrived")
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = _root(np.atleast_2d(one))
    values = np.linalg.eigvalsh(root @ np.atleast_2d(other) @ root)
    apart = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    return apart + float(np.trace(np.atleast_2d(one)) + np.trace(np.atleast_2d(other)) - 2 * np.sqrt(values.clip(0)).sum())


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric square root; eigenvalues below zero are rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(values.clip(0))) @ vectors.T)


def scattering_features(picture: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of a picture, of its oriented edges, and of the edges of those (Bruna and Mallat, IEEE PAMI 35:1872, 2013).

    Morlet wavelets of 4 octaves and 4 directions; |x * w1| and, for longer waves, ||x * w1| * w2|, each averaged over the
    picture, which repeats at its borders. Nothing is learnt.

    Parameters
    ----------
    picture : (rows, columns) array
        One slice, 0..1; sides of 16 or more.

    Returns
    -------
    (113,) float64
        1 + 16 + 96 numbers, in the unit of the picture.

    Raises
    ------
    VolumeError
        The picture is too small.
    """
    if picture.ndim != 2 or min(picture.shape) < LEAST:
        raise VolumeError(f"Scattering features are those of a slice of at least {LEAST} x {LEAST} pixels", f"{picture.shape} arrived")
    data = np.asarray(picture, np.float64)
    waves, spectrum = _wavelets(*data.shape), np.fft.fft2(data)
    found = [float(data.mean())]
    first = [np.abs(np.fft.ifft2(spectrum * wave)) for octave in waves for wave in octave]
    found += [float(edges.mean()) for edges in first]
    for number, edges in enumerate(first):
        again = np.fft.fft2(edges)
        longer = (wave for octave in waves[number // ANGLES + 1 :] for wave in octave)
        found += [float(np.abs(np.fft.ifft2(again * wave)).mean()) for wave in longer]
    return np.array(found)


@functools.lru_cache(maxsize=16)
def _wavelets(rows: int, columns: int) -> tuple[tuple[NDArray[np.float64], ...], ...]:
    """Morlet wavelets in frequency by octave and direction: Gaussians about the centre frequency, without a mean."""
    y, x = np.meshgrid(2 * np.pi * np.fft.fftfreq(rows), 2 * np.pi * np.fft.fftfreq(columns), indexing="ij")
    octaves = []
    for octave in range(SCALES):
        turned = []
        for angle in np.pi * np.arange(ANGLES) / ANGLES:
            along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
            turned.append(_morlet(2**octave * along, 2**octave * across))
        octaves.append(tuple(turned))
    return tuple(octaves)


def _morlet(along: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectrum of a plane wave under a slanted Gaussian; the correction makes its mean zero."""

    def hill(centre: float) -> NDArray[np.float64]:
        return np.asarray(np.exp(-0.5 * WIDTH**2 * ((along - centre) ** 2 + (across / SLANT) ** 2)))

    low = float(np.exp(-0.5 * (WIDTH * CENTRE) ** 2))
    return hill(CENTRE) - low * hill(0.0)
