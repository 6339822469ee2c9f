"""The numbers of one translated subject, inside the slices that are measured.

A model answers on the scale of its targets, where 1 is their 99.5th percentile, and is measured as it answered, which is how the
papers measure. Divided once more by its own percentile, an answer would lose the very tone that a style key asks for. The truth, and
what has no such scale (a source, a baseline), is divided by the 99.5th percentile of the whole volume in the mask.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import Undefined, VolumeError
from napari_harmonize.findings.cache import NONE, Measurement
from napari_harmonize.findings.columns import FRECHET, SLICE, TISSUE
from napari_harmonize.metrics import METRICS, evaluate, scale
from napari_harmonize.metrics.angiography import slice_scores
from napari_harmonize.metrics.tissue import agreement
from napari_harmonize.tissue import segment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_harmonize.findings.subjects import Subject

FeatureMaker = "Callable[[NDArray[np.float64]], NDArray[np.float64]]"


def measure(
    result: NDArray[np.float32],
    subject: Subject,
    slices: range,
    asked: Sequence[str],
    features: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None,
    answered: bool,
) -> Measurement:
    """Measure a result against a subject's truth.

    Parameters
    ----------
    result : (i, j, k) float32
        On the subject's grid.
    subject : Subject
        Who.
    slices : range
        Axial slices that count.
    asked : sequence of str
        Names of columns.
    features : callable, optional
        From slices (n, rows, columns) in 0..1 to (n, features); asked for where a Fréchet distance is.
    answered : bool
        Whether the result is a model's answer on the scale of its targets.
    """
    volumes = (subject.truth.data, subject.case.source.data)
    made, truth, source = (
        data[:, :, slices.start : slices.stop]
        for data in (unit(result, subject.inside, answered), *(unit(np.asarray(data), subject.inside) for data in volumes))
    )
    inside = subject.inside[:, :, slices.start : slices.stop]
    known = [name for name in asked if name in METRICS]
    found = evaluate(made, truth, source, inside, metrics=known, scaled=True) if inside.any() else ()
    scores = {score.name: score.value for score in found}
    scaled = [slices_first(data) for data in (made, truth)]
    if any(name in SLICE for name in asked):
        scores |= _slices(*scaled)
    if any(name in TISSUE for name in asked):
        scores |= _tissues(result, subject)
    described = features(scaled[0]) if features is not None and FRECHET in asked else NONE
    picture = scaled[0][len(scaled[0]) // 2].astype(np.float32)
    return Measurement({name: scores.get(name, math.nan) for name in asked if name != FRECHET}, described, picture)


def unit(data: NDArray[Any], inside: NDArray[np.bool_], answered: bool = False) -> NDArray[np.float64]:
    """Clip to 0..1, divided by the 99.5th percentile in the mask unless a model answered so; 0 outside, or where there is no scale."""
    try:
        return np.where(inside, np.clip(data, 0, 1) if answered else scale(data, inside), 0).astype(np.float64)
    except VolumeError:  # a result without a value above 0 is black
        return np.zeros(data.shape)


def slices_first(data: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn (i, j, k) to (k, i, j)."""
    return np.ascontiguousarray(np.moveaxis(data, 2, 0))


def _slices(made: NDArray[np.float64], truth: NDArray[np.float64]) -> Mapping[str, float]:
    try:
        return {f"slice-{name}": value for name, value in slice_scores(made, truth).items()}
    except Undefined:  # slices smaller than the window have no such number
        return {}


def _tissues(result: NDArray[np.float32], subject: Subject) -> Mapping[str, float]:
    """Agreement of the segmentations of result and truth, over the whole volume."""
    try:
        found = segment(result, subject.inside, subject.truth.spacing)
    except Undefined:  # a result of one value has no tissues
        return {}
    return agreement(found.labels, subject.tissues.labels, subject.truth.spacing)
