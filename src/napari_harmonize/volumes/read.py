"""Which reader a path belongs to, and reading with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_harmonize.volumes.files import overheard, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_harmonize.volumes.volume import Volume

DICOM_MARK = (128, b"DICM")
RULE = "A volume is a file or a DICOM folder of a known format"


@dataclass(frozen=True)
class Writer:
    """How one file format is written.

    Parameters
    ----------
    suffixes : tuple of str
        Endings it writes, lower case.
    types : tuple of str
        NumPy names of the types a file of it can hold, the preferred first.
    load : callable
        Gives the function that writes ``(volume, data, path, description)``.
    """

    suffixes: tuple[str, ...]
    types: tuple[str, ...]
    load: Callable[[], Callable[[Volume, Any, Path, str], None]]


@dataclass(frozen=True)
class Reader:
    """One file format.

    Parameters
    ----------
    suffixes : tuple of str
        Endings it is known by, lower case.
    sentence : str
        What it is, for dialogs and documentation.
    load : callable
        Gives the function that reads a path.
    writer : Writer, optional
        For formats that are also written.
    folders : bool
        Whether it reads a folder, in which there may be several series.
    """

    suffixes: tuple[str, ...]
    sentence: str
    load: Callable[[], Callable[..., Volume]]
    writer: Writer | None = None
    folders: bool = False


def ending(path: Path, suffixes: tuple[str, ...]) -> str:
    """Longest of the suffixes a name ends with, whatever its case; empty for none of them."""
    matching = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
    return max(matching, key=len, default="")


def choose(readers: Mapping[str, Reader], path: Path) -> Reader:
    """Reader for a path: folders and unmarked DICOM files by what they are, any other by its suffix.

    Raises
    ------
    ReadError
        Nothing is there, or no format is known by this suffix.
    """
    if not path.exists():
        raise refusal(path, RULE, "there is no such file or folder", "Check the name, or whether the disk is connected")
    folders = next(row for row in readers.values() if row.folders)
    if path.is_dir():
        return folders
    for row in readers.values():
        if ending(path, row.suffixes):
            return row
    if _is_dicom(path):
        return folders
    known = ", ".join(suffix for row in readers.values() for suffix in row.suffixes)
    raise refusal(path, RULE, f"its suffix is {path.suffix or 'missing'}", f"Known are {known} and folders of DICOM slices")


def _is_dicom(path: Path) -> bool:
    offset, mark = DICOM_MARK
    try:
        with path.open("rb") as stream:
            return stream.read(offset + len(mark))[offset:] == mark
    except OSError:
        return False


def read_with(readers: Mapping[str, Reader], path: str | Path, series: str | None) -> Volume:
    """Read a path with the reader it belongs to; what other libraries warn of becomes notes.

    Raises
    ------
    ReadError
        As the reader says, or a series was named for a format that has none.
    """
    path = Path(path)
    row = choose(readers, path)
    if series is not None and not row.folders:
        raise refusal(path, "Only DICOM has series to choose from", f"series {series!r} was asked for", "Leave the series out")
    with overheard() as sentences:
        volume = row.load()(path, series) if row.folders else row.load()(path)
    return volume.replace(notes=(*volume.notes, *sentences)) if sentences else volume
