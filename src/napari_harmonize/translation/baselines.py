"""Baselines every paper compares with, behind the same job as the models. They load no torch.

Each works on intensities divided by their 99.5th percentile inside the mask and clipped to 0..1, on the source's own
grid, and leaves 0 outside the mask.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.errors import ModelError, VolumeError
from napari_harmonize.events import Job, Note, Progress, Stage
from napari_harmonize.prepare import Context, foreground, mask_on
from napari_harmonize.translation import record
from napari_harmonize.translation.case import Case, Result
from napari_harmonize.translation.restore import synthetic
from napari_harmonize.volumes.volume import Meaning, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PREFIX = "baseline:"
QUANTILES = 10_001
LANDMARKS = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 99.0)


@dataclass(frozen=True)
class BaselineRow:
    """One baseline.

    Parameters
    ----------
    help : str
        One sentence.
    needs_reference : bool
        Whether it looks at a volume of the wished contrast.
    function : callable
        ``function(source, reference)``: source values inside the mask (n,) and the reference's (m,) or None, both 0..1;
        gives n new values.
    needs_key : bool
        Whether the values of the wished look's style key are its reference.
    """

    help: str
    needs_reference: bool
    function: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
    needs_key: bool = False


def identity(source: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave the source as it is."""
    return source


def match_histogram(source: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the source the reference's distribution of values, keeping their order."""
    from skimage.exposure import match_histograms

    matched: NDArray[np.float32] = match_histograms(source, reference).astype(np.float32)
    return matched


def standard_scale(samples: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Average the landmarks of several volumes, each stretched to 0..1 first (Nyúl et al. 2000).

    Parameters
    ----------
    samples : sequence of (n,) float
        Values inside the mask, one array for each volume.

    Returns
    -------
    (11,) float64
        Where the 1st, 10th, 20th ... 90th and 99th percentile lie; the first is 0 and the last 1.
    """
    found = [np.percentile(sample, LANDMARKS) for sample in samples]
    return np.asarray(np.mean([(marks - marks[0]) / max(marks[-1] - marks[0], np.finfo(float).tiny) for marks in found], axis=0))


def nyul(source: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map the source's landmarks piecewise linearly onto the reference's (Nyúl et al. 2000).

    The standard scale is learned from the one reference and laid between its own outer landmarks; beyond them the outer
    pieces go on with their slope.
    """
    low, high = np.percentile(reference, (LANDMARKS[0], LANDMARKS[-1]))
    target = low + standard_scale([reference]) * (high - low)
    marks = np.percentile(source, LANDMARKS).astype(np.float64)
    marks, first = np.unique(marks, return_index=True)
    return _piecewise(source, marks, target[first])


def _piecewise(values: NDArray[np.float32], marks: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float32]:
    """Piecewise linear map through (marks, target), its outer pieces drawn on."""
    if len(marks) < 2:
        return np.full_like(values, target[0])
    piece = np.clip(np.searchsorted(marks, values) - 1, 0, len(marks) - 2)
    slope = np.diff(target) / np.diff(marks)
    return (target[piece] + slope[piece] * (values - marks[piece])).astype(np.float32)


def translate_baseline(name: str, case: Case, *, reference: Volume | None = None) -> Job[Result]:
    """Run a baseline.

    Parameters
    ----------
    name : str
        Key of ``BASELINES``.
    case : Case
        Its mask, else the foreground, is what is looked at; its key is the wished look, where the baseline takes one.
    reference : Volume, optional
        A volume of the wished contrast; the case's truth where absent, and then the record says that it peeks.

    Returns
    -------
    Result
        0..1 on the source's own grid.

    Raises
    ------
    ModelError
        There is no such baseline, or it needs a reference or a style key and there is none.
    """
    if name not in BASELINES:
        raise ModelError(f"A baseline is one of {', '.join(BASELINES)}", f"{name!r} arrived")
    row, began, started = BASELINES[name], time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    yield Stage("Preparing")
    source, inside = _scaled(case.source, case.mask)
    other, peeks = _compared_with(name, case, reference, source[inside])
    notes = [peeks] if peeks else []
    if peeks:
        yield Note(peeks, "warning")
    yield Stage("Matching", row.help)
    data = np.zeros_like(source)
    data[inside] = np.clip(row.function(source[inside], other), 0, 1)
    yield Progress(1, 1, "volumes")
    volume = synthetic(data, case.source, Meaning.UNIT, "", f"the baseline {name}")
    facts = {
        **record.common(case, notes, peeks),
        "model": {"name": PREFIX + name, "title": row.help, "hash": "", "licence": "BSD-3-Clause", "trained_on": "nothing"},
        "reference": None if reference is None else record.volume_facts(reference),
        "style": record.style_facts(case.key) if row.needs_key else None,
        "evaluations": 0,
    }
    return Result(volume, record.run(facts, volume, started, time.perf_counter() - began))


def _compared_with(name: str, case: Case, reference: Volume | None, own: NDArray[np.float32]) -> tuple[NDArray[np.float32], str | None]:
    """Values a baseline looks at besides the source's own, and a sentence where they are the truth's."""
    row = BASELINES[name]
    if row.needs_key:
        if case.key is None:
            raise ModelError(f"{name} needs the style key of the wished look", "there is none", "Make one from a volume of that look")
        return case.key.quantiles(np.linspace(0, 1, QUANTILES)).astype(np.float32), record.peeking(case.key)
    if not row.needs_reference:
        return own, None
    volume, peeks = _reference(name, case, reference)
    scaled, inside = _scaled(volume, case.mask)
    return scaled[inside], peeks


def _reference(name: str, case: Case, reference: Volume | None) -> tuple[Volume, str | None]:
    if reference is not None:
        return reference, None
    if case.truth is None:
        raise ModelError(f"{name} needs a volume of the wished contrast", "neither a reference nor a truth is there", "Give one of them")
    return case.truth, f"The baseline {name} looked at the ground truth."


def _scaled(volume: Volume, mask: Volume | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values divided by their 99.5th percentile inside the mask, clipped to 0..1, and the mask."""
    inside = mask_on(volume, Context(mask if mask is not None else foreground(volume)))
    data = volume.data.astype(np.float32)
    scale = float(np.percentile(data[inside], 99.5))
    if not scale > 0:
        raise VolumeError("The 99.5th percentile inside the mask is above zero", f"it is {scale:g} in {volume.name}", "Check the mask")
    return np.clip(data / np.float32(scale), 0, 1), inside


BASELINES: dict[str, BaselineRow] = {
    "identity": BaselineRow("The source as it is.", False, identity),
    "histogram-matching": BaselineRow("The source with the histogram of a reference.", True, match_histogram),
    "key-matching": BaselineRow(
        "The source with the histogram of the wished style key: its look changes, its detail stays.", False, match_histogram, needs_key=True
    ),
    "nyul": BaselineRow("The source with the landmarks of a reference (Nyúl).", True, nyul),
}
