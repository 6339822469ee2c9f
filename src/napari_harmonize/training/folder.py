"""What lies in the folder of a training run, read without torch, so that a run can be watched from anywhere."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_harmonize.errors import TrainingError
from napari_harmonize.training.curves import read_log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CHECKPOINT, LOG, CURVES, RESULT = "state.pt", "log.csv", "curves.png", "model"
TRIAL = "validation"
LOCK = ".lock"


@dataclass(frozen=True)
class Found:
    """How far the run of a folder has come.

    Parameters
    ----------
    checkpoint : bool
        Whether it can go on from there.
    finished : bool
        Whether its model is written.
    curves : mapping of str to (step, value) points
        "loss", "ssim" and "psnr", as far as they were logged.
    trials : tuple of int
        Steps whose translated validation pair is there, rising.
    """

    checkpoint: bool = False
    finished: bool = False
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=lambda: MappingProxyType({}))
    trials: tuple[int, ...] = ()


def look(folder: Path) -> Found:
    """Read how far a run has come; nothing where there is no such folder."""
    log = folder / LOG
    curves = {name: tuple(points) for name, points in read_log(log).items()} if log.is_file() else {}
    steps = sorted(int(path.name[len(TRIAL) + 1 :].split(".")[0]) for path in folder.glob(f"{TRIAL}-[0-9]*.nii.gz"))
    return Found((folder / CHECKPOINT).is_file(), (folder / RESULT).is_dir(), curves, tuple(steps))


def picture(folder: Path, step: int) -> Path:
    """PNG of the validation pair as translated at a step."""
    return folder / f"{TRIAL}-{step:07d}.png"


def trial(folder: Path, what: int | str) -> Path:
    """Volume of the validation pair: "source", "target", or the translation at a step."""
    return folder / f"{TRIAL}-{what if isinstance(what, str) else f'{what:07d}'}.nii.gz"


def rank() -> int:
    """Which of several processes of one run this is, each with a card of its own; 0, which alone writes, where it is the only one."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def work(folder: Path) -> Path:
    """Package of the weights that are translated with now, one for each process."""
    return folder / ("work" if rank() == 0 else f"work-{rank()}")


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep every other process out of a folder while this one trains there; a killed process keeps nobody out.

    Raises
    ------
    TrainingError
        Another one trains there, in a window or a terminal.
    """
    if rank():  # the first process of the run keeps others out
        yield
        return
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        asked = "Watch it in the Training dock, wait until it ends, or choose another folder"
        raise TrainingError("One run trains in a folder at a time", f"another window or terminal trains in {folder.name}", asked) from error
    try:
        yield
    finally:
        lock.release()
