"""Fluid, grey and white matter in a picture that looks like a T1.

Three normal distributions, a Markov random field in the voxels' neighbours and a smooth unevenness of the coil, fitted by turns as FAST
does (Zhang, Brady and Smith, IEEE Trans Med Imaging 20:45, 2001). The three share one deviation, as the noise of a scan is the same in
every tissue: voxels that hold two tissues would else widen the darkest until it takes its neighbour's. They also weigh the same, or
grey matter would swallow white where the two hardly differ, as at 1.5 T.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import Undefined
from napari_harmonize.volumes.masks import bounding_box, check_mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TISSUES = ("csf", "grey", "white")
"""Darkest first, as in a T1; label 1 is the first, 0 is outside the mask."""
ROUNDS = 30
ENOUGH = 1e-4
STRENGTH = 0.2
NARROWEST = 1e-3
TINY = 1e-9
DEGREE = 3
FITTED = 20_000
DARK = 0.05


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What :func:`segment` found.

    Parameters
    ----------
    labels : (i, j, k) uint8
        0 outside the mask; 1, 2, 3 for the most likely of ``TISSUES``.
    shares : (3, i, j, k) float32
        Probability of each tissue, 0..1; 0 outside the mask.
    means : tuple of float
        Of each tissue, in units of the data divided by their 99.5th percentile in the mask.
    deviation : float
        Of all three, in the same units.
    """

    labels: NDArray[np.uint8]
    shares: NDArray[np.float32]
    means: tuple[float, ...]
    deviation: float


def segment(
    data: NDArray[Any], mask: NDArray[Any], spacing: Sequence[float] = (1.0, 1.0, 1.0), strength: float = STRENGTH, *, uneven: bool = True
) -> Segmentation:
    """Divide a brain that looks like a T1 into fluid, grey and white matter.

    Parameters
    ----------
    data : (i, j, k) array
        Any unit; fluid must be darkest and white matter brightest.
    mask : (i, j, k) array
        The brain: not zero inside.
    spacing : sequence of float
        Voxel size in mm; a neighbour counts the less the further away it is.
    strength : float
        Weight of the six neighbours; 0 looks at every voxel alone.
    uneven : bool
        Whether a smooth factor, e to the power of a polynomial of third degree in the position, is estimated and taken out.

    Raises
    ------
    VolumeError
        The mask is empty or of another shape.
    Undefined
        Fewer than three values are in the mask, so that there are no three tissues.
    """
    inside = check_mask(data.shape, mask)
    box = bounding_box(inside, 1, 3)
    core = inside[box]
    values = data[box][core].astype(np.float64)
    top = float(np.percentile(values, 99.5))
    values = np.clip(values / top, 0, None) if top > 0 else values
    if len(np.unique(values)) < len(TISSUES):
        raise Undefined("A segmentation into three tissues needs three values at least", f"{len(np.unique(values))} are in the mask")
    shares, means, deviation = _fitted(values, core, np.asarray(spacing, float), strength, uneven)
    whole = np.zeros((len(TISSUES), *data.shape), np.float32)
    whole[(slice(None), *box)] = shares
    labels = np.where(inside, whole.argmax(0) + 1, 0).astype(np.uint8)
    return Segmentation(labels, whole, tuple(means.tolist()), deviation)


def _fitted(
    values: NDArray[np.float64], core: NDArray[np.bool_], spacing: NDArray[np.float64], strength: float, uneven: bool
) -> tuple[NDArray[np.float32], NDArray[np.float64], float]:
    """Expectation and maximisation by turns, the neighbours' say being that of the round before."""
    means, deviation = _first(values)
    nearness = spacing.min() / spacing
    terms = _polynomials(core) if uneven else np.zeros((len(values), 0), np.float32)
    shares = np.zeros((len(TISSUES), *core.shape), np.float32)
    said: NDArray[np.floating[Any]] = np.zeros((len(TISSUES), len(values)))
    even = values
    for _ in range(ROUNDS):
        before = shares[:, core]
        score = said - 0.5 * ((even - means[:, None]) / deviation) ** 2
        likely = np.exp(score - score.max(0))
        likely /= likely.sum(0)
        shares[:, core] = likely
        said = strength * _neighbours(shares, nearness)[:, core]
        even = values / _unevenness(values, means @ likely, terms)
        total = likely.sum(1) + TINY
        means = (likely @ even) / total
        deviation = max(float(np.sqrt((likely * (even - means[:, None]) ** 2).sum() / len(even))), NARROWEST)
        if np.abs(likely - before).mean() < ENOUGH:
            break
    order = np.argsort(means)
    return shares[order], means[order], deviation


def _polynomials(core: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Products of up to three coordinates of every voxel inside, (voxels, 19); each runs from -1 to 1 over the box."""
    places = [2 * place / max(size - 1, 1) - 1 for place, size in zip(np.nonzero(core), core.shape, strict=True)]
    powers = [power for power in itertools.product(range(DEGREE + 1), repeat=3) if 0 < sum(power) <= DEGREE]
    return np.stack([np.prod([place**up for place, up in zip(places, power, strict=True)], axis=0) for power in powers], 1).astype(
        np.float32
    )


def _unevenness(values: NDArray[np.float64], expected: NDArray[np.float64], terms: NDArray[np.float32]) -> NDArray[np.float64]:
    """Smooth factor between what is seen and what is expected, its logarithm fitted by least squares and of mean 0.

    A voxel counts by the square of what is expected there, since noise moves the logarithm of bright voxels least.
    """
    if not terms.shape[1]:
        return np.ones_like(values)
    some = slice(None, None, max(1, len(values) // FITTED))
    seen, wished, known = values[some], expected[some], terms[some].astype(np.float64)
    counted = (seen > DARK) & (wished > DARK)
    weight = np.where(counted, wished, 0)
    ratio = np.log(np.where(counted, seen / np.where(counted, wished, 1), 1))
    known = np.column_stack([np.ones(len(known)), known])
    found = np.linalg.lstsq(known * weight[:, None], ratio * weight, rcond=None)[0][1:]
    logarithm = terms @ found
    return np.asarray(np.exp(logarithm - logarithm.mean()))


def _first(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Means and common deviation of the three groups that Otsu's thresholds leave."""
    from skimage.filters import threshold_multiotsu

    counts, edges = np.histogram(values, bins=128)
    thresholds = threshold_multiotsu(hist=(counts, (edges[1:] + edges[:-1]) / 2), classes=len(TISSUES))
    place = np.digitize(values, thresholds)
    sizes = np.bincount(place, minlength=len(TISSUES)) + TINY
    means = np.bincount(place, values, minlength=len(TISSUES)) / sizes
    return means, max(float(np.sqrt(((values - means[place]) ** 2).mean())), NARROWEST)


def _neighbours(shares: NDArray[np.float32], nearness: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sum of the shares of the six neighbours, those along an axis of large steps counting less."""
    total = np.zeros_like(shares)
    for axis, weight in enumerate(nearness, 1):
        ahead, behind = [slice(None)] * 4, [slice(None)] * 4
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        total[tuple(behind)] += np.float32(weight) * shares[tuple(ahead)]
        total[tuple(ahead)] += np.float32(weight) * shares[tuple(behind)]
    return total
