"""Pairs of simulated scans, one by one, and a folder full of them with the table that training reads."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_harmonize.device import choose_device, computed_on
from napari_harmonize.errors import WriteError
from napari_harmonize.events import Job, Note, Progress, Stage
from napari_harmonize.simulate.acquisition import AIR, CLEAN, Chance, Scan, acquire
from napari_harmonize.simulate.anatomy import generator
from napari_harmonize.simulate.head import MARGIN, whole_head
from napari_harmonize.simulate.own import prepare
from napari_harmonize.simulate.relaxation import BRAIN, WIDE
from napari_harmonize.simulate.sheet import SHOWN, contact_sheet
from napari_harmonize.simulate.subjects import varied_subject
from napari_harmonize.simulate.template import affine, tissue_maps
from napari_harmonize.volumes import Header, Meaning, Volume, from_array, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from napari_harmonize.simulate.settings import SimulationSettings
    from napari_harmonize.simulate.subjects import Subject

ROLES = ("source", "target", "mask", "labels")
COLUMNS = ("patient", *ROLES, "split", "source_contrast", "target_contrast", "found", "effects")
MODALITIES = {
    "mprage": "T1",
    "mprage-3t": "T1",
    "mprage-1p5t": "T1",
    "t1-spin-echo": "T1",
    "gradient-echo": "T1",
    "t2": "T2",
    "t2-turbo": "T2",
    "proton-density": "PD",
    "flair": "FLAIR",
    "ct": "CT",
}
SPREAD = 0.6180339887498949
SOURCE, TARGET, SKIN = 1000, 2000, 3000
"""Where the random numbers of the two scans and of the skull begin."""


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """One subject scanned twice.

    Parameters
    ----------
    index : int
        Its number.
    source, target : Volume
        int16: HU for CT, otherwise grey values from 0; one grid.
    mask : Volume
        uint8: what was left after stripping, or the brain where skull and scalp were kept.
    labels : Volume
        uint8: tissue with the largest share, numbered from 1 in the order of ``relaxation.WIDE``; 0 outside.
    scans : tuple of Scan
        Contrast and effects of source and target.
    found : tuple of str
        Lesions and faults of stripping.
    """

    index: int
    source: Volume
    target: Volume
    mask: Volume
    labels: Volume
    scans: tuple[Scan, Scan]
    found: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What a run left behind.

    Parameters
    ----------
    table, sheet : Path
        The CSV table and the PNG to look at.
    pairs : int
        How many.
    seconds : float
        Processor time that making them took, over all threads, without writing them.
    """

    table: Path
    sheet: Path
    pairs: int
    seconds: float

    @property
    def rate(self) -> float:
        """Pairs a minute on one processor core, which only feeds a graphics card where there is one."""
        return 60 * self.pairs / max(self.seconds, 1e-6)


def make_pair(settings: SimulationSettings, index: int, draw: Callable[..., Subject] = varied_subject) -> SimulatedPair:
    """Make the pair with this number; it depends on the settings, their seed and the number alone.

    Parameters
    ----------
    settings : SimulationSettings
        Which pairs.
    index : int
        Number of the pair.
    draw : callable
        Gives the same subjects as :func:`varied_subject`; one that remembers its last saves time where a subject is scanned for
        several tasks.

    Raises
    ------
    HarmonizeError
        The template is not installed, a brain of the user's own cannot be used, or the device is not there.
    """
    with computed_on(choose_device(settings.device, auto=("cuda",))):
        return _made(settings, index, draw)


def _made(settings: SimulationSettings, index: int, draw: Callable[..., Subject]) -> SimulatedPair:
    stripped = not settings.head
    who = draw(settings.subject, settings.seed, index, stripped=stripped)
    shares, brain = who.shares, who.brain
    if settings.head:
        shares, brain = _with_head(shares, generator(settings.seed, index, SKIN)), F.pad(brain, (MARGIN,) * 6)
    body = shares.sum(0) > 0.5
    box = _box(body)
    shares, brain, body = shares[(slice(None), *box)], brain[box], body[box]
    place = affine()
    place[:3, 3] += [part.start - (MARGIN if settings.head else 0) for part in box]
    scans = (
        acquire(shares, body, settings.source, settings.acquisition, _chance(settings, index, SOURCE), stripped=stripped),
        acquire(
            shares,
            body,
            settings.target,
            CLEAN if settings.clean else settings.acquisition,
            _chance(settings, index, TARGET),
            stripped=stripped,
        ),
    )
    labels = torch.where(body, shares.argmax(0) + 1, 0)
    return _pair(index, scans, body if stripped else brain, labels, place, settings, who.found)


def simulate(settings: SimulationSettings, count: int, out: Path) -> Job[Written]:
    """Write pairs, their table and a contact sheet.

    Parameters
    ----------
    settings : SimulationSettings
        Which pairs.
    count : int
        How many, from ``settings.first`` on.
    out : Path
        Folder that holds no table yet.

    Yields
    ------
    Event
        Progress after each pair.

    Raises
    ------
    WriteError
        The folder holds a table already, or no pair is asked for.
    HarmonizeError
        The template is not installed, a brain of the user's own cannot be used, or the device is not there.
    """
    table = out / "pairs.csv"
    if table.exists():
        raise WriteError(
            "Simulated pairs go into a folder without a table", f"{table.name} is in {out.name} already", "Name another folder"
        )
    if count < 1:
        raise WriteError("At least one pair is simulated", f"{count} were asked for")
    device = choose_device(settings.device, auto=("cuda",))  # refused before anything is made
    if settings.threads:
        torch.set_num_threads(settings.threads)
    own = settings.subject.anatomies
    yield from prepare(own, settings.first, count)  # before the clock starts, and before a folder is made
    if not own:
        tissue_maps()
    out.mkdir(parents=True, exist_ok=True)
    yield Stage("Simulating", f"{count} pairs")
    yield Progress(0, count, "pairs")
    rows: list[dict[str, str]] = []
    shown: list[SimulatedPair] = []
    seconds = 0.0
    for done, index in enumerate(range(settings.first, settings.first + count), 1):
        began = time.process_time()
        pair = make_pair(settings, index)
        seconds += time.process_time() - began
        rows.append(write_pair(pair, settings, out))
        shown += [pair] if len(shown) < SHOWN else []
        yield Progress(done, count, "pairs")
    write_labels(out)
    _write_table(rows, table)
    written = Written(table, contact_sheet(shown, out / "contact-sheet.png"), count, seconds)
    yield Note(
        f"A pair took {seconds / count:.2g} s of processor time: {written.rate:.2g} pairs a minute on one core, computed on {device}"
    )
    return written


def _write_table(rows: list[dict[str, str]], table: Path) -> None:
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def split_of(index: int, validation: float) -> str:
    """Split of a pair, by its number alone, spread evenly over the numbers."""
    return "validation" if (index * SPREAD + 0.5) % 1 < validation else "train"


def _chance(settings: SimulationSettings, index: int, base: int) -> Chance:
    return lambda number: generator(settings.seed, index, base + number)


def _with_head(shares: Tensor, rng: torch.Generator) -> Tensor:
    """Skull and scalp around a brain with lesions, (12, i + 36, j + 36, k + 36)."""
    lesions = shares[len(BRAIN) + 2 :]
    inside = torch.cat([shares[:5], shares[5:6] + lesions.sum(0, keepdim=True)])
    head = whole_head(inside, rng)
    lesions = F.pad(lesions, (MARGIN,) * 6)
    head[5] -= lesions.sum(0)
    return torch.cat([head, lesions]).clamp_(0, 1)


def _box(body: Tensor, margin: int = 8) -> tuple[slice, ...]:
    """Where the body lies, a little wider."""
    spans = []
    for axis in range(3):
        line = body.sum(dim=[other for other in range(3) if other != axis]).nonzero()
        low, high = (int(line[0]), int(line[-1]) + 1) if len(line) else (0, body.shape[axis])
        spans.append(slice(max(0, low - margin), min(body.shape[axis], high + margin)))
    return tuple(spans)


def _pair(
    index: int,
    scans: tuple[Scan, Scan],
    mask: Tensor,
    labels: Tensor,
    place: np.ndarray,
    settings: SimulationSettings,
    found: tuple[str, ...],
) -> SimulatedPair:
    """Everything in voxels of the asked size."""
    place = place.copy()
    place[:3, 3] += (settings.voxel - 1) / 2
    place[:3, :3] *= settings.voxel
    body, tissue = (_middle(values, settings.voxel) for values in (mask, labels))
    stripped = body == 0 if not settings.head else np.zeros(body.shape, np.bool_)
    source, target = (_scanned(scan, place, stripped, name, settings.voxel) for scan, name in zip(scans, ROLES, strict=False))
    kept, named = (from_array(data, place, name=name, header=_header()) for data, name in ((body, "mask"), (tissue, "labels")))
    return SimulatedPair(index, source, target, kept, named, scans, found)


def _scanned(scan: Scan, place: np.ndarray, stripped: np.ndarray, name: str, voxel: int) -> Volume:
    """Mean of every coarse voxel; nothing where the coarse mask says that it was stripped."""
    data = torch.as_tensor(scan.data, dtype=torch.float32)
    pooled = F.avg_pool3d(data[None, None], voxel)[0, 0] if voxel > 1 else data
    ct = scan.contrast == "ct"
    whole = np.where(stripped, AIR if ct else 0, pooled.round().cpu().numpy()).astype(np.int16)
    meaning = Meaning.HU if ct else Meaning.ARBITRARY
    return from_array(whole, place, meaning=meaning, modality=MODALITIES.get(scan.contrast, ""), name=name, header=_header())


def _middle(values: Tensor, voxel: int) -> np.ndarray:
    """Value in the middle of each coarse voxel, without the incomplete ones at the far ends."""
    whole = tuple(slice(size // voxel) for size in values.shape)
    every = values[voxel // 2 :: voxel, voxel // 2 :: voxel, voxel // 2 :: voxel].to(torch.uint8).cpu().numpy()
    return np.ascontiguousarray(every[whole])


def _header() -> Header:
    return Header(format="nifti", qform_code=1, sform_code=1)


def write_pair(pair: SimulatedPair, settings: SimulationSettings, out: Path) -> dict[str, str]:
    """Write one pair into a folder of its own and give its row of the table."""
    home = out / f"pair-{pair.index:06d}"
    home.mkdir(exist_ok=True)
    files = {}
    for role in ROLES:
        path = write(getattr(pair, role), home / f"{role}.nii.gz", description=f"SYNTHETIC simulated {role}, not a patient")
        files[role] = path.relative_to(out).as_posix()
    contrasts = {f"{role}_contrast": scan.contrast for role, scan in zip(ROLES, pair.scans, strict=False)}
    effects = "; ".join(f"{name} {strength:.3g}" for name, strength in pair.scans[0].effects)
    who = {"patient": f"simulated-{settings.seed}-{pair.index}", "split": split_of(pair.index, settings.validation)}
    return {**who, **files, **contrasts, "found": " ".join(pair.found), "effects": effects}


def write_labels(out: Path) -> None:
    """Write what the numbers of the labels stand for."""
    names = "".join(f"{number}\t{name}\n" for number, name in enumerate(WIDE, 1))
    (out / "labels.tsv").write_text(f"index\tname\n{names}", encoding="utf-8")
