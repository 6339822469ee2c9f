"""How the slices of a model lie on the screen: which voxel sides run across and down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.volumes import axis_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.volumes import Volume

# canonical axes (0 right, 1 anterior, 2 superior) that run across a slice and down it
_AXES = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}


def canonical_spacing(volume: Volume) -> tuple[float, float, float]:
    """Voxel sides of a volume along right, anterior and superior, in mm."""
    order = ["RL", "AP", "SI"]
    sides = np.ones(3)
    for code, side in zip(axis_codes(volume.affine), volume.spacing, strict=True):
        sides[next(place for place, letters in enumerate(order) if code in letters)] = side
    x, y, z = sides.tolist()
    return x, y, z


def pixel_aspect(plane: str, spacing: Sequence[float]) -> float:
    """Height of a pixel of a plane as share of its width.

    Parameters
    ----------
    plane : str
        "axial", "coronal" or "sagittal".
    spacing : three float
        Voxel sides along right, anterior and superior, in mm.
    """
    across, down = _AXES[plane]
    return float(spacing[down] / spacing[across])
