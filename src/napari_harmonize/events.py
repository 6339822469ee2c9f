"""What a job may say while it works, and how to run one to its end.

A job is a generator of small frozen events that returns its result. It knows no session, no viewer and
no progress bar: the terminal iterates it, a test calls :func:`finish`, the window gives it to its runner.
Closing a job stops it at its next event, and jobs say something after every batch of network evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stage:
    """A named part of the work begins.

    Parameters
    ----------
    name : str
        What is being done, as shown to the user ("Sampling").
    detail : str
        Numbers worth seeing ("batch 8, bf16 off").
    """

    name: str
    detail: str = ""


@dataclass(frozen=True)
class Progress:
    """How much of the whole job is done.

    Parameters
    ----------
    done, total : int
        Units of work, ``0 <= done <= total``; the total does not change within a stage.
    unit : str
        What is counted ("network evaluations").
    """

    done: int
    total: int
    unit: str = "steps"


@dataclass(frozen=True, eq=False)
class Preview:
    """The predicted clean image so far.

    Parameters
    ----------
    slices : (n, h, w) float32
        Slices along the model's axis, in the model's own frame, 0..1.
    indices : tuple of int
        Their positions along that axis.
    step, steps : int
        Sampler step the prediction belongs to, and how many there are.
    """

    slices: NDArray[np.float32]
    indices: tuple[int, ...]
    step: int
    steps: int


@dataclass(frozen=True)
class Note:
    """A sentence the user should be able to read afterwards.

    Parameters
    ----------
    text : str
        One sentence.
    level : str
        "info" or "warning".
    """

    text: str
    level: str = "info"


@dataclass(frozen=True)
class Point:
    """A point of a curve that is drawn while the job runs; every one of them counts.

    Parameters
    ----------
    curve : str
        Which curve ("loss", "ssim", "psnr").
    step : int
        Where it stands.
    value : float
        How high; finite.
    """

    curve: str
    step: int
    value: float


@dataclass(frozen=True)
class Written:
    """A file was written that may be looked at before the job ends.

    Parameters
    ----------
    path : Path
        The file.
    step : int
        What it shows the state of.
    """

    path: Path
    step: int


Event = Stage | Progress | Preview | Note | Point | Written
Result = TypeVar("Result")
Job = Generator[Event, None, Result]


def finish(job: Job[Result], listen: Callable[[Event], None] | None = None) -> Result:
    """Run a job to its end and return its result.

    Parameters
    ----------
    job : generator of events
        The job.
    listen : callable, optional
        Called with every event.

    Returns
    -------
    object
        What the job returns.
    """
    while True:
        try:
            event = next(job)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if listen is not None:
            listen(event)
