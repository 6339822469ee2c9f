"""NRRD and MetaImage, through SimpleITK.

ITK's points are LPS millimetres: here, and nowhere else for these formats, x and y change sign to RAS+.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.volumes.files import digest, file_bytes, refusal
from napari_harmonize.volumes.intake import accept, real_numbers, three_axes
from napari_harmonize.volumes.volume import Header, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
HEADER_BYTES = 65536
NRRD_SPACE = re.compile(rb"^space:\s*(left|right)-", re.M | re.I)
META_SPACE = re.compile(rb"^(TransformMatrix|Orientation|Rotation)\s*=", re.M)
PACKED = re.compile(rb"^(?:CompressedData\s*=\s*True|encoding:\s*gz(?:ip)?)\s*$", re.M | re.I)
SKIPPED = re.compile(rb"^(?:byte|line) ?skip\s*:", re.M | re.I)
HEADER_END = re.compile(rb"\r?\n\r?\n|^ElementDataFile\s*=\s*LOCAL\s*?\n", re.M)
COMPLETE = "A file holds all the voxels its header announces"
EITHER_KIND = 47  # zlib or gzip, by what the bytes say
DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file\s*:)\s*(.+?)\s*$", re.M | re.I)


def read_nrrd(path: Path) -> Volume:
    """Read one NRRD volume (``.nrrd``, or ``.nhdr`` with its data file beside it).

    Raises
    ------
    ReadError
        As :func:`napari_harmonize.volumes.read` says.
    """
    return _read(path, "nrrd", "NrrdImageIO", b"NRRD", NRRD_SPACE)


def read_metaimage(path: Path) -> Volume:
    """Read one MetaImage volume (``.mha``, or ``.mhd`` with its data file beside it).

    Raises
    ------
    ReadError
        As :func:`napari_harmonize.volumes.read` says.
    """
    return _read(path, "metaimage", "MetaImageIO", b"", META_SPACE)


def _read(path: Path, name: str, reader_name: str, magic: bytes, states_space: re.Pattern[bytes]) -> Volume:
    raw = file_bytes(path)
    head = raw[:HEADER_BYTES]
    if not head.startswith(magic) or (not magic and b"ElementType" not in head):
        remedy = "Choose a file of this format, or rename it to the suffix of its own"
        raise refusal(path, f"A file with this suffix begins with a {name} header", "its first bytes are something else", remedy)
    detached = _detached(path, head)
    _check_stream(path, head, detached or raw)
    image = _image(path, reader_name)
    stored = _array(path, image)
    notes = () if states_space.search(head) else ("The file does not state its orientation: LPS is assumed.",)
    header = Header(format=name, dtype=stored.dtype.name)
    return accept(path, stored, _affine(image), header=header, sha256=digest(raw, detached), notes=notes)


def _detached(path: Path, head: bytes) -> bytes:
    """Bytes of the data file a header names, empty where the voxels follow the header."""
    named = DATA_FILE.search(head)
    if named is None or named[1].upper() == b"LOCAL":
        return b""
    beside = path.parent / named[1].decode("utf-8", "replace")
    return beside.read_bytes() if beside.is_file() else b""


def _check_stream(path: Path, head: bytes, raw: bytes) -> None:
    """Refuse damaged compressed voxels, which ITK's readers return as they are, with a word on the terminal at most."""
    if not PACKED.search(head) or SKIPPED.search(head):
        return
    end = HEADER_END.search(raw, 0, HEADER_BYTES) if raw.startswith(head) else None
    stream = zlib.decompressobj(EITHER_KIND)
    try:
        stream.decompress(raw[end.end() if end else 0 :])
        whole = stream.eof
    except zlib.error:
        whole = False
    if not whole:
        raise refusal(path, COMPLETE, "its compressed voxels are cut short or damaged", "Copy it again from its source")


def _image(path: Path, reader_name: str) -> Any:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO(reader_name)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        three_axes(path, tuple(reader.GetSize()))
        kind, numbers = sitk.GetPixelIDValueAsString(reader.GetPixelIDValue()), reader.GetNumberOfComponents()
        if numbers != 1 or "complex" in kind:
            remedy = "Export one real component as a file of its own"
            raise refusal(path, "A volume holds one real number per voxel", f"each voxel is a {kind} of {numbers} numbers", remedy)
        return reader.Execute()
    except RuntimeError as error:
        remedy = "Copy it again from its source, with the data file its header names, if it names one"
        raise refusal(path, COMPLETE, "it is cut short or damaged", remedy) from error


def _array(path: Path, image: Any) -> NDArray[Any]:
    """Voxels in (i, j, k) order."""
    import SimpleITK as sitk

    stored = np.asarray(sitk.GetArrayFromImage(image)).T
    real_numbers(path, stored.dtype)
    return stored


def _affine(image: Any) -> NDArray[np.float64]:
    """Voxel index to RAS+ mm."""
    axes = image.GetDimension()
    direction = np.array(image.GetDirection()).reshape(axes, axes)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing())[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return np.asarray(LPS_TO_RAS @ affine + 0.0)


def save(volume: Volume, data: NDArray[Any], path: Path, description: str) -> None:
    """Write NRRD or MetaImage, by the suffix of ``path``, compressed without loss.

    Parameters
    ----------
    volume : Volume
        Whose affine is written; both formats hold sheared axes.
    data : (i, j, k) array
        Values in the type they get on disk.
    path : Path
        Ends in ``.nrrd`` or ``.mha``.
    description : str
        Kept as the field "description" (NRRD) or "Comment" (MetaImage).
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    affine = LPS_TO_RAS @ volume.affine
    image.SetSpacing(volume.spacing)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / np.array(volume.spacing)).ravel().tolist())
    if description:
        image.SetMetaData("Comment" if path.suffix.lower() == ".mha" else "description", description)
    sitk.WriteImage(image, str(path), useCompression=True)
