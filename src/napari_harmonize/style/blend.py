"""Between two keys, and how far apart they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.errors import StyleError
from napari_harmonize.style.compute import same_bins
from napari_harmonize.style.key import HIGH, LOW, TOTAL, Origin, StyleKey, from_histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def blend(a: StyleKey, b: StyleKey, weight: float) -> StyleKey:
    """Blend two keys by interpolating their quantiles.

    Peaks move from where they are in ``a`` to where they are in ``b``; mixing counts instead would give the peaks of
    both. The quantile function of the blend is (1 - weight) Q_a + weight Q_b, and it is put back into bins without
    any sampling.

    Parameters
    ----------
    a, b : StyleKey
        Keys with as many bins.
    weight : float
        0 gives the look of ``a``, 1 that of ``b``, to rounding.

    Returns
    -------
    StyleKey
        The blend; it peeks if one of both does, and remembers both.

    Raises
    ------
    StyleError
        The weight is outside 0..1, or the keys differ in their number of bins.
    """
    if not 0 <= weight <= 1:
        raise StyleError("The weight of a blend is from 0 to 1", f"{weight} arrived")
    same_bins(a, b)
    shares = np.union1d(a.share_below(), b.share_below())
    shares = shares[np.concatenate([[True], np.diff(shares) > 1e-14])]
    ends = (1 - weight) * _quantile_ends(a, shares) + weight * _quantile_ends(b, shares)
    below = np.interp(a.edges, ends.ravel(), np.stack([shares[:-1], shares[1:]], axis=1).ravel())
    below[[0, -1]] = 0, 1
    step = f"blend of {a.describe()} and {b.describe()}, weight {weight:.3f}"
    return from_histogram(
        np.diff(below),
        label=f"{a.label} to {b.label}, {weight:.0%}",
        origin=Origin.BLEND,
        history=(*a.history, *(line for line in b.history if line not in a.history), step),
        peeks=a.peeks or b.peeks,
    )


def distance(a: StyleKey, b: StyleKey) -> float:
    """Measure how far the intensities of one key must move to become the other: the Wasserstein-1 distance.

    Parameters
    ----------
    a, b : StyleKey
        Keys with as many bins.

    Returns
    -------
    float
        In intensity units, 0 for the same histogram to 0.999 for all black against all white.

    Raises
    ------
    StyleError
        The keys differ in their number of bins.
    """
    return float(distances(a, (b,))[0])


def distances(key: StyleKey, others: Sequence[StyleKey]) -> NDArray[np.float64]:
    """Measure :func:`distance` from one key to several.

    Parameters
    ----------
    key : StyleKey
        The key.
    others : sequence of StyleKey
        At least one, with as many bins.

    Returns
    -------
    (len(others),) float64
        In intensity units.

    Raises
    ------
    StyleError
        The keys differ in their number of bins.
    """
    same_bins(key, *others)
    cumulative = np.stack([other.curves[1] for other in others])
    return np.asarray(np.abs(cumulative - key.curves[1]).sum(1) / TOTAL * (HIGH - LOW) / key.bins)


def _quantile_ends(key: StyleKey, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantile function at both ends of each interval of shares, (n - 1, 2), from inside: a gap is no part of it."""
    filled = np.flatnonzero(key.histogram)
    below = key.share_below()
    middles = (shares[:-1] + shares[1:]) / 2
    bin_ = filled[np.minimum(np.searchsorted(below[filled + 1], middles), len(filled) - 1)]
    width = (HIGH - LOW) / key.bins
    per_share = width / (below[bin_ + 1] - below[bin_])
    inside = [np.clip((side - below[bin_]) * per_share, 0, width) for side in (shares[:-1], shares[1:])]
    return np.asarray(key.edges[bin_][:, None] + np.stack(inside, axis=1))
