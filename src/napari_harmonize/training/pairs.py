"""Tables of training pairs: who, from which file, to which file, and for what.

A table is a CSV file with the columns patient, source and target, and where wanted mask and split ("train", "validation" or
"test"); further columns are kept for stratifying. File names are taken from the table's own folder. A patient is never on both
sides of a split: what a network has seen of a person's one scan, it knows of the other.
"""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_harmonize.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REQUIRED = ("patient", "source", "target")
KNOWN = (*REQUIRED, "mask", "split")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Pair:
    """One row of a table.

    Parameters
    ----------
    patient : str
        Who; never written into a model package.
    source, target : Path
        Volumes of one space.
    mask : Path, optional
        Body part; the source's foreground where absent.
    split : str
        "train", "validation" or "test".
    facts : mapping of str to str
        What the further columns say.
    """

    patient: str
    source: Path
    target: Path
    mask: Path | None = None
    split: str = "train"
    facts: Mapping[str, str] = field(default_factory=dict)


def read_table(path: str | Path) -> tuple[Pair, ...]:
    """Read a table of pairs.

    Parameters
    ----------
    path : path
        A CSV file; see the module's first lines.

    Raises
    ------
    TableError
        A column, a value or a file is missing, a split is unknown, or a patient is on both sides of a split.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError("A table of pairs is a CSV file", f"{path.name}: {error}") from error
    missing = [name for name in REQUIRED if name not in columns]
    if missing or not rows:
        raise TableError(
            f"A table of pairs has the columns {', '.join(REQUIRED)} and at least one row",
            f"{path.name} lacks {', '.join(missing) or 'rows'}",
            "The first line names the columns",
        )
    pairs = tuple(_pair(path, number, row) for number, row in enumerate(rows, 2))
    refuse_straddling(pairs)
    return pairs


def _pair(table: Path, line: int, row: Mapping[str, str | None]) -> Pair:
    values = {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
    empty = [name for name in REQUIRED if not values[name]]
    split = values.get("split") or "train"
    if empty or split not in SPLITS:
        arrived = f"{', '.join(empty)} is empty" if empty else f"the split is {split!r}"
        raise TableError(
            f"A pair names {', '.join(REQUIRED)}, and a split among {', '.join(SPLITS)}", f"line {line} of {table.name}: {arrived}"
        )
    files = {name: _file(table, line, values[name]) for name in ("source", "target", "mask") if values.get(name)}
    facts = {name: value for name, value in values.items() if name not in KNOWN}
    return Pair(values["patient"], files["source"], files["target"], files.get("mask"), split, facts)


def _file(table: Path, line: int, name: str) -> Path:
    path = table.parent / name
    if not path.exists():
        raise TableError(
            "Every file of a table is there", f"line {line} of {table.name}: there is no {name}", "Names are relative to the table"
        )
    return path


def refuse_straddling(pairs: Iterable[Pair]) -> None:
    """Refuse pairs of one patient in several splits.

    Raises
    ------
    TableError
        Counting the patients, without naming them.
    """
    splits = defaultdict(set)
    for pair in pairs:
        splits[pair.patient].add(pair.split)
    straddling = [found for found in splits.values() if len(found) > 1]
    if straddling:
        raise TableError(
            "A patient belongs to one split",
            f"{len(straddling)} of {len(splits)} patients are in several, such as {' and '.join(sorted(straddling[0]))}",
            "Give all rows of a patient the same split",
        )


def folds(pairs: tuple[Pair, ...], count: int, *, by: str = "", seed: int = 0) -> tuple[tuple[Pair, ...], ...]:
    """Divide patients into folds for cross-validation.

    Parameters
    ----------
    pairs : tuple of Pair
        Rows whose split is "test" are left out; the others' splits are made anew.
    count : int
        Number of folds, 2 or more.
    by : str
        Column whose values every fold should hold in equal shares; none where empty.
    seed : int
        Of the drawing.

    Returns
    -------
    tuple of tuples of Pair
        For each fold all pairs, those of the fold for validation and the others for training.

    Raises
    ------
    TableError
        There are fewer patients than folds, or no such column.
    """
    used = [pair for pair in pairs if pair.split != "test"]
    patients = {pair.patient: pair.facts.get(by, "") if by else "" for pair in used}
    if not 2 <= count <= len(patients):
        raise TableError(
            "There are 2 folds or more and at least as many patients", f"{count} folds of {len(patients)} patients were asked for"
        )
    if by and not all(by in pair.facts for pair in used):
        raise TableError(f"Every pair has the column {by!r} that folds are stratified by", "it is not in the table")
    place = _places(patients, count, random.Random(seed))
    return tuple(
        tuple(replace(pair, split="validation" if place[pair.patient] == fold else "train") for pair in used) for fold in range(count)
    )


def _places(patients: Mapping[str, str], count: int, rng: random.Random) -> dict[str, int]:
    """Fold of every patient: those of one stratum are dealt round after round, the next stratum goes on where the last ended."""
    strata = defaultdict(list)
    for patient in sorted(patients):
        strata[patients[patient]].append(patient)
    order = []
    for _, members in sorted(strata.items()):
        rng.shuffle(members)
        order += members
    return {patient: number % count for number, patient in enumerate(order)}


def counts(pairs: Iterable[Pair]) -> dict[str, int]:
    """Count pairs by split."""
    return dict(Counter(pair.split for pair in pairs))
