"""DICOM: folders of slices, and multi-frame files.

Only the attributes in ``TAGS`` are ever read from a header, and none of them is copied as text: no name, identity
number, date, accession number or description of a patient reaches a :class:`Volume`. The series description is looked
at for a contrast and dropped. ``header.extra`` keeps three identifiers that an export as DICOM needs, ``study_uid``,
``series_uid`` and ``frame_of_reference_uid``; they never belong in a sidecar, a log or a report.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import ReadError
from napari_harmonize.volumes.files import digest, file_bytes, overheard, refusal
from napari_harmonize.volumes.frames import TAGS, Frame, damage, frames_of, pixels
from napari_harmonize.volumes.intake import accept
from napari_harmonize.volumes.stack import Stack, evened, stack
from napari_harmonize.volumes.volume import Header, Meaning, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

RULE = "The slices of a series share one size, orientation, pixel spacing and frame of reference"


@dataclass(frozen=True)
class Series:
    """One DICOM series in a folder.

    Parameters
    ----------
    uid : str
        SeriesInstanceUID: an identifier, for choosing and not for writing down.
    label : str
        Modality, size and timing; no text anybody typed.
    slices : int
        Number of slices.
    shape : (3,) tuple of int
        Columns, rows, slices.
    """

    uid: str
    label: str
    slices: int
    shape: tuple[int, int, int]


def list_series(folder: str | Path) -> tuple[Series, ...]:
    """Series in a folder, in the order of their numbers.

    Parameters
    ----------
    folder : str or Path
        Searched without its sub-folders; files that are not DICOM images are passed over.

    Raises
    ------
    ReadError
        The folder cannot be read, or holds no DICOM image.
    """
    with overheard():
        return tuple(_described(uid, frames) for uid, frames in _scan(Path(folder)).series.items())


def read(path: Path, series: str | None = None) -> Volume:
    """Read one DICOM series.

    Parameters
    ----------
    path : Path
        The folder, or one of its files: then the series that file belongs to.
    series : str, optional
        Uid, or number in :func:`list_series` counted from 1.

    Returns
    -------
    Volume
        Named "series-" and eight digits of its hash; rescaled; HU where the header says so.

    Raises
    ------
    ReadError
        No series, several, or one that is not a single volume.
    """
    with overheard() as warned:
        found = _scan(path) if path.is_dir() else _scan_around(path)
        volume = _volume(path, found.series[_chosen(path, found.series, series)])
    notes = volume.notes
    if found.passed_over:
        notes += (f"{found.passed_over} file(s) in the folder hold no image with a place in space and were passed over.",)
    if warned:
        notes += (f"The DICOM library found {len(warned)} irregular value(s) in the headers.",)
    return volume.replace(notes=notes)


@dataclass(frozen=True)
class _Found:
    """Frames by series, in the order of series number, and how many files hold none."""

    series: dict[str, list[Frame]]
    passed_over: int = 0


def _scan(folder: Path) -> _Found:
    found: dict[str, list[Frame]] = {}
    refused: list[ReadError] = []
    files, used = _files(folder), set()
    for path in files:
        try:
            for frame in _frames_in(path):
                found.setdefault(frame.series, []).append(frame)
                used.add(path)
        except ReadError as error:
            refused.append(error)
    if not found and refused:
        raise refused[0]
    if not found:
        inside = sum(item.is_dir() for item in folder.iterdir())
        remedy = f"Choose the folder the slices lie in (there are {inside} sub-folders)" if inside else "Choose a folder of DICOM slices"
        raise refusal(folder, "A DICOM folder holds DICOM images", "none was found in it", remedy)
    ordered = dict(sorted(found.items(), key=lambda item: (item[1][0].series_number, item[0])))
    return _Found(ordered, len(files) - len(used))


def _scan_around(path: Path) -> _Found:
    """Find the series one file belongs to: its own frames, or those of its folder."""
    own = _frames_in(path)
    if not own:
        raise refusal(path, "A DICOM file holds an image", "it is not DICOM, or holds none", "Choose a slice of the series")
    uid = own[0].series
    return _Found({uid: own if len(own) > 1 else _scan(path.parent).series[uid]})


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(item for item in folder.iterdir() if item.is_file())
    except OSError as error:
        reason = error.strerror or "it cannot be listed"
        raise refusal(folder, "A DICOM folder must be readable", reason, "Check its name and its permissions") from error


def _frames_in(path: Path) -> list[Frame]:
    """Frames of one file; none where it is not a DICOM image.

    Raises
    ------
    ReadError
        It is one, but cannot be part of a volume.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        return list(frames_of(path, pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))))
    except (InvalidDicomError, EOFError):
        return []
    except damage():
        remedy = "Copy it again from its source"
        raise refusal(path, "A DICOM header must make sense", "its header is damaged or cannot be opened", remedy) from None


def _described(uid: str, frames: list[Frame]) -> Series:
    first = frames[0]
    timing = "".join(f", {name} {value:g} ms" for name, value in first.timing)
    columns, rows = first.shape
    label = f"series {first.series_number}: {first.modality}, {columns} x {rows}, {len(frames)} slices{timing}"
    return Series(uid, label, len(frames), (columns, rows, len(frames)))


def _chosen(path: Path, found: dict[str, list[Frame]], series: str | None) -> str:
    """Uid of the series to read."""
    uids = list(found)
    if series is None and len(uids) == 1:
        return uids[0]
    if series in found:
        return str(series)
    if series is not None and series.isdecimal() and 1 <= int(series) <= len(uids):
        return uids[int(series) - 1]
    listed = "; ".join(f"{number}: {_described(uid, found[uid]).label}" for number, uid in enumerate(uids, 1))
    asked = "" if series is None else f"series {series!r} was asked for and "
    raise refusal(path, "One series is read at a time", f"{asked}it holds {len(uids)} ({listed})", "Name one of them by its number")


def _volume(path: Path, frames: list[Frame]) -> Volume:
    first = frames[0]
    _check_alike(path, frames)
    positions = np.array([frame.position for frame in frames])
    placed = stack(path, positions, np.array(first.orientation), first.pixel)
    data, padding, notes, hashed = _voxels([frames[at] for at in placed.order])
    if placed.places is not None:
        data = evened(data.astype(np.float32), placed.places)
    meaning, modality, said = _meaning(first)
    extra: dict[str, Any] = {"study_uid": first.study, "series_uid": first.series, "frame_of_reference_uid": first.frame_of_reference}
    extra |= {"tilt_degrees": round(placed.tilt, 3)} | ({} if padding is None else {"padding": padding})
    header = Header("dicom", first.dtype, first.slope, first.intercept, extra=extra)
    return accept(
        path,
        data,
        placed.affine,
        header=header,
        sha256=hashed,
        notes=(*placed.notes, *_spacing_note(first, placed), *notes, *said),
        meaning=meaning,
        modality=modality,
        name=f"series-{hashed[:8]}",
    )


def _check_alike(path: Path, frames: list[Frame]) -> None:
    """Refuse a mix: every slice must agree with the one in the middle."""
    middle = frames[len(frames) // 2]
    different = sum(not _alike(frame, middle) for frame in frames)
    if different:
        arrived = f"{different} of {len(frames)} slices differ from the one in the middle"
        raise refusal(path, RULE, arrived, "Move scouts and other scans out of the folder")


def _alike(one: Frame, other: Frame) -> bool:
    numbers = ((one.orientation, other.orientation, 1e-3), (one.pixel, other.pixel, 1e-4))
    exact = (one.shape, one.frame_of_reference, one.modality) == (other.shape, other.frame_of_reference, other.modality)
    return exact and all(np.allclose(a, b, rtol=0.0, atol=tolerance) for a, b, tolerance in numbers)


def _voxels(frames: list[Frame]) -> tuple[NDArray[Any], float | None, tuple[str, ...], str]:
    """Real values (i, j, k) of ordered frames, the padding value if it occurs, notes, and the hash of all files."""
    hashes: dict[Path, str] = {}
    slices, padded = [], 0
    notes: tuple[str, ...] = ()
    for number, frame in enumerate(frames, 1):
        raw = file_bytes(frame.path)
        hashes[frame.path] = digest(raw)
        values, surplus = pixels(frame, io.BytesIO(raw))
        padded += 0 if frame.padding is None else int(np.count_nonzero(values == frame.padding))
        if surplus:
            notes += (f"The file of slice {number} is {surplus} bytes longer than the frames its header declares; these are used.",)
        slices.append(values.T)
    data = np.stack(slices, axis=-1)
    padding = frames[0].padding if padded and frames[0].modality == "CT" else None
    if padding is not None:
        share = 100 * padded / data.size
        notes += (f"{share:.1f} % of the voxels hold the padding value {padding:g}, which means outside the scan and no density.",)
    return data, padding, notes, digest("".join(sorted(hashes.values())).encode())


def _spacing_note(first: Frame, placed: Stack) -> tuple[str, ...]:
    stated = first.stated_step
    if stated is None or abs(stated - placed.step) <= 0.01 * placed.step:
        return ()
    return (f"SpacingBetweenSlices says {stated:g} mm but the slices lie {placed.step:.2f} mm apart; their positions are used.",)


def _meaning(frame: Frame) -> tuple[Meaning, str, tuple[str, ...]]:
    """Say what the numbers mean, which contrast it is, and what that rests on."""
    if frame.modality == "CT":
        units = Meaning.HU if frame.rescaled else Meaning.UNKNOWN
        return units, "CT", () if frame.rescaled else ("The CT does not state its rescaling to HU; its values may not be HU.",)
    if frame.modality != "MR":
        return Meaning.UNKNOWN, "", (f"The modality is {frame.modality}, neither MR nor CT.",)
    said = (f"The contrast {frame.contrast} was taken from the series description.",) if frame.contrast else ()
    return Meaning.ARBITRARY, frame.contrast, said
