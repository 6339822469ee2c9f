"""``evaluate``: a result against the truth, by the table of metrics."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_harmonize.cli import inputs, screen
from napari_harmonize.cli.options import Terminal
from napari_harmonize.metrics import METRICS
from napari_harmonize.metrics import evaluate as measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_harmonize.metrics import Score
    from napari_harmonize.volumes import Volume

TERMINAL = Terminal()


def evaluate(
    result: Path,
    truth: Path,
    /,
    *,
    source: Path | None = None,
    mask: Path | None = None,
    key: str | None = None,
    metrics: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    terminal: Terminal = TERMINAL,
) -> int:
    """Measure a result against the true volume, inside a mask.

    Truth, source and mask are resampled onto the result's grid where they are on another one.

    Parameters
    ----------
    result
        The translated volume.
    truth
        The true volume of the same contrast.
    source
        What was translated; some metrics compare with it.
    mask
        Where it is measured; the whole volume without one, and then the table says so.
    key
        The look that was asked for: FILE.json, FILE.json#NAME, or a model.
    metrics
        A metric to compute; all that apply where none is named. May be repeated.
    as_json
        Print JSON instead of a table.
    """
    made = inputs.read_volume(result)
    beside = {name: _beside(path, made, terminal, name) for name, path in (("truth", truth), ("source", source), ("mask", mask))}
    arrays: dict[str, Any] = {name: None if volume is None else volume.data for name, volume in beside.items()}
    wished = None if key is None else inputs.read_key(key)
    scores = measure(made.data, **arrays, key=wished, metrics=metrics or None, hounsfield=_hounsfield(made, beside["truth"]))
    screen.tell(_json(scores) if as_json else score_table(scores))
    return 0


def _beside(path: Path | None, grid: "Volume", terminal: Terminal, role: str) -> "Volume | None":
    if path is None:
        return None
    say = (lambda text: None) if terminal.quiet else screen.mention
    return inputs.onto(inputs.read_volume(path), grid, say, order=0 if role == "mask" else 1)


def _hounsfield(*volumes: "Volume | None") -> bool:
    from napari_harmonize.volumes import Meaning

    return all(volume is not None and volume.meaning is Meaning.HU for volume in volumes)


def score_table(scores: "Sequence[Score]") -> str:
    """Lay scores out, one line each."""
    rows = [(METRICS[score.name].title, number(score.value), score.unit, _better(score), score.note) for score in scores]
    return screen.table(rows, ("metric", "value", "unit", "better", "note"))


def comparison_table(columns: "Mapping[str, Sequence[Score]]") -> str:
    """Lay the same scores of several results out side by side."""
    first = next(iter(columns.values()))
    found = {title: {score.name: score.value for score in scores} for title, scores in columns.items()}
    rows = [
        (METRICS[score.name].title, *(number(values.get(score.name, math.nan)) for values in found.values()), score.unit, _better(score))
        for score in first
    ]
    return screen.table(rows, ("metric", *columns, "unit", "better"))


def number(value: float) -> str:
    """Write a value with four significant digits; "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:#.4g}" if math.isfinite(value) else f"{value}"


def _better(score: "Score") -> str:
    return "higher" if METRICS[score.name].higher_is_better else "lower"


def _json(scores: "Sequence[Score]") -> str:
    # JSON has no infinity and no NaN
    rows = [
        {"name": score.name, "value": score.value if math.isfinite(score.value) else None, "unit": score.unit, "note": score.note}
        for score in scores
    ]
    return json.dumps(rows, indent=1)
