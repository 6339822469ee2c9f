"""Pairs that are made once and kept: a folder for each task, filled subject by subject, so that a stopped run goes on.

A subject is drawn once and scanned for every task; each pair is the one ``simulate`` would write.
"""

from __future__ import annotations

import csv
import functools
import json
from typing import TYPE_CHECKING, Any

import torch

from napari_harmonize.errors import WriteError
from napari_harmonize.events import Job, Progress, Stage
from napari_harmonize.settings import to_json
from napari_harmonize.simulate.own import content, prepare
from napari_harmonize.simulate.pairs import COLUMNS, make_pair, write_labels, write_pair
from napari_harmonize.simulate.subjects import varied_subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_harmonize.simulate.settings import SimulationSettings

TABLE, SETTINGS = "pairs.csv", "simulation.json"


def keep_pairs(tasks: Mapping[Path, SimulationSettings], count: int) -> Job[tuple[Path, ...]]:
    """Make the pairs that are not there yet.

    Parameters
    ----------
    tasks : mapping of Path to SimulationSettings
        Which pairs belong into which folder.
    count : int
        How many each folder shall hold at least, from ``first`` of its settings on.

    Yields
    ------
    Event
        Progress after each pair that was made.

    Returns
    -------
    tuple of Path
        The tables, in the order of the folders.

    Raises
    ------
    WriteError
        A folder holds pairs of other settings.
    HarmonizeError
        The template is not installed, or a brain of the user's own cannot be used.
    """
    for folder, settings in tasks.items():
        _refuse_others(folder, settings)
    missing = [(number, folder) for number in range(count) for folder, how in tasks.items() if how.first + number not in _made(folder)]
    draw = functools.lru_cache(maxsize=1)(varied_subject)
    if missing:
        for own, first in dict.fromkeys((how.subject.anatomies, how.first) for how in tasks.values()):
            yield from prepare(own, first + missing[0][0], count - missing[0][0])
    for folder, settings in tasks.items():
        _claim(folder, settings)
    if missing:
        yield Stage("Simulating", f"{len(missing)} pairs")
    for done, (number, folder) in enumerate(missing, 1):
        settings = tasks[folder]
        if settings.threads:
            torch.set_num_threads(settings.threads)
        _append(folder, write_pair(make_pair(settings, settings.first + number, draw), settings, folder))
        yield Progress(done, len(missing), "pairs")
    return tuple(folder / TABLE for folder in tasks)


def _refuse_others(folder: Path, settings: SimulationSettings) -> None:
    """Refuse a folder whose pairs are of other settings, or that holds another table."""
    told = folder / SETTINGS
    if told.exists():
        if json.loads(told.read_text(encoding="utf-8")) != _asked(settings):
            raise WriteError(
                "A folder's pairs are of one kind",
                f"{folder.name} holds pairs of other settings",
                "Name another folder, or the same settings",
            )
    elif (folder / TABLE).exists():
        raise WriteError("Pairs are kept in a folder of their own", f"{folder.name} holds another table", "Name another folder")


def _claim(folder: Path, settings: SimulationSettings) -> None:
    """Note whose pairs a folder holds."""
    told = folder / SETTINGS
    if not told.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_labels(folder)
        told.write_text(json.dumps(_asked(settings), indent=1) + "\n", encoding="utf-8")


def _asked(settings: SimulationSettings) -> dict[str, Any]:
    """Settings as a folder keeps them: brains of the user's own by their content, and no word of them where there are none."""
    asked = to_json(settings)
    own = asked["subject"].pop("anatomies")
    del asked["device"]  # which changes no more than rounding
    return {**asked, "anatomies": content(own)} if own else asked


def _made(folder: Path) -> frozenset[int]:
    """Numbers of the pairs a folder's table lists."""
    table = folder / TABLE
    if not table.exists():
        return frozenset()
    with table.open(newline="", encoding="utf-8") as stream:
        return frozenset(int(row["patient"].rpartition("-")[2]) for row in csv.DictReader(stream))


def _append(folder: Path, row: Mapping[str, str]) -> None:
    """Add a pair to the table once its files are whole."""
    table = folder / TABLE
    fresh = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerow(row)
