"""Windows behind the number keys, with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.session.display import Window, presets
from napari_harmonize.volumes import Meaning

if TYPE_CHECKING:
    from numpy.typing import NDArray

# MR has no units: shares of the whole volume, background left out, stand in for Hounsfield numbers
_PERCENTILES = {
    "percentiles 0.1 to 99.9": (0.1, 99.9),
    "percentiles 1 to 99": (1.0, 99.0),
    "percentiles 5 to 95": (5.0, 95.0),
    "upper half": (50.0, 99.9),
    "lower half": (0.1, 50.0),
}
# a quarter of a million voxels tell a percentile well enough, and quickly
_ENOUGH = 250_000


def preset_windows(meaning: Meaning, data: NDArray[Any]) -> dict[str, Window]:
    """Windows for the number keys 1 to 9, in their order; the first is the one a volume starts with.

    Parameters
    ----------
    meaning : Meaning
        HU gives the session's table of Hounsfield windows.
    data : (i, j, k) array
        The whole volume; never a slice, which would hide jumps between slices.
    """
    known = presets(meaning)
    if known:
        return known
    unit = {"0 to 1": Window(1.0, 0.5)} if meaning is Meaning.UNIT else {}
    return unit | _of_percentiles(data)


def symmetric_window(data: NDArray[Any]) -> Window:
    """Window of a difference: zero in the middle, the largest 0.5 % of magnitudes cut."""
    values = np.abs(_foreground(data))
    reach = float(np.quantile(values, 0.995)) if values.size else 1.0
    return Window(max(2 * reach, 1e-6), 0.0)


def _of_percentiles(data: NDArray[Any]) -> dict[str, Window]:
    values = _foreground(data)
    if not values.size:
        return {"0 to 1": Window(1.0, 0.5)}
    marks = sorted({mark for pair in _PERCENTILES.values() for mark in pair})
    at = dict(zip(marks, np.percentile(values, marks).tolist(), strict=True))
    # black stays at zero where nothing lies below it, so that the background is black
    floor = 0.0 if values.min() >= 0 else None
    return {name: Window.between(at[low] if floor is None or low > 5 else floor, at[high]) for name, (low, high) in _PERCENTILES.items()}


def _foreground(data: NDArray[Any]) -> NDArray[Any]:
    step = max(1, round((data.size / _ENOUGH) ** (1 / 3)))
    values = data[::step, ::step, ::step]
    values = values[np.isfinite(values) & (values != 0)]
    return np.asarray(values)
