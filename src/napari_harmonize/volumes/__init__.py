"""The volume value, and the files it comes from and goes to.

Importing this loads neither torch nor Qt, nor the libraries that read files: those come with the first read.

``Volume, Header, Meaning`` (values); ``read, list_series, write, from_array``; ``hint, base_name, public_name,
discreet`` (what a name says, and to whom);
``axis_codes, spacing, obliquity, shear, is_sheared, canonical, Reorientation, same_grid, resample_onto, unsheared,
overlap, world, index`` (geometry); ``READERS`` (one row per file format).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_harmonize.volumes import dicom, itk, mgh, nifti
from napari_harmonize.volumes.dicom import Series, list_series
from napari_harmonize.volumes.geometry import (
    Reorientation,
    axis_codes,
    canonical,
    index,
    is_sheared,
    obliquity,
    overlap,
    resample_onto,
    same_grid,
    shear,
    spacing,
    unsheared,
    world,
)
from napari_harmonize.volumes.intake import from_array
from napari_harmonize.volumes.names import base_name, discreet, hint, public_name
from napari_harmonize.volumes.read import Reader, Writer, read_with
from napari_harmonize.volumes.volume import Header, Meaning, Volume
from napari_harmonize.volumes.write import write_with

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "READERS",
    "Header",
    "Meaning",
    "Reader",
    "Reorientation",
    "Series",
    "Volume",
    "Writer",
    "axis_codes",
    "base_name",
    "canonical",
    "discreet",
    "from_array",
    "hint",
    "index",
    "is_sheared",
    "list_series",
    "obliquity",
    "overlap",
    "public_name",
    "read",
    "resample_onto",
    "same_grid",
    "shear",
    "spacing",
    "unsheared",
    "world",
    "write",
]


def read(path: str | Path, *, series: str | None = None) -> Volume:
    """Read a file or a DICOM folder.

    Parameters
    ----------
    path : str or Path
        A file with one of the suffixes in ``READERS``, a DICOM slice, or a folder of them.
    series : str, optional
        Which DICOM series, where there are several: its uid, or its number in :func:`list_series` counted from 1.

    Returns
    -------
    Volume
        With a note for everything that was repaired or is odd.

    Raises
    ------
    ReadError
        In three sentences: what must hold, what arrived (the file by its base name), what to do.
    """
    return read_with(READERS, path, series)


def write(volume: Volume, path: str | Path, *, description: str = "") -> Path:
    """Write a volume on its own grid, with its affine, codes and units, in a type that loses nothing.

    The same volume gives the same bytes. A sheared NIfTI keeps only its sform and a warning is logged.

    Parameters
    ----------
    volume : Volume
        What is written.
    path : str or Path
        Its suffix chooses the format; the file appears whole or not at all.
    description : str
        At most 79 characters, for the header where the format has room for it.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    WriteError
        The suffix is unknown, the place cannot be written to, or the format cannot hold the values.
    """
    return write_with(READERS, volume, path, description)


ANY = ("uint8", "int16", "int32", "float32", "float64", "int8", "uint16", "uint32", "int64", "uint64")

READERS: dict[str, Reader] = {
    "nifti": Reader(
        (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz"),
        "NIfTI-1 and NIfTI-2, single files and pairs",
        lambda: nifti.read,
        Writer((".nii", ".nii.gz"), ANY, lambda: nifti.save),
    ),
    "mgh": Reader(
        (".mgh", ".mgz"),
        "FreeSurfer MGH and MGZ",
        lambda: mgh.read,
        Writer((".mgh", ".mgz"), ("uint8", "int16", "int32", "float32"), lambda: mgh.save),
    ),
    "nrrd": Reader(
        (".nrrd", ".nhdr"),
        "NRRD, attached or detached header",
        lambda: itk.read_nrrd,
        Writer((".nrrd",), ANY, lambda: itk.save),
    ),
    "metaimage": Reader(
        (".mha", ".mhd"),
        "MetaImage, attached or detached header",
        lambda: itk.read_metaimage,
        Writer((".mha",), ANY, lambda: itk.save),
    ),
    "dicom": Reader((".dcm", ".ima"), "A folder of DICOM slices, or one multi-frame file", lambda: dicom.read, folders=True),
}
