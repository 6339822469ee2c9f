"""The volume: an array, where it lies in the patient, and what its numbers mean."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import VolumeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Meaning(StrEnum):
    """What the numbers of a volume mean."""

    HU = "HU"
    UNIT = "0..1"
    ARBITRARY = "arbitrary MR"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Header:
    """What is needed to write a volume back the way it came.

    Parameters
    ----------
    format : str
        Key of ``READERS`` the volume was read with, or "layer" or "made here".
    dtype : str
        NumPy name of the type on disk.
    slope, intercept : float
        Scaling from stored to real values.
    qform_code, sform_code : int
        NIfTI codes; 0 where the format has none.
    qform : (4, 4) float64, optional
        The qform where it differs from the affine in use.
    space_unit, time_unit : str
        NIfTI names ("mm", "sec", "unknown").
    extra : mapping
        Facts only the format knows: ``version`` (NIfTI), ``tilt_degrees``, ``padding`` (DICOM), and the identifiers
        ``study_uid``, ``series_uid``, ``frame_of_reference_uid``, which an export as DICOM needs and which never go
        into a sidecar, a log or a report.
    """

    format: str = "made here"
    dtype: str = "float32"
    slope: float = 1.0
    intercept: float = 0.0
    qform_code: int = 0
    sform_code: int = 1
    qform: NDArray[np.float64] | None = None
    space_unit: str = "mm"
    time_unit: str = "unknown"
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Volume:
    """One three-dimensional image in patient space.

    Parameters
    ----------
    data : (i, j, k) array
        Real values (scaling already applied), any real dtype, finite; not to be written to.
    affine : (4, 4) float64
        Voxel index to RAS+ millimetres.
    meaning : Meaning
        What the numbers mean.
    modality : str
        "CT", "T1", "T2", "FLAIR", "PD", ... where it is known, else "".
    name : str
        A base name the user has seen; never a path.
    header : Header
        What is needed to write it back.
    notes : tuple of str
        One sentence for every repair and warning made while reading.
    sha256 : str
        Hash of the file's bytes, or of array and affine where there is no file.

    Raises
    ------
    VolumeError
        The array is not three-dimensional, is empty, or the affine is singular.
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]
    meaning: Meaning = Meaning.UNKNOWN
    modality: str = ""
    name: str = "volume"
    header: Header = field(default_factory=Header)
    notes: tuple[str, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or 0 in self.data.shape:
            raise VolumeError("A volume has three axes, none of them empty", f"{self.name} has shape {self.data.shape}")
        affine = np.array(self.affine, np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise VolumeError("A volume's affine is an invertible 4 x 4 matrix", f"{self.name} has {affine.tolist()}")
        affine.flags.writeable = False
        view = self.data.view()
        view.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "data", view)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        i, j, k = self.data.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxels along each axis, in mm."""
        i, j, k = np.sqrt((self.affine[:3, :3] ** 2).sum(0)).tolist()
        return i, j, k

    def replace(self, **changes: Any) -> Volume:
        """Copy with some fields changed."""
        return dataclasses.replace(self, **changes)
