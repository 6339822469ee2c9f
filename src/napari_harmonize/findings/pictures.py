"""Pictures of the findings: slices side by side, and numbers over sampler steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.findings.columns import FRECHET, column
from napari_harmonize.findings.results import distance
from napari_harmonize.findings.statistics import Summary
from napari_harmonize.findings.subjects import TASKS
from napari_harmonize.findings.table import REAL
from napari_harmonize.findings.ways import TRUTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_harmonize.findings.section import Section
    from napari_harmonize.findings.table import Table

COLUMNS, CELL = 6, 1.9
MOST = 16
"""Pictures in one strip."""
WRAP = 24
MARK = "SYNTHETIC – translated by models, not for diagnosis"
DOTS = 80


def draw(name: str, section: Section, table: Table, features: str, folder: Path) -> list[tuple[str, str]]:
    """Draw a table's slices, and its curves where it has some.

    Parameters
    ----------
    name : str
        Of the section.
    section, table
        What was measured.
    features : str
        Which features a Fréchet distance is one of.
    folder : Path
        Where the PNG files go.

    Returns
    -------
    list of (str, str)
        File name and caption of each.
    """
    stem = f"findings-{name}-{table.task}{'-real' if table.group == REAL else ''}"
    title = TASKS[table.task].title
    kind = "simulated subject" if table.group != REAL else "real pair"
    _strip(_cells(table), folder / f"{stem}.png")
    found = [(f"{stem}.png", f"{title}: one axial slice of the first {kind}, on the scale of the truth")]
    curves = _curves(section, table)
    if curves:
        _plot(curves, section, features, folder / f"{stem}-steps.png")
        found.append((f"{stem}-steps.png", f"{title}: numbers over sampler steps, mean over {len(table.subjects)} subjects"))
    return found


def _cells(table: Table) -> list[tuple[str, NDArray[np.float32]]]:
    """Title and slice: source, ways, truth."""
    made = [(way.name, table.found[way.name][0].picture) for way in table.ways if way.name in table.found and way.is_model]
    if len(made) > MOST:  # evenly chosen, the first and the last among them
        made = [made[round(place)] for place in np.linspace(0, len(made) - 1, MOST)]
    return [("source", table.source), *made, ("truth", table.truth)]


def _strip(cells: Sequence[tuple[str, NDArray[np.float32]]], path: Path) -> None:
    import textwrap

    rows = -(-len(cells) // COLUMNS)
    figure = _figure((COLUMNS * CELL, rows * (CELL + 0.55) + 0.3), "black")
    figure.suptitle(MARK, color="#ff6b6b", size=8, weight="bold")
    places = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    for axes, (title, picture) in zip(places, cells, strict=False):
        axes.imshow(picture.T[:, ::-1], cmap="gray", vmin=0, vmax=1, origin="lower", interpolation="nearest")
        axes.set_title("\n".join(textwrap.wrap(title, WRAP)), color="white", size=6)
        for place, letter in ((0.02, "R"), (0.98, "L")):  # radiological: the patient's right is on the left
            axes.text(place, 0.5, letter, color="white", size=6, ha="center", va="center", transform=axes.transAxes)
    figure.savefig(path, facecolor="black")


def _curves(section: Section, table: Table) -> Mapping[str, Mapping[str, list[tuple[int, float]]]]:
    """Points (steps, mean) by number and curve."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for way in table.ways:
        if not way.curve or way.name not in table.found:
            continue
        for name in section.columns:
            value = _mean(table, way.name, name)
            if math.isfinite(value):
                found.setdefault(name, {}).setdefault(way.curve, []).append((int(way.changes["steps"]), value))
    return found


def _mean(table: Table, way: str, name: str) -> float:
    if name == FRECHET:
        pooled = distance(table.found[way], table.found.get(TRUTH, []))
        return math.nan if pooled is None else pooled
    return Summary.of([one.scores.get(name, math.nan) for one in table.found[way]]).mean


def _plot(curves: Mapping[str, Mapping[str, list[tuple[int, float]]]], section: Section, features: str, path: Path) -> None:
    wide = min(3, len(curves))
    rows = -(-len(curves) // wide)
    figure = _figure((wide * 3.6, rows * 2.7 + 0.4), "white")
    places = figure.subplots(rows, wide, squeeze=False).ravel()
    for axes in places[len(curves) :]:
        axes.set_axis_off()
    for axes, (name, drawn) in zip(places, curves.items(), strict=False):
        for curve, points in drawn.items():
            steps, values = zip(*sorted(points), strict=True)
            axes.plot(steps, values, "o--" if curve.endswith("DDIM") else "o-", label=curve, markersize=3, linewidth=1)
        axes.set_xscale("log", base=2)
        axes.set_title(column(name, features).heading, size=7)
        axes.set_xlabel("steps", size=7)
        axes.tick_params(labelsize=6)
        axes.grid(alpha=0.3)
    handles, names = places[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    figure.savefig(path)


def _figure(size: tuple[float, float], colour: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DOTS, facecolor=colour, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
