"""Noise of a CT scan as its beams make it: fewer photons along dense paths, then filtered back-projection."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ANGLES = 48
STARVED = 1.5
"""How many times, as a power of e, a beam on the densest path is noisier than one through air."""


def beam_noise(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Add noise of this standard deviation, made by parallel beams in every slice along the last axis.

    A beam's noise is that of its photons, whose number falls with what it passes: σ ∝ e^(p/2). The ramp filter of the
    reconstruction makes it high-pass along the detector, and back-projection lays it as streaks along the beams
    (Riederer, Pelc and Chesler, Phys Med Biol 23:446, 1978).

    Parameters
    ----------
    image : (i, j, k) float32
        Any unit in which dense is high.
    strength : float
        Standard deviation of the noise over the whole image, in the image's unit.
    rng : torch.Generator
        Chance.
    """
    rows, columns, slices = image.shape
    detector = 2 * math.ceil(math.hypot(rows, columns) / 2) + 3
    solid = image - image.min()
    longest = max(float(solid.sum(axis).max()) for axis in (0, 1)) or 1.0
    dense = solid.reshape(rows * columns, slices)
    noise = torch.zeros_like(dense)
    turn = float(torch.rand((), generator=rng))
    for number in range(ANGLES):
        bins = _bins(rows, columns, math.pi * (number + turn) / ANGLES, detector)
        paths = torch.zeros((detector, slices)).index_add_(0, bins, dense)
        fewer = torch.exp(STARVED * (paths / longest).clamp_max(1.2))
        noise += _ramped(torch.randn((detector, slices), generator=rng) * fewer)[bins]
    return image + strength * (noise / noise.std()).reshape(image.shape)


def _bins(rows: int, columns: int, angle: float, detector: int) -> Tensor:
    """Detector element that sees each pixel of a slice, (rows · columns,)."""
    i = torch.arange(rows, dtype=torch.float32)[:, None] - (rows - 1) / 2
    j = torch.arange(columns, dtype=torch.float32)[None] - (columns - 1) / 2
    return (i * math.cos(angle) + j * math.sin(angle) + detector // 2).round().long().reshape(-1)


def _ramped(projection: Tensor) -> Tensor:
    """Ramp filter with a cosine roll-off along the detector (first axis)."""
    frequency = torch.fft.rfftfreq(projection.shape[0])
    ramp = frequency * torch.cos(math.pi * frequency)
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(projection, dim=0) * ramp[:, None], n=projection.shape[0], dim=0)
    return filtered
