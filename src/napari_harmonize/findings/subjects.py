"""Who is measured: simulated subjects that no training has seen, kept in a folder once they are made, and real pairs.

Every subject is a warp of one averaged brain, or of one of the user's own. All seeds that train something in this project are small
numbers; the seed here is none of them.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.errors import ReadError
from napari_harmonize.simulate.settings import AcquisitionSettings, SimulationSettings, SubjectSettings
from napari_harmonize.tissue import Segmentation, segment
from napari_harmonize.translation import Case
from napari_harmonize.volumes import Meaning, canonical, read, resample_onto, write
from napari_harmonize.volumes.intake import array_digest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_harmonize.volumes import Volume

HELD_OUT = 7_304_112_259
VOXEL = 2
REFERENCE = 100_000
"""Number of the subject whose picture other subjects are matched to."""
ROLES = ("source", "target", "mask")
COLUMNS = ("patient", "task", "source", "target")


@dataclass(frozen=True)
class Task:
    """What is translated into what.

    Parameters
    ----------
    title : str
        In words.
    source, target : str
        Contrasts of the simulator.
    share : float
        Share of sources that each fault of a scan happens to.
    """

    title: str
    source: str
    target: str
    share: float = 0.4

    def simulation(self, anatomies: str = "") -> SimulationSettings:
        """How its pairs are simulated, out of the brains in a folder or the template's."""
        who, faults = SubjectSettings(anatomies=anatomies), AcquisitionSettings(share=self.share)
        return SimulationSettings(seed=HELD_OUT, voxel=VOXEL, source=self.source, target=self.target, subject=who, acquisition=faults)


TASKS = {
    "ct-to-t1": Task("CT to T1", "ct", "mprage"),
    "flair-to-t1": Task("FLAIR to T1", "flair", "mprage"),
    "1p5t-to-3t": Task("T1 at 1.5 T to T1 at 3 T", "mprage-1p5t", "mprage-3t", share=0.0),
    "3t-to-1p5t": Task("T1 at 3 T to T1 at 1.5 T", "mprage-3t", "mprage-1p5t", share=0.0),
}


@dataclass(frozen=True, eq=False)
class Subject:
    """One pair of scans on one grid in RAS+ order.

    Parameters
    ----------
    name : str
        Shown beside its numbers; no patient's name.
    number : int
        Added to the seed of the noise.
    case : Case
        Source, truth and mask.
    """

    name: str
    number: int
    case: Case

    @property
    def truth(self) -> Volume:
        """The true volume."""
        if self.case.truth is None:
            raise ReadError("A pair has a target", f"{self.name} has none")
        return self.case.truth

    @functools.cached_property
    def inside(self) -> NDArray[np.bool_]:
        """The mask, (i, j, k) bool."""
        return np.ones(self.truth.shape, bool) if self.case.mask is None else np.asarray(self.case.mask.data) > 0

    @functools.cached_property
    def tissues(self) -> Segmentation:
        """Segmentation of the true volume."""
        return segment(np.asarray(self.truth.data), self.inside, self.truth.spacing)

    def middle(self, count: int) -> range:
        """So many axial slices about the middle of the mask; all of the volume where there are fewer."""
        filled = np.flatnonzero(self.inside.any((0, 1)))
        centre = int(filled[0] + filled[-1]) // 2 if len(filled) else self.inside.shape[2] // 2
        low = max(0, min(centre - count // 2, self.inside.shape[2] - count))
        return range(low, min(low + count, self.inside.shape[2]))

    @functools.cached_property
    def hash(self) -> str:
        """What its arrays are and where they lie."""
        parts = (self.case.source, self.truth, self.case.mask)
        return " ".join("" if part is None else array_digest(np.asarray(part.data), part.affine) for part in parts)


def simulated(task: str, number: int, folder: Path, anatomies: str = "") -> Subject:
    """Give a held-out subject; it is made where the folder does not hold it yet.

    Parameters
    ----------
    task : str
        Key of ``TASKS``.
    number : int
        Which subject.
    folder : Path
        Where subjects are kept.
    anatomies : str
        Folder of T1 scans with brain masks; the template where empty. Their subjects are kept apart, by what the scans hold.

    Raises
    ------
    HarmonizeError
        The simulator's template is not installed, or a scan cannot be used.
    """
    folder = folder / own_name(anatomies) if anatomies else folder
    home = folder / task / f"subject-{number:06d}"
    paths = [home / f"{role}.nii.gz" for role in ROLES]
    if not all(path.is_file() for path in paths):
        _make(task, number, home, anatomies)
    source, target, mask = (read(path) for path in paths)
    return Subject(f"simulated {number}", number, Case(_stated(source, task), target, mask))


def own_name(anatomies: str) -> str:
    """What the subjects out of a folder of brains are kept under: another name whenever a scan changes."""
    from napari_harmonize.simulate.own import content

    return f"anatomies-{content(anatomies)[:16]}"


def _stated(source: Volume, task: str) -> Volume:
    """Take numbers that do not say what they mean, as those of NIfTI files, for those of the task: HU of a CT."""
    if source.meaning is not Meaning.UNKNOWN:
        return source
    return source.replace(meaning=Meaning.HU if task in TASKS and TASKS[task].source == "ct" else Meaning.ARBITRARY)


def _make(task: str, number: int, home: Path, anatomies: str) -> None:
    """Simulate one subject and write its three volumes; each file appears only when it is whole."""
    from napari_harmonize.simulate.pairs import make_pair

    pair = make_pair(TASKS[task].simulation(anatomies), number)
    home.mkdir(parents=True, exist_ok=True)
    for role in ROLES:
        part = write(getattr(pair, role), home / f"part-{role}.nii.gz", description=f"SYNTHETIC simulated {role}, not a patient")
        part.replace(home / f"{role}.nii.gz")


def real_pairs(folder: Path) -> dict[str, list[Subject]]:
    """Read real pairs: a folder with ``pairs.csv``, whose columns are patient, task, source, target and where wanted mask.

    Parameters
    ----------
    folder : Path
        File names of the table are taken from here.

    Returns
    -------
    dict of str to list of Subject
        By task; truth and mask are resampled onto the source's grid.

    Raises
    ------
    ReadError
        The table or a column is missing.
    """
    table = folder / "pairs.csv"
    if not table.is_file():
        raise ReadError(
            "A folder of real pairs holds pairs.csv", f"{folder.name} does not", f"Its columns are {', '.join(COLUMNS)} and mask"
        )
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ReadError(f"A table of real pairs has the columns {', '.join(COLUMNS)} and a row", f"{', '.join(missing)} is missing")
    found: dict[str, list[Subject]] = {}
    for number, row in enumerate(rows):
        found.setdefault(row["task"], []).append(_real(folder, number, row))
    return found


def _real(folder: Path, number: int, row: dict[str, str]) -> Subject:
    source, _ = canonical(read(folder / row["source"]))
    truth = resample_onto(read(folder / row["target"]), source)
    mask = resample_onto(read(folder / row["mask"]), source, order=0) if row.get("mask") else None
    return Subject(f"real pair {number + 1}", number, Case(_stated(source, row["task"]), truth, mask))
