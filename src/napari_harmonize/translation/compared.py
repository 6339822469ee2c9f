"""Volumes brought to one unit, so that result and truth may share a window and be subtracted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.metrics import Undefined, scale
from napari_harmonize.metrics.comparison import PERCENTILE, UNDERSHOOT
from napari_harmonize.prepare import foreground
from napari_harmonize.volumes import Meaning, Volume, same_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def compared(volumes: Mapping[str, Volume], mask: NDArray[np.bool_]) -> dict[str, Volume]:
    """Bring result and truth to one unit and subtract them.

    Parameters
    ----------
    volumes : mapping of role to Volume
        "source", "result", "truth", any of them, all on one grid.
    mask : (i, j, k) bool
        Where scale and difference are taken.

    Returns
    -------
    dict of role to Volume
        "source" as it is; "result" and "truth" as they are where both are in HU, else 0..1 (each divided by its 99.5th
        percentile in the mask); "difference", result minus truth, float32, 0 outside the mask, where both are there.
    """
    found = dict(volumes)
    both = [found[role] for role in ("result", "truth") if role in found]
    if len(both) < 2:
        return found
    if {volume.meaning for volume in both} != {Meaning.HU}:
        for role in ("result", "truth"):
            found[role] = found[role].replace(data=unit(found[role].data, mask).astype(np.float32), meaning=Meaning.UNIT)
    difference = np.subtract(found["result"].data, found["truth"].data, dtype=np.float32)
    difference[~mask] = 0
    found["difference"] = found["result"].replace(data=difference, name="result - truth", sha256="")
    return found


def below_zero(volume: Volume, mask: Volume | None, role: str) -> str:
    """Say what share of a volume is below 0, where numbers are scaled by a percentile and cut off at 0.

    Parameters
    ----------
    volume : Volume
        What is scaled.
    mask : Volume, optional
        Where; what is not background without one or where it is on another grid.
    role : str
        What to call it.

    Returns
    -------
    str
        A sentence; empty for CT, whose air is below 0, and where it is only what interpolation leaves (2 %).
    """
    low = float(volume.data.min())
    if volume.meaning is Meaning.HU or volume.modality == "CT" or not -np.inf < low < 0:
        return ""
    inside = (mask if mask is not None and same_grid(mask, volume) else foreground(volume)).data > 0
    share = float((volume.data[inside] < 0).mean()) if inside.any() else 0.0
    if share <= UNDERSHOOT:
        return ""
    return f"{share:.0%} of the {role} {volume.name} is below 0, down to {low:.3g}, as after z-scoring."


def unit(data: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scale to 0..1 for looking at, (i, j, k) float64.

    By the 99.5th percentile in the mask, as the metrics do; where that is not above 0 and the metrics give up, the values
    are first shifted so that the lowest in the mask is 0.
    """
    try:
        return scale(data, mask)
    except Undefined:
        shifted = data.astype(np.float64) - float(data[mask].min())
        top = float(np.percentile(shifted[mask], PERCENTILE)) or 1.0
        return np.asarray(np.clip(shifted / top, 0, 1), np.float64)
