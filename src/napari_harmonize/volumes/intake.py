"""What every reader does once it has an array and an affine: accept, repair with a note, or refuse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import VolumeError
from napari_harmonize.volumes.files import digest, refusal
from napari_harmonize.volumes.names import base_name
from napari_harmonize.volumes.volume import Header, Meaning, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def three_axes(path: Path | str, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Check that a shape is that of one volume.

    Parameters
    ----------
    path : Path or str
        File the shape came from.
    shape : tuple of int
        As the file states it.

    Returns
    -------
    shape : (3,) tuple of int
        Without trailing axes of length one.
    notes : tuple of str
        What was dropped.

    Raises
    ------
    ReadError
        More or fewer than three axes, an empty axis, or a single slice.
    """
    words = " x ".join(map(str, shape)) or "no axes"
    if any(length < 1 for length in shape):
        raise refusal(path, "A volume has voxels along every axis", f"its shape is {words}", "Export the image again")
    kept = shape[:3] + tuple(length for length in shape[3:] if length > 1)
    if len(kept) > 3:
        remedy = "Save the one volume that is wanted as a file of its own"
        raise refusal(path, "One volume is read at a time", f"its shape is {words} ({len(kept)}D)", remedy)
    if len(kept) < 3 or 1 in kept:
        remedy = "Give the whole stack of slices as one file or one DICOM folder"
        raise refusal(path, "A volume has three axes of at least two voxels", f"its shape is {words}: a 2D image", remedy)
    dropped = len(shape) - 3
    gone = "1 trailing axis of length one was" if dropped == 1 else f"{dropped} trailing axes of length one were"
    note = f"The shape {words} was read as three-dimensional: {gone} dropped."
    return (kept[0], kept[1], kept[2]), ((note,) if dropped else ())


def real_numbers(path: Path | str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type in which values of ``dtype`` are held: native byte order, plain real numbers.

    Raises
    ------
    ReadError
        Colour or complex voxels.
    """
    if dtype.kind not in "iufb":
        kind = "complex" if dtype.kind == "c" else "colour (RGB)" if dtype.fields else str(dtype)
        remedy = "Export its magnitude" if dtype.kind == "c" else "Export the grey values the colours were made from"
        raise refusal(path, "A volume holds one real number per voxel", f"its voxels are {kind}", remedy)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return dtype.newbyteorder("=")


def real_values(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Apply a linear scaling; whole numbers of at most 16 bits and float32 become float32, anything else float64."""
    if (slope, intercept) == (1.0, 0.0):
        return stored
    small = (stored.dtype.kind in "iub" and stored.dtype.itemsize <= 2) or stored.dtype == np.float32
    return (stored * np.float64(slope) + np.float64(intercept)).astype(np.float32 if small else np.float64)


def _finite(path: Path | str, data: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Replace NaN and infinities by the smallest finite value."""
    good = np.isfinite(data) if data.dtype.kind == "f" else np.True_
    if good.all():
        return data, ()
    if not good.any():
        raise refusal(path, "A volume holds finite numbers", "every voxel is NaN or infinite", "Export the image again")
    lowest, count = data[good].min(), int(data.size - np.count_nonzero(good))
    note = f"{count} voxels were NaN or infinite and were set to the smallest finite value, {lowest:g}."
    return np.where(good, data, lowest), (note,)


def placed(path: Path | str, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Check that an affine places every voxel at its own point.

    Parameters
    ----------
    path : Path or str
        File the affine came from.
    affine : (4, 4) array
        Voxel index to RAS+ mm.

    Raises
    ------
    ReadError
        It holds NaN, or squeezes the volume flat.
    """
    affine = np.array(affine, np.float64)
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(0))
    if not np.isfinite(affine).all() or not abs(np.linalg.det(affine[:3, :3])) > 1e-6 * math.prod(lengths):
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        remedy = "Correct the file's geometry (voxel sizes, qform, sform) with the tool that wrote it"
        raise refusal(path, "A volume's affine can be inverted", f"its affine is singular or not finite ({rows})", remedy)
    return affine


def accept(
    path: Path | str,
    data: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    header: Header,
    sha256: str,
    notes: tuple[str, ...] = (),
    meaning: Meaning = Meaning.UNKNOWN,
    modality: str = "",
    name: str = "",
) -> Volume:
    """Turn what a reader found into a volume.

    Parameters
    ----------
    path : Path or str
        For the words of an error and, unless ``name`` is given, the volume's name.
    data : array
        Real values in (i, j, k) order, possibly with trailing axes of length one.
    affine : (4, 4) array
        Voxel index to RAS+ mm.
    header, sha256, meaning, modality, name
        As in :class:`Volume`.
    notes : tuple of str
        What the reader had to say so far.

    Raises
    ------
    ReadError
        Not one finite, real, three-dimensional volume that has a place in space.
    """
    shape, dropped = three_axes(path, data.shape)
    values, repaired = _finite(path, data.astype(real_numbers(path, data.dtype), copy=False).reshape(shape, order="A"))
    flat = ("Every voxel has the same value.",) if values.min() == values.max() else ()
    try:
        return Volume(
            values,
            placed(path, affine),
            meaning=meaning,
            modality=modality,
            name=name or base_name(path),
            header=header,
            notes=(*notes, *dropped, *repaired, *flat),
            sha256=sha256,
        )
    except VolumeError as error:
        raise refusal(path, error.rule, error.arrived, "Correct the file's geometry with the tool that wrote it") from error


def from_array(data: NDArray[Any], affine: NDArray[np.float64], **fields: Any) -> Volume:
    """Make a volume that has no file.

    Parameters
    ----------
    data : (i, j, k) array
        Real values; trailing axes of length one are dropped, NaN and infinities replaced, both with a note.
    affine : (4, 4) array
        Voxel index to RAS+ mm.
    **fields
        Any other field of :class:`Volume`; ``sha256`` is made from array and affine unless given.

    Raises
    ------
    ReadError
        Not one finite, real, three-dimensional volume that has a place in space.
    """
    array, matrix = np.asarray(data), np.array(affine, np.float64)
    given: dict[str, Any] = {"header": Header(), "sha256": array_digest(array, matrix), "name": "volume"} | fields
    return accept(str(given["name"]), array, matrix, **given)


def array_digest(data: NDArray[Any], affine: NDArray[np.float64]) -> str:
    """SHA-256 of type, shape, values (C order) and affine."""
    text = f"{data.dtype.str} {data.shape}".encode()
    # without a copy as bytes, during which no other thread could run
    values = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    return digest(text, values.data, np.ascontiguousarray(affine, np.float64).tobytes())
