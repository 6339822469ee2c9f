"""FreeSurfer's MGH and its compressed form MGZ."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.volumes.files import digest, file_bytes, refusal, store, unpacked
from napari_harmonize.volumes.intake import accept, real_numbers, three_axes
from napari_harmonize.volumes.volume import Header, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DATA_OFFSET = 284
VERSION = 1
GEOMETRY_FLAG = slice(28, 30)
CORONAL = np.array([[-1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
UNSTATED = "The file does not state its orientation: FreeSurfer's coronal default (LIA, 1 mm) is assumed, left and right are not certain."


def read(path: Path) -> Volume:
    """Read one MGH or MGZ volume.

    Parameters
    ----------
    path : Path
        ``.mgh`` or ``.mgz``.

    Raises
    ------
    ReadError
        Not MGH, truncated, four-dimensional, or without a usable affine.
    """
    raw = file_bytes(path)
    contents = unpacked(path, raw)
    if len(contents) < DATA_OFFSET or int.from_bytes(contents[:4], "big") != VERSION:
        raise refusal(path, "An MGH file begins with an MGH header", "its first bytes are something else", "Choose an .mgh or .mgz file")
    image = _image(path, contents)
    affine, notes = image.affine, tuple[str, ...]()
    if int.from_bytes(contents[GEOMETRY_FLAG], "big") != 1:
        affine, notes = _unstated(image.shape), (UNSTATED,)
    header = Header(format="mgh", dtype=image.get_data_dtype().newbyteorder("=").name)
    return accept(path, np.asanyarray(image.dataobj), affine, header=header, sha256=digest(raw), notes=notes)


def _unstated(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Affine FreeSurfer takes where none is stated; nibabel 5.3 has its transpose, LSP."""
    affine = np.eye(4)
    affine[:3, :3] = CORONAL
    affine[:3, 3] = -CORONAL @ (np.array(shape[:3]) / 2)
    return affine


def _image(path: Path, contents: bytes) -> Any:
    import nibabel as nib
    from nibabel.fileholders import FileHolder
    from nibabel.freesurfer.mghformat import MGHError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nib.MGHImage.from_file_map({"image": FileHolder(fileobj=io.BytesIO(contents))})
        dtype = image.get_data_dtype()
    except (HeaderDataError, MGHError, ValueError, KeyError) as error:
        raise refusal(path, "An MGH header must make sense", f"its header is damaged ({error})", "Export the image again") from error
    shape = tuple(int(length) for length in image.shape)
    three_axes(path, shape)
    real_numbers(path, dtype)
    needed, there = int(np.prod(shape, dtype=object)) * dtype.itemsize, len(contents) - DATA_OFFSET
    if there < needed:
        arrived = f"the header announces {needed} bytes of voxels and {there} bytes follow it"
        raise refusal(path, "A file holds all the voxels its header announces", arrived, "Copy it again from its source")
    return image


def save(volume: Volume, data: NDArray[Any], path: Path, description: str) -> None:
    """Write an MGH or MGZ file; the format has no room for a description.

    Parameters
    ----------
    volume : Volume
        Whose affine is written.
    data : (i, j, k) array
        uint8, int16, int32 or float32.
    path : Path
        Ends in ``.mgh`` or ``.mgz``.
    description : str
        Not written.
    """
    import nibabel as nib

    del description
    header = nib.MGHImage.header_class()
    header.set_data_dtype(data.dtype)
    store(path, nib.MGHImage(data, volume.affine, header).to_bytes())
