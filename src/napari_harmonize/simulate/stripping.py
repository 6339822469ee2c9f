"""What imperfect stripping leaves around a brain, and what a field of view cuts from it.

Shares here are (12, i, j, k) in the order of ``relaxation.WIDE``, on the canvas of ``template``, and are changed in place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from napari_harmonize.simulate.anatomy import smooth_noise, uniform
from napari_harmonize.simulate.relaxation import WIDE
from napari_harmonize.simulate.template import CANVAS

BONE_FROM, SCALP_FROM, SCALP_TO = 2.5, 8.0, 12.5
"""Distance of bone and scalp from the brain in mm, as in ``head``."""


def skull(shares: Tensor, rng: torch.Generator) -> None:
    """Patches of skull with the fluid under them."""
    distance = _distance(shares.sum(0))
    patch = _patch(rng, uniform(0.2, 1.2, rng))
    _lay(shares, "csf", _between(distance, 0.0, BONE_FROM) * patch)
    _lay(shares, "bone", _between(distance, BONE_FROM, uniform(4.5, SCALP_FROM, rng)) * patch)


def scalp(shares: Tensor, rng: torch.Generator) -> None:
    """Patches of scalp, away from the brain by the skull that was taken between."""
    distance = _distance(shares.sum(0))
    patch = _patch(rng, uniform(0.2, 1.2, rng))
    _lay(shares, "scalp", _between(distance, SCALP_FROM, uniform(10.0, SCALP_TO, rng)) * patch)


def corners(shares: Tensor, rng: torch.Generator) -> None:
    """Cut away what lies beyond a plane: between a fiftieth and an eighth of the head."""
    direction = torch.randn(3, generator=rng) * torch.tensor([0.5, 0.8, 1.0])
    axes = [torch.arange(size, dtype=torch.float32) * float(step) for size, step in zip(CANVAS, direction, strict=True)]
    along = axes[0][:, None, None] + axes[1][None, :, None] + axes[2]
    inside = along[::4, ::4, ::4][shares.sum(0)[::4, ::4, ::4] > 0.5]
    limit = torch.quantile(inside, 1 - uniform(0.02, 0.125, rng)) if len(inside) else along.max()
    shares *= along <= limit


def _lay(shares: Tensor, tissue: str, amount: Tensor) -> None:
    """Fill what is still empty."""
    shares[WIDE.index(tissue)] += amount * (1 - shares.sum(0)).clamp(0, 1)


def _patch(rng: torch.Generator, threshold: float) -> Tensor:
    return torch.sigmoid(6 * (smooth_noise(40.0, CANVAS, rng)[0] - threshold))


def _distance(inside: Tensor) -> Tensor:
    """Distance from the head's outline in mm, found on every second voxel."""
    coarse = F.avg_pool3d(inside[None, None], 2)[0, 0] < 0.5
    distance = torch.as_tensor(ndimage.distance_transform_edt(coarse.cpu().numpy(), sampling=2.0), dtype=torch.float32)
    return F.interpolate(distance[None, None], size=CANVAS, mode="trilinear", align_corners=False)[0, 0]


def _between(distance: Tensor, low: float, high: float) -> Tensor:
    """Soft shell between two distances, 0..1."""
    return (distance - low).clamp(0, 1) * (high - distance + 0.5).clamp(0, 1)
