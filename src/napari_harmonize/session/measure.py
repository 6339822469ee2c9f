"""Numbers of what is shown: slice-consistency curves of every volume, and scores of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_harmonize.events import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_harmonize.events import Job
    from napari_harmonize.metrics import Score
    from napari_harmonize.session.backend import Backend
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.session.pair import Pair
    from napari_harmonize.session.runs import Run
    from napari_harmonize.volumes import Volume

Curves = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of the volumes shown.

    Parameters
    ----------
    compared : mapping of role to Volume
        "source" as it is; "result" and "truth" in one unit, so that one window suits both: HU where both are, else 0..1 (99.5th
        percentile in the mask); "difference", result minus truth, 0 outside the mask.
    curves : mapping of role to three (n - 1,) float64
        "source", "truth", "result": change between neighbouring slices along each array axis of the source's grid, of the
        volume scaled 0..1.
    outliers : three tuples of int
        For each axis, slices where the result jumps more than the truth (or the source) does.
    """

    compared: Mapping[str, Volume] = field(default_factory=lambda: MappingProxyType({}))
    curves: Mapping[str, Curves] = field(default_factory=lambda: MappingProxyType({}))
    outliers: tuple[tuple[int, ...], ...] = ((), (), ())


class MeasurePart:
    """Measures what is shown, away from the main thread.

    Attributes
    ----------
    value : Measured
        Of the volumes shown; empty until measured.
    changed : Signal(Measured)
        New numbers, or none after a volume went.
    """

    changed = Signal(object)

    def __init__(self, desk: Desk, backend: Backend) -> None:
        self._desk, self._backend = desk, backend
        self.value = Measured()

    def measure(self, pair: Pair, run: Run | None) -> Request | None:
        """Measure the pair and the run looked at."""
        volumes = shown_volumes(pair, run)
        if not volumes:
            self._show(Measured())
            return None
        return self._desk.ask("curves", "Slice consistency", measure_job(self._backend, pair, volumes), self._show)

    def evaluate(self, pair: Pair, run: Run, answer: Callable[[tuple[Score, ...]], None]) -> Request:
        """Score a run against the pair."""
        return self._desk.ask("evaluate", f"Measuring {run.id}", evaluate_job(self._backend, pair, run), answer)

    def _show(self, measured: Measured) -> None:
        self.value = measured
        self.changed.emit(measured)


def shown_volumes(pair: Pair, run: Run | None) -> dict[str, Volume]:
    """Give the volumes on the source's grid, by role; a result of another grid is left out."""
    result = None if run is None or run.result is None else run.result.volume
    known = {"source": pair.source, "truth": pair.truth_on_source, "result": result}
    shape = None if pair.source is None else pair.source.shape
    return {role: volume for role, volume in known.items() if volume is not None and volume.shape == shape}


def mask_of(backend: Backend, pair: Pair) -> NDArray[np.bool_]:
    """Give the mask of the pair on the source's grid, or the source's foreground where there is none."""
    assert pair.source is not None
    if pair.mask_on_source is not None:
        inside: NDArray[np.bool_] = pair.mask_on_source.data > 0
        return inside
    return backend.foreground(pair.source)


def measure_job(backend: Backend, pair: Pair, volumes: Mapping[str, Volume]) -> Job[Measured]:
    """Bring the volumes shown to one unit and measure how neighbouring slices change.

    Parameters
    ----------
    backend : Backend
        What measures.
    pair : Pair
        Gives the mask.
    volumes : mapping of role to Volume
        All on the source's grid.

    Returns
    -------
    Measured
        Without curves where there is nothing inside the mask, as in a volume of one single value.
    """
    yield Stage("Slice consistency")
    mask = mask_of(backend, pair)
    if not mask.any():
        return Measured(dict(volumes))
    curves: dict[str, Curves] = {}
    units: dict[str, NDArray[np.float32]] = {}
    for done, (role, volume) in enumerate(volumes.items()):
        yield Progress(done, len(volumes), "volumes")
        units[role] = backend.unit(volume, mask).astype(np.float32, copy=False)
        curves[role] = (backend.changes(units[role], mask, 0), backend.changes(units[role], mask, 1), backend.changes(units[role], mask, 2))
    yield Progress(len(volumes), len(volumes), "volumes")
    return Measured(backend.compared(volumes, mask), curves, _outliers(backend, curves))


def _outliers(backend: Backend, curves: Mapping[str, Curves]) -> tuple[tuple[int, ...], ...]:
    if "result" not in curves:
        return (), (), ()
    reference = curves.get("truth", curves["source"])
    return tuple(backend.outliers(curve, beside) for curve, beside in zip(curves["result"], reference, strict=True))


def evaluate_job(backend: Backend, pair: Pair, run: Run) -> Job[tuple[Score, ...]]:
    """Score a result with every metric whose needs are met.

    Parameters
    ----------
    backend : Backend
        What measures.
    pair : Pair
        Source, truth and mask.
    run : Run
        With a result on the source's grid.
    """
    yield Stage("Measuring", run.id)
    assert run.result is not None
    mask = mask_of(backend, pair)
    volumes = shown_volumes(pair, run)
    arrays = {role: volume.data for role, volume in volumes.items()}
    key = None if run.case is None else run.case.key
    return backend.evaluate(**arrays, mask=mask, key=key)
