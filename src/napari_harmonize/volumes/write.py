"""Writing a volume on its own grid, in a type that loses nothing, whole or not at all."""

from __future__ import annotations

import logging
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import WriteError
from napari_harmonize.volumes.geometry import is_sheared, shear
from napari_harmonize.volumes.read import Reader, Writer, ending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_harmonize.volumes.volume import Volume

logger = logging.getLogger(__name__)

DESCRIPTION_LENGTH = 79  # NIfTI has 80 bytes, the last of them zero


def write_with(readers: Mapping[str, Reader], volume: Volume, path: str | Path, description: str) -> Path:
    """Write a volume by suffix, through a temporary file beside it.

    Raises
    ------
    WriteError
        The suffix is unknown, the folder cannot be written to, the path is a folder, the description is too long,
        or the format has no type that holds the values.
    """
    path = Path(path)
    writer, suffix = _choose(readers, path)
    _check_place(path, description)
    data = lossless(volume, writer.types, path.name)
    if is_sheared(volume.affine):
        said = "%s: the grid is sheared by %.1f degrees and written so (NIfTI: sform only); not every program can show it right"
        logger.warning(said, path.name, shear(volume.affine))
    partial = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        writer.load()(volume, data, partial, description)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "the library that writes this format failed"
        raise WriteError(
            "A volume is written whole", f"{path.name}: {reason}", "Choose a folder with room that can be written to"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _choose(readers: Mapping[str, Reader], path: Path) -> tuple[Writer, str]:
    writers = [row.writer for row in readers.values() if row.writer is not None]
    for writer in writers:
        if suffix := ending(path, writer.suffixes):
            return writer, suffix
    known = ", ".join(suffix for writer in writers for suffix in writer.suffixes)
    raise WriteError("The suffix names the format to write", f"{path.name} arrived", f"Choose one of {known}")


def _check_place(path: Path, description: str) -> None:
    if path.is_dir():
        raise WriteError("A volume is written to a file", f"{path.name} is a folder", "Add a file name")
    if not path.parent.is_dir():
        raise WriteError("A volume is written into an existing folder", f"there is no folder {path.parent.name}", "Make it first")
    if not os.access(path.parent, os.W_OK):
        raise WriteError(
            "The folder must be writable", f"{path.parent.name or 'this folder'} is not", "Choose another, or change its permissions"
        )
    if len(description) > DESCRIPTION_LENGTH:
        raise WriteError(f"A description has at most {DESCRIPTION_LENGTH} characters", f"{len(description)} arrived", "Shorten it")


def lossless(volume: Volume, types: tuple[str, ...], name: str) -> NDArray[Any]:
    """Values in the type they get on disk.

    Parameters
    ----------
    volume : Volume
        Whole numbers keep the type they came with on disk where they fit it; others stay as they are.
    types : tuple of str
        What the format can hold, the preferred first.
    name : str
        For the words of an error.

    Returns
    -------
    (i, j, k) array
        Equal to ``volume.data`` in every voxel.

    Raises
    ------
    WriteError
        No type of the format holds every value.
    """
    data = volume.data
    whole = data.dtype.kind in "iub"
    wished = [volume.header.dtype] if whole and np.dtype(volume.header.dtype).kind in "iu" else []
    if not (whole and data.dtype.itemsize == 8):
        wished.append(data.dtype.name)
    ranked = sorted(types, key=lambda name: whole and np.dtype(name).kind == "f")
    for candidate in (*wished, *ranked):
        if candidate in types and _holds(np.dtype(candidate), data):
            return data.astype(candidate, copy=False)
    remedy = "Choose .nii.gz or .nrrd, or convert the values to a smaller type first"
    raise WriteError("Writing loses nothing", f"{name} cannot hold the {data.dtype.name} values of {volume.name}", remedy)


def _holds(dtype: np.dtype[Any], data: NDArray[Any]) -> bool:
    """Whether every value survives the cast; numbers with a fraction are never tried as whole ones."""
    if data.dtype.kind == "f" and dtype.kind != "f":
        return False
    if data.dtype == dtype:
        return True
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return bool(int(data.min()) >= limits.min and int(data.max()) <= limits.max)
    with np.errstate(over="ignore"):
        return bool((data.astype(dtype).astype(data.dtype) == data).all())
