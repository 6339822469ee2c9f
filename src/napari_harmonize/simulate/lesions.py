"""What may be wrong with a brain. Each lesion replaces tissue by tissue of its own, so it looks right in every contrast.

``LESIONS`` lists them under the names that ``SubjectSettings`` gives their shares. Shares here are (12, i, j, k) in the order of
``relaxation.WIDE``, on the canvas of ``template``, and are changed in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from napari_harmonize.simulate.anatomy import Anatomy, averaged, blob, largest_piece, smooth_noise, somewhere, uniform
from napari_harmonize.simulate.relaxation import WIDE
from napari_harmonize.simulate.template import CANVAS

CSF, GREY, WHITE, DEEP = range(4)
CENTRE, REACH = (80, 88, 88), (32, 50, 26)
"""Voxel of the canvas between the lateral ventricles, and how far in voxels they reach from there."""

Painter = Callable[[Tensor, torch.Generator], None]


def paint(shares: Tensor, tissue: str, amount: Tensor, where: tuple[slice, ...] = (slice(None),) * 3) -> None:
    """Replace this share of whatever is there by a tissue.

    Parameters
    ----------
    shares : (12, i, j, k) float32
        Changed in place.
    tissue : str
        Name in ``relaxation.WIDE``.
    amount : float32
        Share 0..1, as large as the part of the volume that ``where`` names.
    where : tuple of slice
        Part of the volume.
    """
    part = shares[(slice(None), *where)]
    there = part.sum(0)
    part *= 1 - amount
    part[WIDE.index(tissue)] += amount * there


def hyperintensities(shares: Tensor, rng: torch.Generator) -> None:
    """Caps and bands along the ventricles, and spots in the white matter: gliosis mixed with what was there."""
    _periventricular(shares, uniform(0.5, 7, rng), rng)
    for _ in range(int(uniform(0, 22, rng))):
        where, shape = blob(somewhere(shares[WHITE], rng), uniform(1.2, 4.5, rng), rng)
        paint(shares, "gliosis", shape * shares[WHITE][where] * uniform(0.5, 1, rng), where)


def _periventricular(shares: Tensor, reach: float, rng: torch.Generator) -> None:
    """White matter within about this many mm of the ventricles, unevenly."""
    away = torch.as_tensor(ndimage.distance_transform_edt(~_ventricles(shares[CSF]).cpu().numpy(), sampling=2.0), dtype=torch.float32)
    near = F.interpolate(torch.sigmoid((reach - away) / 0.8)[None, None], size=CANVAS, mode="trilinear", align_corners=False)[0, 0]
    uneven = torch.sigmoid(4 * (smooth_noise(12.0, CANVAS, rng)[0] - uniform(-1, 0.7, rng)))
    paint(shares, "gliosis", near * uneven * shares[WHITE] * uniform(0.5, 1, rng))


def _ventricles(csf: Tensor) -> Tensor:
    """Largest body of fluid, thin sulci left out, in the ellipsoid where the ventricles lie; in voxels of 2 mm."""
    coarse = F.avg_pool3d(csf[None, None], 2)
    thick = F.max_pool3d(-F.max_pool3d(-coarse, 2, stride=1), 2, stride=1, padding=1)[0, 0]
    axes = [(torch.arange(size) * 2.0 + 0.5 - middle) / reach for size, middle, reach in zip(coarse.shape[2:], CENTRE, REACH, strict=True)]
    central = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0) < 1
    return largest_piece((thick > 0.5) & central)


def cavities(shares: Tensor, rng: torch.Generator) -> None:
    """Lacunes, and in half of these subjects the cavity of a large old stroke: fluid with a rim of gliosis."""
    for _ in range(int(uniform(1, 5, rng))):
        _cavity(shares, somewhere(shares[WHITE] + shares[DEEP], rng), uniform(1.8, 5, rng), rng)
    if uniform(0, 1, rng) < 0.5:
        _cavity(shares, somewhere(shares[GREY] + shares[WHITE], rng), uniform(8, 26, rng), rng)


def _cavity(shares: Tensor, centre: Tensor, radius: float, rng: torch.Generator) -> None:
    where, shape = blob(centre, radius, rng)
    shape = shape * _one_side(centre, where)
    paint(shares, "gliosis", shape * (1 - shares[CSF][where]), where)
    inner, core = blob(centre, radius * uniform(0.55, 0.85, rng), rng)
    paint(shares, "csf", core * _one_side(centre, inner), inner)


def infarcts(shares: Tensor, rng: torch.Generator) -> None:
    """One or two fresh infarcts that spare fluid and do not cross the midline."""
    for _ in range(int(uniform(1, 2.99, rng))):
        centre = somewhere(shares[GREY] + shares[WHITE], rng)
        where, shape = blob(centre, uniform(4, 26, rng), rng)
        amount = shape * _one_side(centre, where) * (1 - shares[CSF][where]) * uniform(0.7, 1, rng)
        paint(shares, "infarct", amount, where)


@dataclass(frozen=True)
class Mass:
    """A tumour's place.

    Parameters
    ----------
    centre : (3,) int64
        Voxel of the canvas.
    radius : float
        In voxels, which are millimetres.
    """

    centre: Tensor
    radius: float


def mass(rng: torch.Generator, brain: Anatomy | None = None) -> Mass:
    """Draw where in a brain, the template's where absent, a tumour grows: before the subject is made, so that it can push it aside."""
    centre = somewhere((brain or averaged()).maps[WHITE], rng)
    return Mass(centre, uniform(5, 20, rng))


def tumours(shares: Tensor, rng: torch.Generator, brain: Anatomy | None = None) -> None:
    """A solid tumour, in most subjects with a necrotic core, and oedema that spreads in the white matter around it."""
    found = mass(rng, brain)
    where, shape = blob(found.centre, found.radius * uniform(1.4, 2.2, rng), rng)
    spread = 0.85 * shares[WHITE][where] + 0.2 * shares[GREY][where]
    paint(shares, "oedema", shape * spread, where)
    where, shape = blob(found.centre, found.radius, rng)
    paint(shares, "tumour", shape * uniform(0.8, 1, rng), where)
    if uniform(0, 1, rng) < 0.6:
        where, shape = blob(found.centre, found.radius * uniform(0.3, 0.7, rng), rng)
        paint(shares, "necrosis", shape, where)


def _one_side(centre: Tensor, where: tuple[slice, ...]) -> Tensor:
    """Weight 0..1 of the half of the head that a centre lies in, (i, 1, 1)."""
    beside = torch.arange(where[0].start, where[0].stop) - (CANVAS[0] - 1) / 2
    side = 1.0 if float(centre[0]) > (CANVAS[0] - 1) / 2 else -1.0
    return torch.sigmoid(side * beside - 1)[:, None, None]


@dataclass(frozen=True)
class LesionRow:
    """One row of the table: what it is, and what paints it."""

    help: str
    paint: Painter


LESIONS = {
    "hyperintensities": LesionRow("White-matter hyperintensities around the ventricles and in spots", hyperintensities),
    "cavities": LesionRow("Lacunes and cavities of old strokes", cavities),
    "infarcts": LesionRow("Fresh infarcts", infarcts),
    "tumours": LesionRow("A tumour with necrosis and oedema that pushes its surroundings aside", tumours),
}
