"""Tissue maps of the ICBM-152 2009a template (nilearn carries it; needed only to simulate, not to translate).

The brain is stripped in the template: cerebrospinal fluid is what mask, grey and white matter leave over.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_harmonize.errors import HarmonizeError

CANVAS = (160, 192, 160)
"""Voxels of 1 mm in which every subject is made, RAS+."""


@lru_cache(maxsize=1)
def tissue_maps() -> Tensor:
    """Shares of cerebrospinal fluid, grey, white and deep grey matter.

    Returns
    -------
    (4, 160, 192, 160) float32
        Shares 0..1 on the canvas, RAS+, 1 mm; they sum to one inside the brain and to zero outside.

    Raises
    ------
    HarmonizeError
        The template is not installed.
    """
    t1, grey, white = (_load(name) for name in ("t1", "gm", "wm"))
    csf = ((t1 > 0.02).float() - grey - white).clamp(0, 1)
    return divided(csf, grey, white).cpu()


def divided(csf: Tensor, grey: Tensor, white: Tensor) -> Tensor:
    """Split deep grey matter off: where about thalamus and basal ganglia grey and white matter share a voxel.

    Parameters
    ----------
    csf, grey, white : (160, 192, 160) float32
        Shares 0..1 on the canvas, of a brain that lies as the template's does.

    Returns
    -------
    (4, 160, 192, 160) float32
        Shares of cerebrospinal fluid, grey, white and deep grey matter, as :func:`tissue_maps` gives them.
    """
    deep = grey.minimum(white * 4) * _deep_region()
    white_left = white - deep.minimum(white)
    maps = torch.stack([csf, grey - deep.minimum(grey), white_left, 2 * deep])
    maps = maps / maps.sum(0).clamp_min(1e-3)
    return maps * (csf + grey + white_left > 0.4)


def affine() -> np.ndarray:
    """Voxel index on the canvas to RAS+ mm; the origin lies at the canvas's centre."""
    matrix = np.eye(4)
    matrix[:3, 3] = [-(size - 1) / 2 for size in CANVAS]
    return matrix


def _load(name: str) -> Tensor:
    """One map of the template, 0..1, cut or padded around the brain's centre."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise HarmonizeError(
            "Simulating needs the template inside the nilearn package", "nilearn is not installed", "pip install 'napari-harmonize[train]'"
        )
    folder = Path(spec.origin).parent / "datasets" / "data"
    image = nibabel.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    data = torch.as_tensor(np.asarray(image.dataobj, np.float32) / 255)
    return F.pad(data[18:178, 22:214, 0:158], (2, 0))


def _deep_region() -> Tensor:
    """Soft box around thalamus and basal ganglia, where the template's maps give half grey, half white."""
    edges = ((-38.0, 38.0), (-40.0, 26.0), (-16.0, 24.0))
    offset = (98 - 18, 134 - 22, 72 + 2)  # voxel of the template's origin on the canvas
    soft = []
    for size, (low, high), origin in zip(CANVAS, edges, offset, strict=True):
        mm = torch.arange(size, dtype=torch.float32) - origin
        soft.append(torch.sigmoid((mm - low) / 2) * torch.sigmoid((high - mm) / 2))
    return torch.einsum("i,j,k->ijk", *soft)
