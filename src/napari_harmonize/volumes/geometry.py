"""Where voxels lie: orientation, spacing, canonical order, shared grids and resampling through world space.

World space is RAS+ millimetres everywhere. Orientation arithmetic is nibabel's; resampling goes through the affines
with scipy, because SimpleITK's images cannot hold a sheared grid.

``axis_codes, orientation, spacing, obliquity, is_sheared`` describe an affine; ``world, index`` convert points; ``canonical`` and
:class:`Reorientation` reorder without resampling; ``same_grid, overlap`` compare; ``resample_onto, unsheared`` resample.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import GeometryError
from napari_harmonize.volumes.intake import array_digest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_harmonize.volumes.volume import Volume

SHEAR_COSINE = 1e-3  # 0.06 degrees: 0.2 mm over a head, far above the rounding of float32 headers
ORDERS = (0, 1, 3)


def axis_codes(affine: NDArray[np.float64]) -> str:
    """Body direction in which each voxel axis points, such as "RAS"."""
    from nibabel.orientations import aff2axcodes

    return "".join(aff2axcodes(affine))


def orientation(affine: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Find the body axis each voxel axis is nearest to, and which way it runs along it.

    Parameters
    ----------
    affine : (4, 4) float64
        Voxel index to RAS+ mm, not singular.

    Returns
    -------
    three (int, int)
        For each voxel axis the body axis (0 right, 1 anterior, 2 superior), each used once, and +1 or -1. The same as nibabel's
        ``io_orientation``, without loading nibabel, which a window that opens cannot wait for.
    """
    left, _, right = np.linalg.svd(_directions(affine))
    turned, found = left @ right, [(0, 1)] * 3
    for axis in np.argsort(-np.max(turned**2, axis=0), kind="stable"):  # the clearest axis first
        body = int(np.argmax(np.abs(turned[:, axis])))
        found[axis] = body, -1 if turned[body, axis] < 0 else 1
        turned[body] = 0
    return tuple(found)


def spacing(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Distance of neighbouring voxels along each axis, in mm."""
    i, j, k = np.sqrt((np.asarray(affine, np.float64)[:3, :3] ** 2).sum(0)).tolist()
    return i, j, k


def _directions(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute unit vectors of the voxel axes, as columns."""
    return np.asarray(np.asarray(affine, np.float64)[:3, :3] / np.array(spacing(affine)))


def obliquity(affine: NDArray[np.float64]) -> float:
    """Largest angle between a voxel axis and the body axis nearest to it, in degrees."""
    nearest = np.abs(_directions(affine)).max(0)
    return float(np.degrees(np.arccos(np.clip(nearest, 0.0, 1.0))).max())


def shear(affine: NDArray[np.float64]) -> float:
    """Largest departure from a right angle between two voxel axes, in degrees."""
    axes = _directions(affine)
    cosines = np.abs(axes.T @ axes - np.eye(3)).max()
    return float(np.degrees(np.arcsin(min(1.0, cosines))))


def is_sheared(affine: NDArray[np.float64]) -> bool:
    """Whether two voxel axes fail to stand at a right angle (by more than 0.06 degrees)."""
    return bool(shear(affine) > np.degrees(SHEAR_COSINE))


def world(affine: NDArray[np.float64], ijk: ArrayLike) -> NDArray[np.float64]:
    """Points in RAS+ mm of voxel indices.

    Parameters
    ----------
    affine : (4, 4) array
        Voxel index to RAS+ mm.
    ijk : (..., 3) array
        Voxel indices; whole numbers are voxel centres.

    Returns
    -------
    (..., 3) float64
    """
    matrix = np.asarray(affine, np.float64)
    return np.asarray(np.asarray(ijk, np.float64) @ matrix[:3, :3].T + matrix[:3, 3])


def index(affine: NDArray[np.float64], xyz: ArrayLike) -> NDArray[np.float64]:
    """Voxel indices, not rounded, of points in RAS+ mm; the inverse of :func:`world`."""
    return world(np.asarray(np.linalg.inv(affine), np.float64), xyz)


def corners(shape: tuple[int, ...], margin: float = 0.0) -> NDArray[np.float64]:
    """List the indices (8, 3) of a grid's corner voxels, moved outwards by ``margin`` voxels."""
    return np.array(list(itertools.product(*((-margin, length - 1 + margin) for length in shape))), np.float64)


@dataclass(frozen=True)
class Reorientation:
    """How a volume was brought into canonical order.

    Parameters
    ----------
    native : str
        Axis codes the volume came with.
    canonical : str
        Axis codes it has now; "RAS" unless its affine is degenerate.
    steps : tuple of (int, int)
        For each native axis, the canonical axis it became and +1, or -1 where it was flipped.
    """

    native: str
    canonical: str
    steps: tuple[tuple[int, int], ...]

    def do(self, array: NDArray[Any]) -> NDArray[Any]:
        """Bring an array from native (i, j, k) order into canonical order; a view, further axes stay behind."""
        from nibabel.orientations import apply_orientation

        return np.asarray(apply_orientation(array, np.array(self.steps)))

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """Bring an array from canonical (i, j, k) order back into native order; a view, further axes stay behind."""
        flipped = np.flip(array, tuple(axis for axis, sign in self.steps if sign < 0))
        order = [axis for axis, _ in self.steps]
        return np.asarray(flipped.transpose([*order, *range(3, array.ndim)]))


def canonical(volume: Volume) -> tuple[Volume, Reorientation]:
    """Bring a volume into the axis order closest to RAS+, by flips and transposes only.

    Parameters
    ----------
    volume : Volume
        In any order.

    Returns
    -------
    Volume
        The same voxels at the same points; a qform kept beside the affine is turned with it.
    Reorientation
        To undo it.
    """
    from nibabel.orientations import inv_ornt_aff, io_orientation

    found = io_orientation(volume.affine)
    turn = inv_ornt_aff(found, volume.shape)
    affine = volume.affine @ turn + 0.0
    steps = tuple((int(axis), int(sign)) for axis, sign in found)
    reorientation = Reorientation(axis_codes(volume.affine), axis_codes(affine), steps)
    qform = volume.header.qform
    header = volume.header if qform is None else dataclasses.replace(volume.header, qform=qform @ turn)
    return volume.replace(data=reorientation.do(volume.data), affine=affine, header=header), reorientation


def same_grid(a: Volume, b: Volume, tolerance_mm: float = 1e-3) -> bool:
    """Whether two volumes have the same shape and their corner voxels the same places, to a tolerance."""
    if a.shape != b.shape:
        return False
    apart = np.linalg.norm(world(a.affine, corners(a.shape)) - world(b.affine, corners(b.shape)), axis=1)
    return bool(apart.max() <= tolerance_mm)


def overlap(a: Volume, b: Volume) -> float:
    """Share of ``a``'s bounding box that lies inside ``b``'s, from 0 to 1; boxes are along the body axes, in mm."""
    boxes = [world(volume.affine, corners(volume.shape, 0.5)) for volume in (a, b)]
    low = np.maximum(boxes[0].min(0), boxes[1].min(0))
    high = np.minimum(boxes[0].max(0), boxes[1].max(0))
    return float(np.clip(high - low, 0.0, None).prod() / (boxes[0].max(0) - boxes[0].min(0)).prod())


def resample_onto(volume: Volume, reference: Volume, *, order: int = 1, outside: float = 0.0) -> Volume:
    """Sample a volume at the voxels of another, through world space.

    Nothing is smoothed first, so a much coarser reference picks single voxels.

    Parameters
    ----------
    volume : Volume
        What is sampled.
    reference : Volume
        Whose grid, affine and codes the result has.
    order : int
        0 nearest (keeps the type; for masks), 1 trilinear, 3 cubic (may overshoot).
    outside : float
        Value beyond half a voxel outside ``volume``.

    Returns
    -------
    Volume
        float32 (float64 stays float64), with a note where anything had to be interpolated.

    Raises
    ------
    GeometryError
        Another order is asked for.
    """
    if order not in ORDERS:
        raise GeometryError("The interpolation order is 0, 1 or 3", f"{order!r} arrived", "Choose nearest, trilinear or cubic")
    source, target = volume.header, reference.header
    header = dataclasses.replace(
        source, qform_code=target.qform_code, sform_code=target.sform_code, qform=target.qform, space_unit=target.space_unit
    )
    if same_grid(volume, reference):
        return volume.replace(affine=reference.affine, header=header)
    data = _sampled(volume, reference, order, outside)
    words = (" x ".join(map(str, shape)) for shape in (volume.shape, reference.shape))
    kind = {0: "nearest neighbour", 1: "trilinear", 3: "cubic"}[order]
    note = f"Resampled ({kind}) from {' onto '.join(words)} voxels of {reference.name}."
    sha256 = array_digest(data, reference.affine)
    return volume.replace(data=data, affine=reference.affine, header=header, notes=(*volume.notes, note), sha256=sha256)


def _sampled(volume: Volume, reference: Volume, order: int, outside: float) -> NDArray[Any]:
    from scipy.ndimage import affine_transform

    matrix = np.linalg.inv(volume.affine) @ reference.affine
    kept = order == 0 or volume.data.dtype == np.float64
    data = volume.data if kept else volume.data.astype(np.float32)
    picked = affine_transform(data, matrix[:3, :3], matrix[:3, 3], reference.shape, order=order, mode="nearest")
    picked[~_inside(matrix, reference.shape, volume.shape)] = outside
    return np.asarray(picked)


def _inside(matrix: NDArray[np.float64], shape: tuple[int, int, int], bounds: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Which voxels of ``shape`` fall, mapped by ``matrix``, no further than half a voxel outside ``bounds``."""
    grids = np.ogrid[tuple(slice(length) for length in shape)]
    inside = np.ones(shape, bool)
    for row, length in zip(matrix[:3], bounds, strict=True):
        place = sum((weight * grid for weight, grid in zip(row, grids, strict=False)), row[3])
        inside &= (place >= -0.5 - 1e-6) & (place <= length - 0.5 + 1e-6)
    return inside


def unsheared(volume: Volume, *, order: int = 1, outside: float | None = None) -> Volume:
    """Copy of a sheared volume on a grid with right angles that covers it whole; any other volume as it is.

    Parameters
    ----------
    volume : Volume
        Such as a CT taken with a tilted gantry.
    order : int
        As in :func:`resample_onto`.
    outside : float, optional
        Value where the tilted stack has no voxels; its smallest value unless given.

    Returns
    -------
    Volume
        The first two axes keep direction and spacing; the third becomes their normal.
    """
    if not is_sheared(volume.affine):
        return volume
    axes = _directions(volume.affine)
    straight = np.linalg.qr(axes)[0]
    along = (straight * axes).sum(0)
    affine = np.eye(4)
    affine[:3, :3] = straight * along * spacing(volume.affine)
    reach = index(affine, world(volume.affine, corners(volume.shape)))
    low = np.floor(reach.min(0) + 1e-6)
    affine[:3, 3] = world(affine, low)
    shape = np.ceil(reach.max(0) - low - 1e-6).astype(int) + 1
    header = dataclasses.replace(volume.header, qform=None)
    grid = volume.replace(data=np.broadcast_to(np.float32(0), shape), affine=affine, header=header, name="right-angled grid")
    lowest = float(volume.data.min()) if outside is None else outside
    return resample_onto(volume, grid, order=order, outside=lowest)
