"""Bone and scalp by rule around a brain that the template gives stripped.

Fluid fills the first millimetres around the brain, then comes bone, then scalp, each as thick as smooth noise says.
There is no face, no neck and no air inside the skull: a rule, not anatomy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from napari_harmonize.simulate.anatomy import smooth_noise

MARGIN = 18
"""Voxels added on every side, so that the scalp fits."""


def whole_head(shares: Tensor, rng: torch.Generator) -> Tensor:
    """Put a skull and a scalp around a brain.

    Parameters
    ----------
    shares : (6, i, j, k) float32
        Shares of ``relaxation.BRAIN``.
    rng : torch.Generator
        Chance for the thicknesses.

    Returns
    -------
    (8, i + 36, j + 36, k + 36) float32
        Shares of ``relaxation.HEAD``, ``MARGIN`` voxels wider on every side.
    """
    shares = F.pad(shares, (MARGIN,) * 6)
    inside = shares.sum(0)
    distance = torch.as_tensor(ndimage.distance_transform_edt((inside < 0.5).cpu().numpy()), dtype=torch.float32)
    shape = tuple(distance.shape)
    bone_from = 2.5 + 0.8 * smooth_noise(25.0, shape, rng)[0].clamp(-2, 2)
    scalp_from = bone_from + 5.5 + 1.2 * smooth_noise(25.0, shape, rng)[0].clamp(-2, 2)
    scalp_to = scalp_from + 4.5 + 1.0 * smooth_noise(30.0, shape, rng)[0].clamp(-2, 2)
    bone = _between(distance, bone_from, scalp_from) * (1 - inside)
    scalp = _between(distance, scalp_from, scalp_to) * (1 - inside)
    fluid = _between(distance, torch.full_like(distance, -1.0), bone_from) * (1 - inside)
    brain = torch.cat([shares[:1] + fluid, shares[1:]])
    return torch.cat([brain, bone[None], scalp[None]])


def _between(distance: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Soft shell between two distances, 0..1."""
    return (distance - low + 0.5).clamp(0, 1) * (high - distance + 0.5).clamp(0, 1)
