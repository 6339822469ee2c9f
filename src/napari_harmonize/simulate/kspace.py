"""What happens to a scan on its way through k-space: coarse pixels, ringing, ghosts, movement.

Every function takes an image (i, j, k) of 1 mm voxels, a strength and a generator, and is a row of ``effects.EFFECTS``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SEGMENTS = 3


def coarse_pixels(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Leave out what pixels of this size in mm cannot carry, along two axes, smoothly: zero-filled, filtered k-space."""
    across = _across(rng)
    for axis in (axis for axis in range(3) if axis != across):
        lines = torch.fft.rfftfreq(image.shape[axis]) * 2 * strength  # 1 at the highest line that is measured
        keep = torch.cos(0.5 * math.pi * ((lines - 0.25) / 0.75).clamp(0, 1)) ** 2
        image = _filtered(image, keep, axis)
    return image


def gibbs(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Cut this share of the highest lines off along two axes, sharply, so that edges ring."""
    across = _across(rng)
    for axis in (axis for axis in range(3) if axis != across):
        lines = image.shape[axis] // 2 + 1
        keep = (torch.arange(lines) < lines - max(1, round(strength * lines))).float()
        image = _filtered(image, keep, axis)
    return image


def ghosting(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Add copies an equal part of the field of view away to both sides, with this share of the signal: every n-th line differs."""
    axis = int(torch.randint(2, (), generator=rng))
    copies = int(torch.randint(2, 5, (), generator=rng))
    phase = 2 * math.pi * float(torch.rand((), generator=rng))
    shift = max(1, image.shape[axis] // copies)
    one, other = image.roll(shift, axis) * (strength / 2), image.roll(-shift, axis) * (strength / 2)
    return torch.hypot(image + math.cos(phase) * (one + other), math.sin(phase) * (one - other))


def motion(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Move the head between parts of the measurement: by a standard deviation of this many mm, and about as many degrees.

    The lines around the centre of k-space are measured before the first movement, so the head stays where it was.
    """
    axis = int(torch.randint(2, (), generator=rng))
    lines = image.shape[axis]
    order = torch.fft.fftfreq(lines).abs().argsort(stable=True)  # from the centre outwards
    first = (0.15 + 0.3 * float(torch.rand((), generator=rng))) * lines
    spectrum = torch.fft.fft(image, dim=axis)
    for number in range(SEGMENTS):
        low, high = (int(first + (lines - first) * part / SEGMENTS) for part in (number, number + 1))
        moved = torch.fft.fft(_moved(image, strength, rng), dim=axis)
        spectrum.index_copy_(axis, order[low:high], moved.index_select(axis, order[low:high]))
    magnitude: Tensor = torch.fft.ifft(spectrum, dim=axis).abs()
    return magnitude


def _moved(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Shift and turn a head a little, linearly interpolated."""
    angles = torch.randn(3, generator=rng) * math.radians(strength)
    shift = torch.randn(3, generator=rng) * strength
    half = torch.tensor([(size - 1) / 2 for size in image.shape])
    axes = [torch.arange(size, dtype=torch.float32) - middle for size, middle in zip(image.shape, half.tolist(), strict=True)]
    i, j, k = torch.meshgrid(*axes, indexing="ij")
    a, b, c = angles.tolist()  # small angles
    where = torch.stack([i - c * j + b * k, j + c * i - a * k, k - b * i + a * j], dim=-1) + shift
    read: Tensor = F.grid_sample(image[None, None], (where / half.clamp_min(0.5)).flip(-1)[None], align_corners=True)
    return read[0, 0]


def _across(rng: torch.Generator) -> int:
    """Axis through the slices: mostly the last."""
    return 2 if float(torch.rand((), generator=rng)) < 0.6 else int(torch.randint(3, (), generator=rng))


def _filtered(image: Tensor, keep: Tensor, axis: int) -> Tensor:
    shape = [-1 if other == axis else 1 for other in range(3)]
    spectrum = torch.fft.rfft(image, dim=axis) * keep.reshape(shape)
    filtered: Tensor = torch.fft.irfft(spectrum, n=image.shape[axis], dim=axis)
    return filtered
