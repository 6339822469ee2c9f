"""What a file is called: the base name shown to users, and the contrast a name hints at."""

from __future__ import annotations

import re
from pathlib import Path

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
