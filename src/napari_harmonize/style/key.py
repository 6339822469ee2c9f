"""The style key: three curves of a volume's histogram, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import StyleError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LOW = 0.001
HIGH = 1.0
TOTAL = 10.0
BINS = 128
FEWEST_BINS = 8
ROUNDING = 1e-6


class Origin(StrEnum):
    """Where a style key came from."""

    AVERAGE = "training average"
    REFERENCE = "reference volume"
    ORACLE = "oracle: the ground truth's own"
    SIMILAR = "most similar training subject"
    FILE = "file"
    EDIT = "hand edit"
    BLEND = "blend"


@dataclass(frozen=True, eq=False)
class StyleKey:
    """Histogram, cumulative histogram and histogram differential of a volume, after Choo et al. 2024 (style key conditioning).

    Two keys are compared with :meth:`same_as`; ``==`` asks whether they are one and the same object.

    Parameters
    ----------
    curves : (3, bins) float64
        Row 0: histogram of the intensities in 0.001..1 in equal bins, scaled to sum to 10. Row 1: its running sum,
        ending at 10. Row 2: ten times the difference of neighbouring bins, the first value written twice.
        Not to be written to.
    label : str
        Name shown to the user.
    origin : Origin
        Where the key came from.
    source_name : str
        Base name of the volume or file it was made from; never a path.
    history : tuple of str
        One sentence for every edit, blend or average on the way here, oldest first.
    peeks : bool
        Whether anything of the ground truth is in it. Always true for an oracle, and kept by everything made from one.

    Raises
    ------
    StyleError
        The curves are not three, not finite, negative, do not sum to 10 or do not belong together.
    """

    curves: NDArray[np.float64]
    label: str = ""
    origin: Origin = Origin.FILE
    source_name: str = ""
    history: tuple[str, ...] = ()
    peeks: bool = False

    def __post_init__(self) -> None:
        curves = np.array(self.curves, np.float64)
        _check(curves, self.label)
        curves.flags.writeable = False
        object.__setattr__(self, "curves", curves)
        object.__setattr__(self, "peeks", bool(self.peeks or self.origin is Origin.ORACLE))

    @property
    def bins(self) -> int:
        """Number of bins."""
        return int(self.curves.shape[1])

    @property
    def histogram(self) -> NDArray[np.float64]:
        """Share of the foreground in each bin, (bins,) float64, summing to 10."""
        return np.asarray(self.curves[0])

    @property
    def edges(self) -> NDArray[np.float64]:
        """Borders of the bins, (bins + 1,) float64 from 0.001 to 1."""
        return np.linspace(LOW, HIGH, self.bins + 1)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middles of the bins, (bins,) float64."""
        edges = self.edges
        return (edges[:-1] + edges[1:]) / 2

    def share_below(self) -> NDArray[np.float64]:
        """Share of the foreground below each bin border, (bins + 1,) float64 from 0 to exactly 1."""
        below = np.concatenate([[0.0], np.cumsum(self.histogram)])
        return np.asarray(below / below[-1])

    def quantiles(self, q: ArrayLike) -> NDArray[np.float64]:
        """Intensity below which a share of the foreground lies, taking each bin as evenly filled.

        Parameters
        ----------
        q : array_like
            Shares, 0..1.

        Returns
        -------
        float64 array of the same shape
            Intensities, 0.001..1; over a gap of empty bins the lower end of the gap.

        Raises
        ------
        StyleError
            A share is outside 0..1 or not a number.
        """
        shares = np.asarray(q, np.float64)
        if not ((shares >= 0) & (shares <= 1)).all():
            raise StyleError("A quantile is asked for by a share from 0 to 1", f"{shares[~((shares >= 0) & (shares <= 1))][0]} arrived")
        filled = np.flatnonzero(self.histogram)
        below = self.share_below()
        bin_ = filled[np.minimum(np.searchsorted(below[filled + 1], shares), len(filled) - 1)]
        inside = (shares - below[bin_]) / (below[bin_ + 1] - below[bin_])
        return np.asarray(self.edges[bin_] + np.clip(inside, 0, 1) * (HIGH - LOW) / self.bins)

    def same_as(self, other: StyleKey) -> bool:
        """Whether two keys are the same look to rounding, wherever they came from.

        Parameters
        ----------
        other : StyleKey
            The key to compare with.

        Returns
        -------
        bool
            True where both have as many bins and no bin differs by more than 1e-6 (of a sum of 10).
        """
        return self.bins == other.bins and bool(np.abs(self.histogram - other.histogram).max() <= ROUNDING)

    def describe(self) -> str:
        """Say in one line what the key is, where it came from, and whether it knows the ground truth."""
        source = f" from {self.source_name}" if self.source_name else ""
        warning = "; it knows the ground truth" if self.peeks else ""
        return f"{self.label or 'unnamed key'} ({self.origin}{source}{warning})"


def from_histogram(histogram: ArrayLike, **facts: Any) -> StyleKey:
    """Build a key from bin contents.

    Parameters
    ----------
    histogram : (bins,) array_like
        Contents of equal bins over 0.001..1, at least 8 of them, none negative, in any scale.
    **facts
        ``label``, ``origin``, ``source_name``, ``history`` and ``peeks`` of :class:`StyleKey`.

    Returns
    -------
    StyleKey
        The key, its histogram scaled to sum to 10.

    Raises
    ------
    StyleError
        A value is negative or not finite, there are too few bins, or all are empty.
    """
    counts = np.asarray(histogram, np.float64)
    name = facts.get("label", "")
    if counts.ndim != 1 or len(counts) < FEWEST_BINS:
        raise StyleError(f"A histogram is one row of at least {FEWEST_BINS} bins", f"{name or 'it'} has shape {counts.shape}")
    if not np.isfinite(counts).all() or counts.min() < 0:
        raise StyleError("Every bin of a histogram is a finite number, none below zero", f"{name or 'it'} has others")
    if counts.sum() <= 0:
        raise StyleError("A style key needs a foreground", f"every bin of {name or 'the histogram'} is empty")
    return StyleKey(curves_of(TOTAL * counts / counts.sum()), **facts)


def from_curves(curves: ArrayLike, **facts: Any) -> StyleKey:
    """Build a key from published curves, such as an entry of a CT2MRI key file.

    Parameters
    ----------
    curves : (3, bins), (bins, 3) or (bins, 3, 1) array_like
        Histogram, cumulative histogram and differential. Key files hold (128, 3, 1) float64.
    **facts
        ``label``, ``origin``, ``source_name``, ``history`` and ``peeks`` of :class:`StyleKey`.

    Returns
    -------
    StyleKey
        The key; the last two curves are computed anew from the first.

    Raises
    ------
    StyleError
        The shape is another, a value is not finite, or the three curves do not belong together.
    """
    rows = np.asarray(curves, np.float64)
    rows = rows[..., 0] if rows.ndim == 3 and rows.shape[2] == 1 else rows
    rows = rows.T if rows.ndim == 2 and rows.shape[1] == 3 else rows
    _check(rows, facts.get("label", ""))
    return StyleKey(curves_of(rows[0]), **facts)


def curves_of(histogram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the three curves of a histogram that sums to 10.

    Parameters
    ----------
    histogram : (bins,) float64
        Row 0 of a key.

    Returns
    -------
    (3, bins) float64
        Histogram, running sum, and 10 (h[k] - h[k - 1]) with the first value written twice.
    """
    step = TOTAL * np.diff(histogram)
    return np.stack([histogram, np.cumsum(histogram), np.concatenate([step[:1], step])])


def _check(curves: NDArray[np.float64], label: str) -> None:
    name = label or "the key"
    if curves.ndim != 2 or curves.shape[0] != 3 or curves.shape[1] < FEWEST_BINS:
        raise StyleError(f"A style key is three curves of at least {FEWEST_BINS} bins", f"{name} has shape {curves.shape}")
    if not np.isfinite(curves).all():
        remedy = "A key made of a volume without foreground looks like this; compute it anew from a volume in 0..1"
        raise StyleError("Every value of a style key is a finite number", f"{name} has {int((~np.isfinite(curves)).sum())} others", remedy)
    if curves[0].min() < 0 or abs(curves[0].sum() - TOTAL) > 1e-3:
        arrived = f"that of {name} sums to {curves[0].sum():.6g} with a least value of {curves[0].min():.6g}"
        raise StyleError("The histogram of a style key has no negative value and sums to 10", arrived)
    if np.abs(curves - curves_of(curves[0])).max() > 1e-3:
        raise StyleError("Curves two and three of a style key are the running sum and the differential of the first", f"not in {name}")
