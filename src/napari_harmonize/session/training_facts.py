"""What is known of a training run, as frozen values, and whether it may start."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_harmonize.volumes import Volume


class Phase(StrEnum):
    """Where a training run stands, as far as this session drives it."""

    IDLE = "idle"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True)
class Table:
    """What is known of the table of pairs.

    Parameters
    ----------
    counts : mapping of str to int
        Pairs by split.
    refusal : str
        Why it cannot be used.
    reading : bool
        Whether it is still being read.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    refusal: str = ""
    reading: bool = False


@dataclass(frozen=True)
class Progressed:
    """How a run that this session drives gets on.

    Parameters
    ----------
    stage, detail : str
        Of the job.
    done, total : int
        Training steps; total 0 until the job counts them.
    seconds_left : float, optional
        From the rate so far, validations included.
    """

    stage: str = ""
    detail: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """The first validation pair as translated at a step, on the source's grid; result and target in one unit."""

    step: int
    source: Volume
    result: Volume
    target: Volume


@dataclass(frozen=True)
class TrainingFacts:
    """What it depends on whether training may start; plain values only.

    Parameters
    ----------
    named : bool
        Whether a recipe or a model to begin with is chosen.
    table : str
        Name of the table; empty where none is chosen.
    pairs : Table
        What is known of it.
    folder : str
        Name of the run's folder; empty where none is chosen.
    looking : bool
        Whether the folder is still being read.
    finished, differs : bool
        Whether the folder holds a model, and whether its run was asked for something else.
    running : bool
        Whether this session is training.
    """

    named: bool = False
    table: str = ""
    pairs: Table = field(default_factory=Table)
    folder: str = ""
    looking: bool = False
    finished: bool = False
    differs: bool = False
    running: bool = False

    def refusal(self) -> str:
        """Say in one sentence why training may not start; empty where it may."""
        checks = (
            (self.running, "Training is running."),
            (not self.named, "Choose a recipe, or a model to begin with."),
            (not self.table, "Choose a table of pairs."),
            (self.pairs.reading, "The table is still being read."),
            (bool(self.pairs.refusal), self.pairs.refusal),
            (not self.pairs.counts.get("train"), "The table has no pair to train on; their split is train, or empty."),
            (not self.folder, "Choose a folder for the run."),
            (self.looking, "The folder is still being read."),
            (self.finished, f"{self.folder} holds a finished model; choose another folder."),
            (self.differs, f"The run of {self.folder} was asked for something else; choose another folder, or open this one again."),
        )
        return next((sentence for holds, sentence in checks if holds), "")
