"""What metrics say about themselves, and measuring a result with all that apply."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_harmonize.errors import SettingsError, Undefined
from napari_harmonize.metrics.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_harmonize.style import StyleKey

WHOLE = "no mask: the whole volume counts, background included"
NAN = float("nan")


@dataclass(frozen=True)
class MetricRow:
    """One metric.

    Parameters
    ----------
    title : str
        As shown in a table.
    unit : str
        "dB", "HU", "voxels", "bit", "intensity" (0..1), or nothing for a plain number.
    higher_is_better : bool
        Which way is better.
    best : float, optional
        Value of a perfect result; None where it depends on the case.
    needs : frozenset of str
        Out of "truth", "source", "mask", "key" and "repeats". With "mask" it is measured inside the mask, or over
        the whole volume where there is none, and says so.
    function : callable
        From a :class:`Comparison` to the number.
    reach : int, optional
        How many voxels out of the mask play a part; None where the whole volume does.
    values : str
        "any", or what the volumes must hold: "HU" or "0..1".
    on_request : bool
        Left out unless asked for by name, because it is slow or loads torch.
    when_zero : str
        What a value of 0 means, where that is not plain.
    """

    title: str
    unit: str
    higher_is_better: bool
    best: float | None
    needs: frozenset[str]
    function: Callable[[Comparison], float]
    reach: int | None = 0
    values: str = "any"
    on_request: bool = False
    when_zero: str = ""

    @property
    def help(self) -> str:
        """First line of the metric's own description."""
        return (self.function.__doc__ or "").split("\n", 1)[0].strip()


@dataclass(frozen=True)
class Score:
    """What a metric gave.

    Parameters
    ----------
    name : str
        Key in ``METRICS``.
    value : float
        The number; infinite for the PSNR of equal volumes; NaN where there is none, and then the note says why.
    unit : str
        Its unit.
    note : str
        What must be known to read it, else empty.
    """

    name: str
    value: float
    unit: str
    note: str = ""


def measure(
    table: Mapping[str, MetricRow],
    result: NDArray[Any],
    truth: NDArray[Any] | None = None,
    source: NDArray[Any] | None = None,
    mask: NDArray[Any] | None = None,
    key: StyleKey | None = None,
    metrics: Iterable[str] | None = None,
    *,
    repeats: Sequence[NDArray[Any]] = (),
    hounsfield: bool = False,
    scaled: bool = False,
) -> tuple[Score, ...]:
    """Measure a result with the metrics of a table; arguments and errors are those of ``evaluate``."""
    case = Comparison(result, truth, source, mask, key, tuple(repeats), hounsfield, scaled)
    names = _applicable(table, case) if metrics is None else _named(table, metrics)
    return tuple(_score(name, table[name], case) for name in names)


def _score(name: str, row: MetricRow, case: Comparison) -> Score:
    missing = sorted(row.needs - case.has)
    if missing:
        return Score(name, NAN, row.unit, f"needs {' and '.join(missing)}, which was not given")
    try:
        value = float(row.function(case))
    except Undefined as reason:
        return Score(name, NAN, row.unit, str(reason))
    notes = [WHOLE] if "mask" in row.needs and case.mask is None else []
    notes += [case.below_zero] if "truth" in row.needs and case.below_zero else []
    notes += [row.when_zero] if row.when_zero and value == 0 else []
    return Score(name, value, row.unit, "; ".join(notes))


def _applicable(table: Mapping[str, MetricRow], case: Comparison) -> tuple[str, ...]:
    other = "0..1" if case.hounsfield else "HU"
    return tuple(name for name, row in table.items() if row.needs <= case.has and row.values != other and not row.on_request)


def _named(table: Mapping[str, MetricRow], metrics: Iterable[str]) -> tuple[str, ...]:
    names = tuple(metrics)
    for name in names:
        if name not in table:
            near = difflib.get_close_matches(name, table, n=1, cutoff=0.0)
            raise SettingsError(f"There is no metric {name!r}", remedy=f"Did you mean {near[0]!r}?")
    return names
