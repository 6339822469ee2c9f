"""The curve that takes fluid to fluid, grey matter to grey matter and white matter to white matter between two T1 looks.

Matching quantiles would be wrong here: the wished key is another person's or an average, whose shares of the tissues are not
this person's, so that equal quantiles are not equal tissues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_harmonize.style.key import StyleKey

TISSUES = (0.18, 0.46, 0.36)
"""Usual shares of fluid, grey and white matter in a stripped brain; they count as much as the key itself."""
MIDDLES = (0.09, 0.41, 0.82)
"""Where the middle of each lies among the sorted voxels: where the fit begins."""
WIDTHS = (0.015, 0.1)
ROUNDS = 30
LOWEST = 0.01
"""Quantile of the dark end of the curve; the bright end is 1, which every key has as its 99.5th percentile."""
APART = 1e-4


def tissues(key: StyleKey) -> NDArray[np.float64]:
    """Intensities of fluid, grey and white matter in a T1: a mixture of three normal distributions, by expectation maximisation.

    The shares are held towards the usual ones (a Dirichlet prior), so that two tissues that look alike are still told apart.

    Parameters
    ----------
    key : StyleKey
        Look of a stripped brain.

    Returns
    -------
    (3,) float64
        Means 0..1, rising.
    """
    x, usual = key.centres[:, None], np.asarray(TISSUES)
    h = key.histogram[:, None] / key.histogram.sum()
    means, widths, shares = key.quantiles(MIDDLES), np.full(3, 0.08), usual
    for _ in range(ROUNDS):
        density = shares / widths * np.exp(-0.5 * ((x - means) / widths) ** 2)
        weight = density / (density.sum(1, keepdims=True) + 1e-9) * h  # (bins, 3)
        count = weight.sum(0) + 1e-6
        means = (weight * x).sum(0) / count
        spread = (weight * (x - means) ** 2).sum(0) / count
        widths = np.sqrt(spread + 1e-4).clip(*WIDTHS)
        shares = (count / count.sum() + usual) / 2
    return np.sort(means)


def recolouring(there: StyleKey, wished: StyleKey) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the knots of the rising, piecewise linear curve that takes the tissues of one key to those of the other.

    Parameters
    ----------
    there, wished : StyleKey
        Looks of what is there and of what is wished.

    Returns
    -------
    (5,) float64
        Intensities there, 0..1, rising: dark end, three tissues, bright end. Below the dark end the curve is level.
    (5,) float64
        What becomes of them, 0..1; between equal keys the same.
    """
    apart = np.arange(5) * APART  # so that no two places are the same
    one, other = _places(there) + apart, _places(wished) + apart
    return one, other.clip(0, 1)


def _places(key: StyleKey) -> NDArray[np.float64]:
    """Dark end, three tissues, bright end, never falling."""
    return np.maximum.accumulate([*key.quantiles([LOWEST]), *tissues(key), 1.0])
