"""Scores of one run or two as rows of a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_harmonize.session import Run

HEADERS = ("Metric", "Result", "Result B", "Unit", "Better", "Note")


def score_rows(first: Run | None, second: Run | None) -> list[tuple[str, ...]]:
    """Put the scores of run A, and of run B where there is one, into rows.

    Parameters
    ----------
    first, second : Run, optional
        The run looked at, and the one it is compared with.

    Returns
    -------
    list of tuple of str
        In the order of :data:`HEADERS`.
    """
    from napari_harmonize.metrics import METRICS

    scores = {score.name: score for run in (second, first) if run is not None for score in run.scores}
    values = [{score.name: score.value for score in run.scores} if run is not None else {} for run in (first, second)]
    rows: list[tuple[str, ...]] = []
    for name, score in scores.items():
        better = {True: "higher", False: "lower"}.get(METRICS[name].higher_is_better, "") if name in METRICS else ""
        one, other = (_number(found.get(name)) for found in values)
        title, note = (METRICS[name].title, score.note or METRICS[name].help) if name in METRICS else (name, score.note)
        rows.append((title, one, other, score.unit, better, note))
    return rows


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if math.isfinite(value) else str(value)
