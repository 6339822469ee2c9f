"""Means, spreads and paired tests of numbers measured on the same subjects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.metrics.frechet import frechet_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEWEST = 6
"""Fewest pairs for which Wilcoxon's exact test can fall below 0.05."""
LEVEL = 0.05
DRAWS = 200


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation over subjects.

    Parameters
    ----------
    mean, deviation : float
        Over the finite values; NaN where there are none, or fewer than two.
    count : int
        How many values were finite.
    """

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise one number of every subject."""
        kept = [value for value in values if math.isfinite(value)]
        mean = float(np.mean(kept)) if kept else math.nan
        return cls(mean, float(np.std(kept, ddof=1)) if len(kept) > 1 else math.nan, len(kept))


@dataclass(frozen=True)
class Paired:
    """The difference of two ways on the same subjects.

    Parameters
    ----------
    difference : float
        Mean of the first minus the second.
    p : float
        Of Wilcoxon's signed-rank test, two-sided, or of a bootstrap over subjects; NaN where there are too few.
    count : int
        Subjects.
    """

    difference: float
    p: float
    count: int


def paired(first: Sequence[float], second: Sequence[float]) -> Paired:
    """Compare one number of the same subjects, in the same order; a subject without both is left out.

    Parameters
    ----------
    first, second : sequence of float
        One for every subject.
    """
    from scipy.stats import wilcoxon

    differences = np.subtract(np.asarray(first, float), np.asarray(second, float))
    differences = differences[np.isfinite(differences)]
    count = len(differences)
    mean = float(differences.mean()) if count else math.nan
    if count < FEWEST:
        return Paired(mean, math.nan, count)
    return Paired(mean, float(wilcoxon(differences).pvalue) if differences.any() else 1.0, count)


def paired_distances(
    first: Sequence[NDArray[np.float64]], second: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]], seed: int = 0
) -> Paired:
    """Compare two Fréchet distances to the truth: p is twice the smaller share of resampled groups of subjects on either side of 0.

    Parameters
    ----------
    first, second, truth : sequence of (slices, features) float64
        Features of every subject, in the same order.
    seed : int
        Of the resampling.
    """
    count = len(truth)
    difference = pooled_distance(first, truth) - pooled_distance(second, truth)
    if count < FEWEST:
        return Paired(difference, math.nan, count)
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(DRAWS):
        chosen = rng.integers(0, count, count)
        one, other, true = ([features[number] for number in chosen] for features in (first, second, truth))
        drawn.append(pooled_distance(one, true) - pooled_distance(other, true))
    below = float(np.mean(np.array(drawn) < 0))
    return Paired(difference, max(2 * min(below, 1 - below), 1 / DRAWS), count)


def pooled_distance(made: Sequence[NDArray[np.float64]], truth: Sequence[NDArray[np.float64]]) -> float:
    """Fréchet distance of all subjects' slices taken together."""
    return frechet_distance(np.concatenate(list(made)), np.concatenate(list(truth)))
