"""Editing a key by hand, on the intensity mapping.

An edit is a strictly rising curve from 0..1 onto 0..1. The histogram is carried through it, so an edited key is
always the histogram of some volume: the one whose every voxel went through the same curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import Settings, replace, setting
from napari_harmonize.style.key import HIGH, LOW, Origin, StyleKey, from_histogram
from napari_harmonize.style.peaks import peaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

GAP = 0.01
PARTS = 16
LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class Edit(Settings):
    """How the look is changed.

    The handles come first, then gamma, contrast and brightness, so a handle's ``from`` is an intensity of the key
    as it was.

    Raises
    ------
    SettingsError
        A value is out of range, or the handles touch, cross or leave the range of the key.
    """

    brightness: float = setting(0.0, help="By how much mid-grey becomes brighter.", low=-0.45, high=0.45)
    contrast: float = setting(1.0, help="Steepness at mid-grey; above 1 pulls dark and bright tissue apart.", low=0.25, high=4.0)
    gamma: float = setting(1.0, help="Exponent of the intensities; below 1 brightens the dark ones.", low=0.25, high=4.0)
    handles: tuple[tuple[float, float], ...] = setting(
        (), help="Tissue peaks, each as (intensity it has, intensity it gets), dark to bright."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for place, name in enumerate(("from", "to")):
            _check_rising([LOW, *(_number(handle, place) for handle in self.handles), HIGH], name)

    @property
    def changes_nothing(self) -> bool:
        """Whether the curve is the straight one."""
        return self.brightness == 0 and self.contrast == 1 and self.gamma == 1 and all(a == b for a, b in self.handles)

    def describe(self) -> str:
        """Say the edit in one line."""
        moved = "".join(f", peak {a:.3f} to {b:.3f}" for a, b in self.handles if a != b)
        return f"brightness {self.brightness:+.3f}, contrast {self.contrast:.3f}, gamma {self.gamma:.3f}{moved}"


def handles_on(key: StyleKey) -> tuple[tuple[float, float], ...]:
    """Put three handles on the tissue peaks of a key, each still where it was.

    Parameters
    ----------
    key : StyleKey
        The key to be edited.

    Returns
    -------
    tuple of three (from, to)
        To be given to :class:`Edit`.
    """
    return tuple((peak, peak) for peak in peaks(key))


def drag(edit: Edit, number: int, position: float) -> Edit:
    """Move one handle so that its tissue ends up at an intensity, whatever brightness, contrast and gamma do after it.

    Parameters
    ----------
    edit : Edit
        The edit so far.
    number : int
        Which handle, from 0.
    position : float
        The wished intensity after the whole mapping, 0..1. A handle stops short of its neighbours.

    Returns
    -------
    Edit
        The edit with that handle moved.

    Raises
    ------
    SettingsError
        There is no such handle.
    """
    if not 0 <= number < len(edit.handles):
        raise SettingsError("Only a handle that is there can be dragged", f"handle {number} of {len(edit.handles)} was")
    targets = [LOW, *(to for _, to in edit.handles), HIGH]
    before_tone = LOW + (HIGH - LOW) * _undo_tone(edit, (position - LOW) / (HIGH - LOW))
    to = float(np.clip(before_tone, targets[number] + GAP, targets[number + 2] - GAP))
    moved = [(a, to if index == number else b) for index, (a, b) in enumerate(edit.handles)]
    return replace(edit, handles=tuple(moved))


def mapping(edit: Edit) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Build the curve of an edit.

    On u, the intensity scaled so that 0.001..1 becomes 0..1: monotone cubic through the handles, u ** gamma, then
    in log-odds ``contrast * logit(u) + logit(1/2 + brightness)``, so that mid-grey 1/2 becomes 1/2 + brightness
    and has slope ``contrast`` there; last, a thousandth of the straight line is mixed in, which keeps every slope
    above zero.

    Parameters
    ----------
    edit : Edit
        The edit.

    Returns
    -------
    callable
        Maps an array of intensities; strictly rising, 0 to 0 and 1 to 1, and the identity outside 0.001..1.
    """
    knots = np.array([(0.0, 0.0), *((np.array(edit.handles) - LOW) / (HIGH - LOW) if edit.handles else ()), (1.0, 1.0)])
    slopes = _monotone_slopes(knots[:, 0], knots[:, 1])

    def mapped(intensity: ArrayLike) -> NDArray[np.float64]:
        values = np.asarray(intensity, np.float64)
        u = np.clip((values - LOW) / (HIGH - LOW), 0, 1)
        moved = LOW + (HIGH - LOW) * _tone(edit, _hermite(knots, slopes, u))
        return np.where((values > LOW) & (values < HIGH), moved, values)

    return mapped


def apply(edit: Edit, key: StyleKey) -> StyleKey:
    """Carry a key through an edit.

    Every bin is taken as evenly filled and cut into 16 parts, each part is carried through :func:`mapping`, and its
    content is shared among the bins it covers afterwards. Nothing is lost or made.

    Parameters
    ----------
    edit : Edit
        The edit.
    key : StyleKey
        The key as it was.

    Returns
    -------
    StyleKey
        A hand edit that remembers what it was made from, and still peeks if the key did. An edit that changes
        nothing gives the key itself.
    """
    if edit.changes_nothing:
        return key
    fine = np.linspace(LOW, HIGH, PARTS * key.bins + 1)
    below = np.interp(fine, key.edges, key.share_below())
    histogram = np.diff(np.interp(key.edges, mapping(edit)(fine), below))
    return from_histogram(histogram, **_facts(edit, key))


def _facts(edit: Edit, key: StyleKey) -> dict[str, Any]:
    label = key.label if key.label.endswith("(edited)") else f"{key.label} (edited)".strip()
    step = f"edit of {key.describe()}: {edit.describe()}"
    facts = {"label": label, "origin": Origin.EDIT, "source_name": key.source_name}
    return {**facts, "history": (*key.history, step), "peeks": key.peeks}


def _tone(edit: Edit, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gamma, contrast and brightness on 0..1, in the form of odds, which has no infinite values at the ends."""
    power = u**edit.gamma
    odds = (0.5 + edit.brightness) / (0.5 - edit.brightness)
    up = odds * power**edit.contrast
    toned = up / (up + (1 - power) ** edit.contrast)
    return np.asarray((1 - LEAST_SLOPE) * toned + LEAST_SLOPE * u)


def _undo_tone(edit: Edit, wished: float) -> float:
    """Bisect for the u that tone sends to ``wished``."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float(_tone(edit, np.array(middle))) < wished else (low, middle)
    return (low + high) / 2


def _monotone_slopes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slopes of the monotone cubic of Fritsch and Butland: weighted harmonic means inside, one-sided and above zero at the ends."""
    width, secant = np.diff(x), np.diff(y) / np.diff(x)
    if len(secant) == 1:
        return np.repeat(secant, 2)
    left, right = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    inner = (left + right) / (left / secant[:-1] + right / secant[1:])
    first, last = _end_slope(width[:2], secant[:2]), _end_slope(width[:-3:-1], secant[:-3:-1])
    return np.concatenate([[first], inner, [last]])


def _end_slope(width: NDArray[np.float64], secant: NDArray[np.float64]) -> float:
    slope = ((2 * width[0] + width[1]) * secant[0] - width[0] * secant[1]) / width.sum()
    return float(np.clip(slope, 0.05 * secant[0], 3 * secant[0]))


def _hermite(knots: NDArray[np.float64], slopes: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = knots.T
    k = np.clip(np.searchsorted(x, u, side="right") - 1, 0, len(x) - 2)
    width = x[k + 1] - x[k]
    t = (u - x[k]) / width
    rise = t * t * (3 - 2 * t)
    bend = t * (1 - t) * width * ((1 - t) * slopes[k] - t * slopes[k + 1])
    return np.asarray(y[k] + (y[k + 1] - y[k]) * rise + bend)


def _number(handle: Any, place: int) -> float:
    if not isinstance(handle, tuple) or len(handle) != 2 or not all(isinstance(part, int | float) for part in handle):
        raise SettingsError("A handle is a pair of intensities (from, to)", f"{handle!r} arrived")
    return float(handle[place])


def _check_rising(values: list[float], name: str) -> None:
    if not all(after - before >= GAP - 1e-9 for before, after in pairwise(values)):
        arrived = ", ".join(f"{value:.4g}" for value in values[1:-1])
        raise SettingsError(f"The {name!r} intensities of the handles rise by at least {GAP} from {LOW} to {HIGH:g}", f"{arrived} arrived")
