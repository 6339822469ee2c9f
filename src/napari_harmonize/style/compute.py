"""Style keys of volumes, and the average of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import StyleError
from napari_harmonize.style.key import BINS, FEWEST_BINS, HIGH, LOW, Origin, StyleKey, from_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def compute(
    data: NDArray[Any],
    *,
    bins: int = BINS,
    mask: NDArray[Any] | None = None,
    label: str = "",
    origin: Origin = Origin.REFERENCE,
    source_name: str = "",
    peeks: bool = False,
) -> StyleKey:
    """Compute the style key of a volume exactly as published.

    NaN counts as 0 and infinities as huge, so both are outside; only values on the closed range 0.001..1 are
    counted, in equal bins whose borders take the float type of the data. That range is the only foreground mask
    of the published key.

    Parameters
    ----------
    data : array
        Intensities scaled to 0..1 with a background of 0; any shape, integer or float.
    bins : int
        Number of bins; 128 is published and baked into published weights.
    mask : array, optional
        Same shape; where given, only voxels where it is not zero count. Not part of the published recipe.
    label, origin, source_name, peeks
        Fields of :class:`StyleKey`.

    Returns
    -------
    StyleKey
        The key.

    Raises
    ------
    StyleError
        No voxel is in 0.001..1, the data are not real numbers, or the mask has another shape.
    """
    if data.dtype.kind not in "buif":
        raise StyleError("A style key is computed from real numbers", f"{source_name or 'the volume'} holds {data.dtype}")
    if bins < FEWEST_BINS:
        raise StyleError(f"A style key has at least {FEWEST_BINS} bins", f"{bins} were asked for")
    values = _inside(data, mask, source_name)
    counts, _ = np.histogram(np.nan_to_num(values), bins=bins, range=(LOW, HIGH))
    if not counts.any():
        raise StyleError(
            f"A style key counts the intensities from {LOW} to {HIGH:g}, so some must be there",
            f"{source_name or 'the volume'} has none ({_spread(values)})",
            "Scale the volume to 0..1 first, with a background of 0",
        )
    return from_histogram(counts, label=label, origin=origin, source_name=source_name, peeks=peeks)


def average(keys: Iterable[StyleKey], *, label: str = "training average") -> StyleKey:
    """Average keys curve by curve, so that every subject counts equally whatever its brain size.

    Parameters
    ----------
    keys : iterable of StyleKey
        At least one, all with as many bins.
    label : str
        Name of the average.

    Returns
    -------
    StyleKey
        The average. It peeks if one of them does.

    Raises
    ------
    StyleError
        There is no key, or they differ in their number of bins.
    """
    listed = tuple(keys)
    if not listed:
        raise StyleError("An average needs at least one style key", "none arrived")
    same_bins(*listed)
    histogram = np.mean([key.histogram for key in listed], axis=0)
    history = (f"average of {len(listed)} keys",)
    return from_histogram(histogram, label=label, origin=Origin.AVERAGE, history=history, peeks=any(key.peeks for key in listed))


def same_bins(*keys: StyleKey) -> None:
    """Refuse keys that differ in their number of bins.

    Parameters
    ----------
    *keys : StyleKey
        The keys that are to be combined or compared.

    Raises
    ------
    StyleError
        They do not all have as many bins.
    """
    found = sorted({key.bins for key in keys})
    if len(found) > 1:
        raise StyleError("Style keys are combined and compared bin by bin", f"keys of {' and '.join(map(str, found))} bins arrived")


def _inside(data: NDArray[Any], mask: NDArray[Any] | None, name: str) -> NDArray[Any]:
    if mask is None:
        return data
    if mask.shape != data.shape:
        raise StyleError("A mask has the shape of its volume", f"{name or 'the volume'} has {data.shape}, its mask {mask.shape}")
    return np.asarray(data[mask != 0])


def _spread(values: NDArray[Any]) -> str:
    finite = values[np.isfinite(values)]
    return f"its values go from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "it has no finite value"
