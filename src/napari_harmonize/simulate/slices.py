"""What thick, tilted and unsharp slices do to a scan, and what is left when numbers are whole.

Every function takes an image (i, j, k) of 1 mm voxels, a strength and a generator, and is a row of ``effects.EFFECTS``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TILT = 25.0
"""Largest tilt of an oblique slab, in degrees."""


def slice_profile(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Slices whose profile has this full width at half maximum in mm, one beside the other, resampled linearly to 1 mm."""
    axis = 2 if float(torch.rand((), generator=rng)) < 0.6 else int(torch.randint(3, (), generator=rng))
    return _sliced(image, strength, float(torch.rand((), generator=rng)), axis)


def oblique_slab(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Slices of this thickness in mm, tilted by up to ``TILT`` degrees, resampled to the straight grid again."""
    degrees = TILT * (2 * float(torch.rand((), generator=rng)) - 1)
    rise = math.tan(math.radians(degrees))
    axis = int(torch.randint(2, (), generator=rng))
    straight = _sheared(image, axis, rise)
    return _sheared(_sliced(straight, strength, float(torch.rand((), generator=rng)), 2), axis, -rise)


def sharpness(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Blur that grows along one axis from nothing to a Gaussian of this standard deviation in mm."""
    axis = int(torch.randint(3, (), generator=rng))
    ramp = torch.linspace(0, 2, image.shape[axis])
    ramp = ramp.flip(0) if float(torch.rand((), generator=rng)) < 0.5 else ramp
    ramp = ramp.reshape([-1 if other == axis else 1 for other in range(3)])
    half, whole = blurred(image, strength / 2), blurred(image, strength)
    first, last = (1 - ramp).clamp_min(0), (ramp - 1).clamp_min(0)
    return image * first + half * (1 - first - last) + whole * last


def quantised(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Multiples of this step above or below an offset that lies anywhere within one; what is nothing stays nothing."""
    offset = strength * float(torch.rand((), generator=rng))
    return torch.where(image == 0, 0.0, ((image - offset) / strength).round() * strength + offset)


def blurred(image: Tensor, sigma: float, axes: tuple[int, ...] = (0, 1, 2)) -> Tensor:
    """Convolve with a Gaussian of this standard deviation in voxels along some axes; edges are repeated."""
    reach = max(1, math.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32) / max(sigma, 1e-3)) ** 2)
    for axis in axes:
        image = _convolved(image, kernel / kernel.sum(), axis)
    return image


def _convolved(image: Tensor, kernel: Tensor, axis: int) -> Tensor:
    last = image.movedim(axis, -1)
    reach = len(kernel) // 2
    lines = F.pad(last.reshape(1, -1, last.shape[-1]), (reach, reach), mode="replicate")
    summed = sum(weight * lines[..., at : at + last.shape[-1]] for at, weight in enumerate(kernel.tolist()))
    return torch.as_tensor(summed).reshape(last.shape).movedim(-1, axis)


def _sliced(image: Tensor, thickness: float, offset: float, axis: int) -> Tensor:
    """Measure slices with a Gaussian profile every ``thickness`` mm, the first that share of a slice further in."""
    size = image.shape[axis]
    soft = blurred(image, thickness / 2.3548, (axis,)).movedim(axis, -1)
    count = max(2, math.ceil(size / thickness) + 1)
    centres = torch.arange(count, dtype=torch.float32) * thickness - offset * thickness
    measured = _lines(soft, centres.clamp(0, size - 1))
    seen = _lines(measured, ((torch.arange(size, dtype=torch.float32) + offset * thickness) / thickness).clamp(0, count - 1))
    return seen.movedim(-1, axis)


def _lines(image: Tensor, places: Tensor) -> Tensor:
    """Read along the last axis, linearly between voxels, at places (n,) or, another row of them for other lines, (..., n)."""
    last = image.shape[-1] - 1
    low = places.floor().long().clamp(0, max(0, last - 1))
    weight = places - low
    before, behind = (image.gather(-1, at.expand(*image.shape[:-1], -1)) for at in (low, (low + 1).clamp_max(last)))
    return before * (1 - weight) + behind * weight


def _sheared(image: Tensor, axis: int, rise: float) -> Tensor:
    """Shift every line along the last axis by ``rise`` times its distance from the middle, linearly."""
    lines = image.movedim(axis, 0)
    shift = rise * (torch.arange(len(lines), dtype=torch.float64) - (len(lines) - 1) / 2)
    places = torch.arange(image.shape[2], dtype=torch.float32) + shift.float()[:, None, None]
    return _lines(lines, places.clamp(0, image.shape[2] - 1)).movedim(0, axis)
