"""Loss and validation over the steps of a run, as a picture beside its log."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CURVES = (
    ("loss", "loss", "#4477aa"),
    ("ssim", "SSIM of the validation pairs", "#228833"),
    ("psnr", "PSNR of the validation pairs, dB", "#cc3311"),
)


def read_log(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read the curves of a log: (step, value) by column.

    Cells without a finite number are left out. A run that was killed went on from its last checkpoint, so steps may stand in the log
    twice; what was written last counts.
    """
    found: dict[str, list[tuple[int, float]]] = {name: [] for name, _, _ in CURVES}
    with path.open(newline="", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            for name, points in found.items():
                if line.get(name) and math.isfinite(float(line[name])):
                    add_point(points, int(line["step"]), float(line[name]))
    return found


def add_point(points: list[tuple[int, float]], step: int, value: float) -> None:
    """Put a point at the end of a curve, in place of those that are not before it."""
    while points and points[-1][0] >= step:
        points.pop()
    points.append((step, value))


def draw_curves(log: Path, picture: Path) -> Path:
    """Draw the curves of a log.

    Parameters
    ----------
    log : Path
        The run's CSV.
    picture : Path
        PNG to write.

    Returns
    -------
    Path
        The picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = read_log(log)
    figure = Figure(figsize=(9, 7), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title, colour) in zip(figure.subplots(len(CURVES), 1, sharex=True), CURVES, strict=True):
        steps, values = zip(*found[name], strict=True) if found[name] else ((), ())
        axes.plot(steps, values, ".-", color=colour, markersize=3, linewidth=1)
        axes.set_title(title, size=10, loc="left")
        axes.grid(alpha=0.3)
    axes.set_xlabel("step")
    figure.savefig(picture)
    return picture
