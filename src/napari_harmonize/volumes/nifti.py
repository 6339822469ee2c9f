"""NIfTI-1 and NIfTI-2: single files (``.nii``, ``.nii.gz``) and header/image pairs (``.hdr`` with ``.img``).

nibabel interprets the header; this module decides what may be used, says what it found, and writes back the codes,
units and type that came. Bytes are read whole, so a truncated file is seen before an array is made.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.volumes import geometry
from napari_harmonize.volumes.files import digest, file_bytes, refusal, store, unpacked
from napari_harmonize.volumes.intake import accept, placed, real_numbers, real_values, three_axes
from napari_harmonize.volumes.volume import Header, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MILLIMETRES = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001}
SINGLE = {348: (slice(344, 348), b"n+1\0"), 540: (slice(4, 8), b"n+2\0")}
PAIRED = {348: (slice(344, 348), b"ni1\0"), 540: (slice(4, 8), b"ni2\0")}
RULE = "A NIfTI file begins with a NIfTI header"
DISAGREE_MM = 1e-3


def read(path: Path) -> Volume:
    """Read one NIfTI volume.

    Parameters
    ----------
    path : Path
        ``.nii``, ``.nii.gz``, or either half of a pair.

    Returns
    -------
    Volume
        Scaling applied; the sform where its code is above 0, else the qform, else what the voxel sizes say, with a note.

    Raises
    ------
    ReadError
        Not NIfTI, truncated, not a single real three-dimensional volume, or without a usable affine.
    """
    header_path, image_path = _halves(path)
    raw = file_bytes(header_path)
    parts = [raw] if image_path == header_path else [raw, file_bytes(image_path)]
    contents = [unpacked(half, part) for half, part in zip((header_path, image_path), parts, strict=False)]
    with _repairs() as said:
        image = _image(path, contents)
    longer = _check_announced(path, image, len(contents[-1]))
    affine, header, notes = _geometry(path, image)
    values = _values(path, image)
    return accept(path, values, affine, header=header, sha256=digest(*parts), notes=(*said, *longer, *notes))


class _Repairs(logging.Handler):
    """Keeps what nibabel says it changed in a header."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.sentences.append(f"A header field was repaired: {record.getMessage()}.")


@contextlib.contextmanager
def _repairs() -> Iterator[list[str]]:
    """Collect what nibabel repairs, which it logs instead of telling."""
    from nibabel.imageglobals import LoggingOutputSuppressor, logger

    handler = _Repairs()
    with LoggingOutputSuppressor():
        logger.addHandler(handler)
        try:
            yield handler.sentences
        finally:
            logger.removeHandler(handler)


def _halves(path: Path) -> tuple[Path, Path]:
    """File with the header and file with the voxels: the same one, unless the suffix is that of a pair."""
    name = path.name.lower()
    if ".hdr" not in name[-7:] and ".img" not in name[-7:]:
        return path, path
    stem = path.name[: name.rindex(".hdr" if ".hdr" in name[-7:] else ".img")]
    found = [_existing(path, stem, ending) for ending in (".hdr", ".img")]
    return found[0], found[1]


def _existing(path: Path, stem: str, ending: str) -> Path:
    for candidate in (path.with_name(stem + ending), path.with_name(stem + ending + ".gz"), path.with_name(stem + ending.upper())):
        if candidate.exists():
            return candidate
    remedy = "Put both files side by side under one name"
    raise refusal(path, "A NIfTI pair is a .hdr and an .img file", f"{stem}{ending} is missing beside it", remedy)


def _image(path: Path, contents: list[bytes]) -> Any:
    """Let nibabel interpret the header; the voxels stay in memory as bytes."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.fileholders import FileHolder
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    version = _version(path, contents)
    classes = {(348, 1): nib.Nifti1Image, (540, 1): nib.Nifti2Image, (348, 2): nib.Nifti1Pair, (540, 2): nib.Nifti2Pair}
    streams = [FileHolder(fileobj=io.BytesIO(part)) for part in contents]
    kind = classes[version, len(contents)]
    try:
        return kind.from_file_map({"header": streams[0], "image": streams[-1]} if len(contents) == 2 else {"image": streams[0]})
    except (HeaderDataError, ImageFileError, WrapStructError, ValueError, OverflowError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise refusal(path, "A NIfTI header must make sense", f"its header is damaged ({reason})", "Export the image again") from error


def _version(path: Path, contents: list[bytes]) -> int:
    """Header length, 348 for NIfTI-1 and 540 for NIfTI-2."""
    head = contents[0]
    remedy = "Choose a NIfTI file, or rename this one to the suffix of its own format"
    for order in ("little", "big"):
        length = int.from_bytes(head[:4], order)
        if length not in SINGLE:
            continue
        if len(head) < length:
            arrived = f"only {len(head)} of {length} bytes are there"
            raise refusal(path, RULE, f"the header is cut short, {arrived}", "Copy the file again from its source")
        where, magic = (SINGLE if len(contents) == 1 else PAIRED)[length]
        if head[where] == magic:
            return length
        arrived = f"its magic is {bytes(head[where])!r} where {magic!r} belongs (Analyze 7.5 does not state its orientation)"
        raise refusal(path, RULE, arrived, "Convert it to a single NIfTI file")
    raise refusal(path, RULE, "its first bytes are something else", remedy)


def _check_announced(path: Path, image: Any, arrived: int) -> tuple[str, ...]:
    """Check that shape and type can be used, and that as many bytes arrived as the header announces."""
    shape, dtype = image.shape, image.get_data_dtype()
    three_axes(path, shape)
    real_numbers(path, dtype)
    needed = math.prod(int(length) for length in shape) * dtype.itemsize
    there = max(0, arrived - int(image.dataobj.offset))
    surplus = there - needed
    if there < needed:
        words = " x ".join(map(str, shape))
        arrived_words = f"the header announces {words} voxels of {dtype.name}, {needed} bytes, and {there} bytes follow it"
        raise refusal(path, "A file holds all the voxels its header announces", arrived_words, "Copy it again from its source")
    note = f"The file is {surplus} bytes longer than its header announces; what the header announces was read."
    return (note,) if surplus * max(shape) >= needed else ()


def _values(path: Path, image: Any) -> NDArray[Any]:
    proxy = image.dataobj
    stored = np.asanyarray(proxy.get_unscaled())
    return real_values(stored.astype(real_numbers(path, stored.dtype), copy=False), float(proxy.slope), float(proxy.inter))


def _geometry(path: Path, image: Any) -> tuple[NDArray[np.float64], Header, tuple[str, ...]]:
    """Affine in use, what to write back, and what is odd about it."""
    header = image.header
    space, time = _units(header)
    qform, sform = (_coded(header, name) for name in ("qform", "sform"))
    scale = np.diag([MILLIMETRES[space]] * 3 + [1.0])
    affine = scale @ placed(path, image.affine if sform is None else sform)
    qform, sform = (None if form is None else scale @ form for form in (qform, sform))
    notes = _space_notes(header, space) + _form_notes(affine, qform, sform, image.shape[:3])
    other = None if qform is None or np.abs(qform - affine).max() <= DISAGREE_MM * 1e-3 else qform
    proxy = image.dataobj
    kept = Header(
        format="nifti",
        dtype=header.get_data_dtype().name,
        slope=float(proxy.slope),
        intercept=float(proxy.inter),
        qform_code=0 if qform is None else int(header["qform_code"]),
        sform_code=int(header["sform_code"]),
        qform=other,
        space_unit=space,
        time_unit=time,
        extra={"version": 2 if header.sizeof_hdr == 540 else 1},
    )
    return affine, kept, notes


def _units(header: Any) -> tuple[str, str]:
    try:
        space, time = header.get_xyzt_units()
    except KeyError:
        return "unknown", "unknown"
    return space, time


def _coded(header: Any, name: str) -> NDArray[np.float64] | None:
    """Compute the form where its code is above 0 and it can be computed."""
    from nibabel.spatialimages import HeaderDataError

    if int(header[f"{name}_code"]) <= 0:
        return None
    try:
        return np.asarray(getattr(header, f"get_{name}")(), np.float64)
    except (HeaderDataError, ValueError):
        return None


def _space_notes(header: Any, space: str) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if int(header["qform_code"]) <= 0 and int(header["sform_code"]) <= 0:
        notes += ("The file does not state its orientation (qform and sform codes are 0): left and right are not certain.",)
    if MILLIMETRES[space] != 1.0:
        notes += (f"The file states its geometry in {space}; it is used in mm and written back in {space}.",)
    return notes


def _form_notes(
    affine: NDArray[np.float64], qform: NDArray[np.float64] | None, sform: NDArray[np.float64] | None, shape: tuple[int, ...]
) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if sform is not None and geometry.is_sheared(affine):
        notes += (f"The sform is sheared by {geometry.shear(affine):.1f} degrees, which a qform cannot say; the sform is used and kept.",)
    if sform is not None and qform is not None:
        ends = geometry.corners(shape)
        apart = float(np.linalg.norm(geometry.world(sform, ends) - geometry.world(qform, ends), axis=1).max())
        if apart > 0.1:
            notes += (f"The qform and the sform place voxels up to {apart:.1f} mm apart; the sform is used, the qform is kept.",)
    return notes


def save(volume: Volume, data: NDArray[Any], path: Path, description: str) -> None:
    """Write a NIfTI file: NIfTI-2 where the volume came so or an axis is longer than 32767, else NIfTI-1.

    Parameters
    ----------
    volume : Volume
        Whose affine, codes and units are written.
    data : (i, j, k) array
        Values in the type they get on disk; never scaled.
    path : Path
        Ends in ``.nii`` or ``.nii.gz``.
    description : str
        At most 79 characters.
    """
    import nibabel as nib

    second = volume.header.extra.get("version") == 2 or max(data.shape) > np.iinfo(np.int16).max
    kind = nib.Nifti2Image if second else nib.Nifti1Image
    header = kind.header_class()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    _set_forms(header, volume)
    header.set_xyzt_units(volume.header.space_unit, volume.header.time_unit)
    header["descrip"] = description.encode("ascii", "replace")
    store(path, kind(data, None, header).to_bytes())


def _set_forms(header: Any, volume: Volume) -> None:
    """Write the affine under the codes and in the unit it came with; a form that cannot hold it gets code 0."""
    kept, unit = volume.header, MILLIMETRES[volume.header.space_unit]
    in_unit = np.diag([1 / unit] * 3 + [1.0])
    affine = in_unit @ volume.affine
    sheared = geometry.is_sheared(affine)
    header.set_zooms(tuple(side / unit for side in volume.spacing))
    qform = in_unit @ kept.qform if kept.qform is not None else affine
    if kept.qform_code > 0 and not (sheared and kept.qform is None):
        header.set_qform(qform, kept.qform_code)
    if kept.sform_code > 0:
        header.set_sform(affine, kept.sform_code)
    elif not _places(header, affine, volume.shape, DISAGREE_MM / unit):
        header.set_sform(affine, kept.qform_code or 1)


def _places(header: Any, affine: NDArray[np.float64], shape: tuple[int, int, int], tolerance: float) -> bool:
    """Whether the header, as it stands, puts the corner voxels where the affine does, to a tolerance in the affine's unit."""
    ends = geometry.corners(shape)
    found = geometry.world(header.get_best_affine(), ends)
    return bool(np.linalg.norm(found - geometry.world(affine, ends), axis=1).max() <= tolerance)
