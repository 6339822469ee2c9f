"""What scanners add: texture, bias, thick slices, noise, and the rest of ``kspace``, ``slices`` and ``beam``.

Every effect takes an image (i, j, k) of 1 mm voxels whose brightest tissue is about 1, a strength and a generator,
and gives a new image. ``EFFECTS`` lists them; strengths are in the units their rows name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_harmonize.simulate.anatomy import smooth_noise
from napari_harmonize.simulate.beam import beam_noise
from napari_harmonize.simulate.kspace import coarse_pixels, ghosting, gibbs, motion
from napari_harmonize.simulate.slices import oblique_slab, quantised, sharpness, slice_profile

Effect = Callable[[Tensor, float, torch.Generator], Tensor]


def texture(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Tissue that is not quite uniform: noise that neighbours share over 2 mm."""
    return image * (1 + strength * smooth_noise(2.0, tuple(image.shape), rng)[0])


def bias(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Uneven coil sensitivity: a smooth factor, e to the power of noise over 60 mm."""
    return image * torch.exp(strength * smooth_noise(60.0, tuple(image.shape), rng)[0])


def thick_slices(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Slices of this thickness in mm along one axis, resampled linearly to 1 mm again."""
    axis = int(torch.randint(3, (), generator=rng)) if float(torch.rand((), generator=rng)) < 0.5 else 2
    size = image.shape[axis]
    slices = max(2, round(size / strength))
    shape = [slices if other == axis else image.shape[other] for other in range(3)]
    thick = F.interpolate(image[None, None], size=shape, mode="area")
    return F.interpolate(thick, size=tuple(image.shape), mode="trilinear", align_corners=False)[0, 0]


def rician(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Magnitude of a complex signal with Gaussian noise in both channels (Gudbjartsson and Patz 1995)."""
    real = image + strength * torch.randn(image.shape, generator=rng)
    return torch.hypot(real, strength * torch.randn(image.shape, generator=rng))


def gaussian(image: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """Photon noise after reconstruction, a little smooth."""
    noise = torch.randn((1, 1, *image.shape), generator=rng)
    noise = 0.5 * noise + F.avg_pool3d(noise, 3, stride=1, padding=1)
    return image + strength * (noise / noise.std())[0, 0]


@dataclass(frozen=True)
class EffectRow:
    """One row of the table: what it is, the unit of its strength, the function."""

    help: str
    unit: str
    apply: Effect


EFFECTS = {
    "texture": EffectRow("Tissue that is not quite uniform", "share of the signal", texture),
    "bias": EffectRow("Uneven coil sensitivity", "standard deviation of the logarithm", bias),
    "thick slices": EffectRow("Thick slices, resampled to 1 mm", "mm", thick_slices),
    "rician": EffectRow("Noise of a magnitude MR image", "share of the brightest tissue", rician),
    "gaussian": EffectRow("Noise of a CT image", "share of the brightest tissue", gaussian),
    "slice profile": EffectRow("Slices with a Gaussian profile of this width, one beside the other", "mm", slice_profile),
    "oblique slab": EffectRow("Slices of this thickness, tilted by up to 25 degrees", "mm", oblique_slab),
    "coarse pixels": EffectRow("Pixels of this size within a slice", "mm", coarse_pixels),
    "gibbs": EffectRow("Ringing at edges, where the highest lines of k-space are cut off", "share of the lines", gibbs),
    "ghosting": EffectRow("Fainter copies along the phase-encoding axis", "share of the signal", ghosting),
    "motion": EffectRow("A head that moved during the scan", "mm, and degrees", motion),
    "sharpness": EffectRow("Blur that grows along one axis up to this", "mm, standard deviation", sharpness),
    "quantised": EffectRow("Whole multiples of a step", "share of the brightest tissue", quantised),
    "beam noise": EffectRow("Noise of a CT image as its beams make it, with streaks", "share of the brightest tissue, or HU", beam_noise),
}
