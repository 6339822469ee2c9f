"""What can be done about a finding of pre-flight: functions from volumes to volumes, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import GeometryError, VolumeError
from napari_harmonize.prepare import foreground
from napari_harmonize.volumes import Volume, from_array, overlap, resample_onto, unsheared, world

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.translation.case import Case

# air, and the top of a 12-bit scanner's range
HOUNSFIELD = (-1024.0, 3071.0)


def register(moving: Volume, fixed: Volume, *, spacing: float = 3.0) -> Volume:
    """Bring a volume into another one's space, rigidly, by mutual information (Mattes et al. 2003).

    Its voxels stay as they are; only its affine changes.

    Parameters
    ----------
    moving : Volume
        What is moved.
    fixed : Volume
        What stays.
    spacing : float
        Of the grid both are compared on, in mm.

    Returns
    -------
    Volume
        ``moving`` with another affine and a note that says how far it was moved.

    Raises
    ------
    GeometryError
        The two have nothing in common to be registered by.
    """
    import SimpleITK as sitk

    grid = coarse_grid(fixed, spacing, margin=30.0)
    centring = _centring(moving, fixed)
    images = [_image(volume, grid, spacing) for volume in (fixed, _shifted(moving, centring))]
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # several threads add up in another order each time
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    transform = sitk.Euler3DTransform()
    transform.SetCenter(world(fixed.affine, (np.array(fixed.shape) - 1) / 2).tolist())
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(*images)
    except RuntimeError as error:
        raise GeometryError("Two volumes are registered by what they share", f"{moving.name} and {fixed.name} share too little") from error
    return _moved(moving, centring, np.linalg.inv(_matrix(transform)))


def resample(moving: Volume, fixed: Volume) -> Volume:
    """Bring a volume onto another one's grid, trilinear, through patient space."""
    return resample_onto(moving, fixed, order=1)


def mask(volume: Volume) -> Volume:
    """Make a mask of what is not background, bool."""
    return foreground(volume).replace(name=f"foreground of {volume.name}")


def window(volume: Volume, low: float = HOUNSFIELD[0], high: float = HOUNSFIELD[1]) -> Volume:
    """Clip values to a range; what lay outside is noted.

    Raises
    ------
    VolumeError
        The range is empty.
    """
    if not low < high:
        raise VolumeError("A range runs from a lower to a higher value", f"{low:g} to {high:g} arrived")
    outside = float(((volume.data < low) | (volume.data > high)).mean())
    note = f"Clipped to {low:g} .. {high:g}; {outside:.2%} of the voxels lay outside."
    clipped = np.clip(volume.data, low, high).astype(volume.data.dtype)
    return _noted(volume, clipped, volume.affine, note)


def shift(volume: Volume) -> Volume:
    """Raise all values so that the lowest becomes 0."""
    low = float(volume.data.min())
    data = (volume.data.astype(np.float32) - np.float32(low)) if low < 0 else volume.data
    return _noted(volume, data, volume.affine, f"Values were raised by {-low:g}, so that the lowest is 0.") if low < 0 else volume


def _shift_all(case: Case) -> dict[str, Volume]:
    volumes = {"source": case.source, "truth": case.truth}
    return {role: shift(volume) for role, volume in volumes.items() if volume is not None and volume.data.min() < 0}


def coarse_grid(volume: Volume, spacing: float, margin: float) -> Volume:
    """Make an empty volume with axes along the body that covers another, for comparing on.

    Parameters
    ----------
    volume : Volume
        What is covered.
    spacing, margin : float
        Voxel side, and what is added on every side, in mm.
    """
    corners = np.array(np.meshgrid(*[(0, side - 1) for side in volume.shape], indexing="ij")).reshape(3, -1).T
    points = world(volume.affine, corners)
    low, high = points.min(0) - margin, points.max(0) + margin
    shape = tuple(int(side) for side in np.ceil((high - low) / spacing) + 1)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    return Volume(np.zeros(shape, np.float32), affine, name="grid")


def _centring(moving: Volume, fixed: Volume) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Shift that brings middle to middle where the two hardly overlap, else zeros: headers are mostly nearly right."""
    if min(overlap(moving, fixed), overlap(fixed, moving)) > 0.25:
        return np.zeros(3)
    middles = [world(volume.affine, (np.array(volume.shape) - 1) / 2) for volume in (fixed, moving)]
    return np.asarray(middles[0] - middles[1], np.float64)


def _shifted(volume: Volume, shift: np.ndarray[Any, np.dtype[np.float64]]) -> Volume:
    affine = np.array(volume.affine)
    affine[:3, 3] += shift
    return volume.replace(affine=affine)


def _image(volume: Volume, grid: Volume, spacing: float) -> Any:
    """Volume on the grid as an ITK image whose points are RAS+ mm; both images are, so no axis needs turning."""
    import SimpleITK as sitk

    data = resample_onto(volume.replace(data=volume.data.astype(np.float32)), grid, outside=float(volume.data.min())).data
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    image.SetSpacing([spacing] * 3)
    image.SetOrigin(grid.affine[:3, 3].tolist())
    return image


def _matrix(transform: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """4 x 4 matrix of a rigid transform, from points of the fixed to points of the moving image."""
    turn = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, np.array(transform.GetTranslation()) + centre - turn @ centre
    return matrix


def _moved(moving: Volume, centring: np.ndarray[Any, np.dtype[np.float64]], rigid: np.ndarray[Any, np.dtype[np.float64]]) -> Volume:
    affine = rigid @ _shifted(moving, centring).affine
    middle = (np.array(moving.shape) - 1) / 2
    far = float(np.linalg.norm(world(affine, middle) - world(moving.affine, middle)))
    turned = float(np.degrees(np.arccos(np.clip((np.trace(rigid[:3, :3]) - 1) / 2, -1, 1))))
    return _noted(moving, moving.data, affine, f"Registered rigidly: moved by {far:.1f} mm and turned by {turned:.1f} degrees.")


def _noted(volume: Volume, data: np.ndarray[Any, np.dtype[Any]], affine: np.ndarray[Any, np.dtype[np.float64]], note: str) -> Volume:
    made = from_array(data, affine)
    return volume.replace(data=made.data, affine=affine, notes=(*volume.notes, note), sha256=made.sha256)


@dataclass(frozen=True)
class Remedy:
    """One thing that can be done about a finding.

    Parameters
    ----------
    help : str
        One sentence for the button's tooltip.
    apply : callable
        From a case to the volumes it replaces, by role.
    """

    help: str
    apply: Callable[[Case], dict[str, Volume]]


def _truth(case: Case) -> Volume:
    if case.truth is None:
        raise VolumeError("This remedy moves the ground truth", "there is none", "Load one first")
    return case.truth


REMEDIES: dict[str, Remedy] = {
    "register": Remedy("Move the truth onto the source, rigidly.", lambda case: {"truth": register(_truth(case), case.source)}),
    "resample": Remedy("Bring the truth onto the source's grid.", lambda case: {"truth": resample(_truth(case), case.source)}),
    "mask": Remedy("Use what is not background as the mask.", lambda case: {"mask": mask(case.source)}),
    "window": Remedy("Clip the source to the range of Hounsfield units.", lambda case: {"source": window(case.source)}),
    "shift": Remedy("Raise the values of source and truth so that none is below 0.", _shift_all),
    "straighten": Remedy("Resample the source onto a grid with right angles.", lambda case: {"source": unsheared(case.source)}),
}
