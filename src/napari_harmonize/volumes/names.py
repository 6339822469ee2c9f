"""What a file is called: the base name shown to users, the contrast it hints at, and the name that may be passed on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from napari_harmonize.volumes.volume import Volume

T = TypeVar("T")

SUFFIX_OF_COMPRESSION = ".gz"

HINTS = (
    ("FLAIR", r"t?2?flair\w*"),
    ("T1", r"t1(w|wi|gd|ce|c|km|weighted)?|mprage|mpr|spgr|bravo"),
    ("T2", r"t2(w|wi|weighted)?"),
    ("PD", r"pd(w|wi)?"),
    ("CTA", r"cta"),
    ("CT", r"ct|scct"),
    ("TOF", r"tof|mra|tofmra"),
)


def base_name(path: Path | str) -> str:
    """Name of a file without folders and without its suffixes, ``.nii.gz`` counting as one."""
    name = Path(path).name
    if name.lower().endswith(SUFFIX_OF_COMPRESSION):
        name = name[: -len(SUFFIX_OF_COMPRESSION)]
    return Path(name).stem or Path(path).name


def hint(name: str) -> str:
    """Guess a contrast from a name, to prefill a question and never to skip it.

    Parameters
    ----------
    name : str
        File name or DICOM series description.

    Returns
    -------
    str
        "FLAIR", "T1", "T2", "PD", "CT", "CTA" or "TOF"; empty where the name says nothing or several things.
    """
    words = re.split(r"[^a-z0-9]+", re.sub(r"t2\s*\*", "t2star", name.lower()))
    found = {label for label, pattern in HINTS if any(re.fullmatch(pattern, word) for word in words)}
    if "FLAIR" in found:
        found.discard("T2")
    return found.pop() if len(found) == 1 else ""


# words that tell nothing about a person; up to three digits may follow
PLAIN = (
    "acq|axial|baseline|brain|case|ce|conformed|coronal|cropped|desc|foreground|fov|head|ima|image|img|las|lps|mask|masked|"
    "mr|mri|non|of|zero|voxels|orig|pair|patient|phantom|ras|rec|reference|registered|resampled|result|run|sag|sagittal|sample|"
    "from|scan|scanner|ses|session|site|source|spine|stripped|study|sub|subject|synthetic|target|template|test|to|torso|tra|true|truth|vol|volume"
)
PLAIN_WORD = re.compile(rf"(?:{PLAIN})?\d{{0,3}}|\d+(?:p\d+)?(?:mm|t)|\d+p\d+(?:mm|t)?")
BIDS_NAME = re.compile(r"sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*(?:_[A-Za-z0-9]+)?")
HASHED_NAME = re.compile(r"(?:series|volume)-[0-9a-f]{8}")


def public_name(volume: Volume) -> str:
    """Give the name under which a volume may be written into what others will read.

    A file name may hold a person's name or birthday. It is kept where every word of it is a contrast, a common word or a
    small number, and where it is a BIDS name, whose subject label was chosen for others to read.

    Returns
    -------
    str
        The name, or "volume-" and eight digits of the volume's hash.
    """
    if _is_plain(volume.name):
        return volume.name
    return f"volume-{volume.sha256[:8]}" if volume.sha256 else "volume"


def _is_plain(name: str) -> bool:
    if BIDS_NAME.fullmatch(name) or HASHED_NAME.fullmatch(name):
        return True
    return all(PLAIN_WORD.fullmatch(word) or hint(word) for word in re.split(r"[\W_]+", name.lower()))


def discreet(value: T, *volumes: Volume | None) -> T:
    """Put public names in place of the volumes' own, in text and in texts within lists and mappings.

    Parameters
    ----------
    value : JSON value
        A sentence, say, or the parameters of a step.
    *volumes : Volume or None
        Whose names it may hold.
    """
    names = {volume.name: public_name(volume) for volume in volumes if volume is not None}
    changed = sorted((name for name, public in names.items() if name and name != public), key=len, reverse=True)
    if not changed:
        return value
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, changed))})(?!\w)")
    renamed: T = _renamed(value, pattern, names)
    return renamed


def _renamed(value: Any, pattern: re.Pattern[str], names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda found: names[found[0]], value)
    if isinstance(value, dict):
        return {key: _renamed(item, pattern, names) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_renamed(item, pattern, names) for item in value)
    return value
