"""Lists of the times a sampler visits, always falling.

Symbols: :func:`usual`, :func:`log_snr`, :func:`respaced`, :func:`strided` (the rows of the table ``SPACINGS``), and what they are made of:
:func:`published_bridge`, :func:`equal`, :func:`sections`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.diffusion.path import Indexed, Path


TRIM = 0.0015
"""Share of a path at either end that :func:`log_snr` does not take its steps from; chosen with the default model."""


def usual(path: Path, S: int) -> tuple[float, ...]:
    """List the path's own S times."""
    if S < 1:
        raise SettingsError("A walk has at least one step", f"{S} were asked for", "Choose one step or more")
    return path.usual(S)


def log_snr(path: Indexed, S: int) -> tuple[float, ...]:
    """S indices from T - 1 to 0 at equal steps of the log-SNR, rounded and kept apart.

    The steps are those between the indices :data:`TRIM` of the path away from its ends, stretched to the ends themselves: in the
    outermost indices of a bridge the log-SNR changes much, and the image does not.
    """
    _check(path.T, S)
    trim = TRIM * path.last
    first, last = path.log_snr(np.asarray([path.last - trim, trim])).tolist()
    times: list[float] = []
    for step, wanted in enumerate(np.linspace(first, last, S).tolist()):
        stretched = (path.when(wanted) - trim) * path.last / (path.last - 2 * trim)
        latest = times[-1] - 1 if times else path.last
        times.append(max(S - 1 - step, min(latest, round(stretched))))
    return tuple(times)


def respaced(path: Indexed, S: int) -> tuple[float, ...]:
    """S indices at equal fractional strides, rounded half to even, as guided-diffusion respaces."""
    return sections(path.T, (S,)) if S > 1 else equal(path.T, S)


def strided(path: Indexed, S: int) -> tuple[float, ...]:
    """Every (T // S)th index from 0, falling; more than S where S does not divide T, and the last index is not among them."""
    _check(path.T, S)
    return tuple(reversed(range(0, path.T, path.T // S)))


def sections(T: int, counts: Sequence[int]) -> tuple[float, ...]:
    """Respace a training grid section by section (Nichol and Dhariwal 2021, as guided-diffusion codes it).

    Parameters
    ----------
    T : int
        Number of training times.
    counts : sequence of int
        Steps taken from each of as many equal sections, earliest times first; the first and the last index of a section
        are among them, and one step takes the first alone.

    Raises
    ------
    SettingsError
        A section is asked for more steps than it has times, or for none.
    """
    sizes = [len(part) for part in np.array_split(np.arange(T), len(counts))]
    kept: list[float] = []
    for first, size, count in zip(np.cumsum([0, *sizes]), sizes, counts, strict=False):
        _check(size, count)
        stride = (size - 1) / (count - 1) if count > 1 else 1.0
        kept += [int(first) + round(position) for position in np.cumsum([0.0] + [stride] * (count - 1)).tolist()]
    return tuple(reversed(kept))


def equal(T: int, S: int) -> tuple[float, ...]:
    """S equally spaced indices from T - 1 to 0; one is T - 1 alone."""
    _check(T, S)
    return tuple(np.linspace(T - 1, 0, S).round().astype(int).tolist())


def published_bridge(T: int, S: int) -> tuple[float, ...]:
    """The list of the released bridge code: equal strides from T - 1 while above 1, then 1 and 0.

    Near S = T it repeats an entry, and such a step changes nothing. One or two entries are T - 1 and 0.
    """
    if S <= 2:
        return equal(T, S)
    _check(T, S)
    # in whole numbers: floating strides fall short of entries that divide evenly
    return (*((T - 1) * left // (S - 2) for left in range(S - 2, 0, -1)), 1, 0)


def _check(T: int, S: int) -> None:
    if not 1 <= S <= T:
        raise SettingsError(f"{T} times are walked in 1 to {T} steps", f"{S} were asked for", "Choose a number between them")
