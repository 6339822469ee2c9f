"""A section's findings as JSON values; numbers that are not finite become null."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_harmonize.findings.columns import FRECHET, column
from napari_harmonize.findings.statistics import Summary, pooled_distance
from napari_harmonize.findings.subjects import TASKS
from napari_harmonize.findings.ways import TRUTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.findings.cache import Measurement
    from napari_harmonize.findings.claims import Verdict
    from napari_harmonize.findings.costs import NetworkCost
    from napari_harmonize.findings.section import Section
    from napari_harmonize.findings.settings import BenchmarkSettings
    from napari_harmonize.findings.table import Table


def section_to_json(
    section: Section,
    tables: Sequence[Table],
    verdicts: Sequence[tuple[str, Verdict]],
    costs: Sequence[NetworkCost],
    pictures: Sequence[tuple[str, str]],
    features: str,
    settings: BenchmarkSettings,
) -> dict[str, Any]:
    """Put a section's findings into JSON values.

    Parameters
    ----------
    section : Section
        What was asked.
    tables, verdicts, costs
        What came of it; verdicts with their task.
    pictures : sequence of (str, str)
        File name and caption.
    features : str
        Which features a Fréchet distance is one of.
    settings : BenchmarkSettings
        How much was measured.
    """
    whole = section.whole or settings.full
    return {
        "title": section.title,
        "about": section.about,
        "differs": list(section.differs),
        "paper": section.paper,
        "measured on": "whole volumes" if whole else f"the {settings.slices} axial slices in the middle of each subject",
        "tables": [_table(section, table, features) for table in tables],
        "claims": [_claim(task, verdict) for task, verdict in verdicts],
        "costs": [asdict(cost) | {"size": list(cost.size)} for cost in costs],
        "pictures": [{"file": name, "caption": caption} for name, caption in pictures],
    }


def _table(section: Section, table: Table, features: str) -> dict[str, Any]:
    rows = []
    for way in table.ways:
        if way.name in table.found and way.name != TRUTH:
            numbers = {name: _number(name, table, way.name) for name in section.columns}
            rows.append({"way": way.name, "model": way.model, "curve": way.curve, "steps": way.changes.get("steps"), "numbers": numbers})
    return {
        "task": table.task,
        "title": TASKS[table.task].title,
        "group": table.group,
        "subjects": len(table.subjects),
        "columns": {name: column(name, features).heading for name in section.columns},
        "rows": rows,
        "absent": dict(table.absent),
    }


def _number(name: str, table: Table, way: str) -> dict[str, Any]:
    """Mean, standard deviation and count of one number, or the one distance of all subjects together."""
    found = table.found[way]
    if name == FRECHET:
        truth = table.found.get(TRUTH, [])
        return {"mean": distance(found, truth), "deviation": None, "count": len(found)}
    summary = Summary.of([one.scores.get(name, math.nan) for one in found])
    return {"mean": _plain(summary.mean), "deviation": _plain(summary.deviation), "count": summary.count}


def distance(found: Sequence[Measurement], truth: Sequence[Measurement]) -> float | None:
    """Fréchet distance of what was made to what is true, over all subjects; None where slices are too few."""
    sets = ([one.features for one in measured if len(one.features)] for measured in (found, truth))
    made, true = sets
    if sum(map(len, made)) < 2 or sum(map(len, true)) < 2:
        return None
    return _plain(pooled_distance(made, true))


def _claim(task: str, verdict: Verdict) -> dict[str, str]:
    claim = verdict.claim
    return {"task": task, "text": claim.text, "found in": claim.found_in, "outcome": verdict.outcome, "reason": verdict.reason}


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
