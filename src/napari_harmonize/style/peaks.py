"""Where the tissues are in a style key."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.style.key import HIGH, LOW, StyleKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMOOTHING = 0.02
LEAST_PROMINENCE = 0.05
HALO = 0.03
CLIPPED = 0.99
OWN = 0.06
APART = 0.02
USUAL_SHARES = (0.05, 0.4, 0.8)


def peaks(key: StyleKey) -> tuple[float, float, float]:
    """Find the three tissue peaks: in a T1 look cerebrospinal fluid, grey matter, white matter.

    The histogram is smoothed (Gaussian, sigma 0.02, which also hides the comb that whole numbers leave); its maxima
    count where they stand out by 5 % of the highest, below 0.03 (the halo of the background) and above 0.99 (clipped
    values) excepted. Of more than three, and of those within 0.06 of each other, the most prominent are taken. Fewer
    are what most brains give, as fluid is rare: those found become the peaks whose usual share of the foreground
    below them (5, 40 and 80 %) they are nearest to, and the missing ones are put at quantiles, evenly between the
    shares of their neighbours, so that there are always three.

    Parameters
    ----------
    key : StyleKey
        The key.

    Returns
    -------
    tuple of three float
        Intensities, dark to bright, at least 0.02 from each other and from the ends of the range.
    """
    found = _maxima(key)
    shares = np.interp(found, key.edges, key.share_below())
    taken = min(combinations(range(3), len(found)), key=lambda places: sum(abs(shares - np.array(USUAL_SHARES)[list(places)])))
    filled = np.interp(range(3), [-1, *taken, 3], [0, *shares, 1])
    placed = np.array(key.quantiles(filled))
    placed[list(taken)] = found
    return _apart(placed)


def _maxima(key: StyleKey) -> NDArray[np.float64]:
    """Intensities of at most three maxima of the smoothed histogram, dark to bright."""
    smooth = _smooth(key)
    inner = np.flatnonzero((smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]))
    inner = inner[(key.centres[inner] > HALO) & (key.centres[inner] < CLIPPED)]
    ranked = sorted(((_prominence(smooth, place + 1), place) for place in inner.tolist()), reverse=True)
    chosen: list[float] = []
    for prominence, place in ranked:
        centre = float(key.centres[place])
        if len(chosen) < 3 and prominence >= LEAST_PROMINENCE * smooth.max() and all(abs(centre - other) >= OWN for other in chosen):
            chosen.append(centre)
    return np.array(sorted(chosen))


def _smooth(key: StyleKey) -> NDArray[np.float64]:
    """Smoothed histogram with an empty bin before and after, (bins + 2,)."""
    sigma = SMOOTHING * key.bins
    reach = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    wide = np.convolve(key.histogram, kernel / kernel.sum())[reach : reach + key.bins]
    return np.concatenate([[0.0], wide, [0.0]])


def _prominence(curve: NDArray[np.float64], place: int) -> float:
    """Height above the higher of the two valleys that part a maximum from higher ground."""
    higher = np.flatnonzero(curve > curve[place])
    left = higher[higher < place].max(initial=0)
    right = higher[higher > place].min(initial=len(curve) - 1)
    return float(curve[place] - max(curve[left : place + 1].min(), curve[place : right + 1].min()))


def _apart(placed: NDArray[np.float64]) -> tuple[float, float, float]:
    steps = APART * np.arange(1, 4)
    spread = np.maximum.accumulate(np.maximum(placed - steps, LOW)) + steps
    dark, middle, bright = np.minimum(spread, HIGH - steps[::-1]).tolist()
    return dark, middle, bright
