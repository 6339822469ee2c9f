"""The style keys a model was trained with, and how far a key is from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.errors import StyleError
from napari_harmonize.style.blend import distance, distances
from napari_harmonize.style.compute import average, same_bins
from napari_harmonize.style.key import Origin, StyleKey

if TYPE_CHECKING:
    from collections.abc import Iterable

PERCENTILE = 99.0


@dataclass(frozen=True)
class Training:
    """The style keys of the training subjects.

    Parameters
    ----------
    average : StyleKey
        Their average.
    keys : tuple of StyleKey
        One for every training subject, at least two, all with as many bins.
    threshold : float
        99th percentile (linear interpolation) over the training keys of the distance from each key to the nearest
        of all the others, in intensity units.

    Raises
    ------
    StyleError
        There are fewer than two keys, or they differ in their number of bins.
    """

    average: StyleKey
    keys: tuple[StyleKey, ...]
    threshold: float

    def __post_init__(self) -> None:
        if len(self.keys) < 2:
            raise StyleError("What is far from training is known from at least two training keys", f"{len(self.keys)} arrived")
        same_bins(self.average, *self.keys)

    @classmethod
    def of(cls, keys: Iterable[StyleKey]) -> Training:
        """Average the keys and measure the threshold.

        Parameters
        ----------
        keys : iterable of StyleKey
            One for every training subject.

        Returns
        -------
        Training
            The keys with both.
        """
        listed = tuple(keys)
        return cls(average(listed), listed, _threshold(listed))


@dataclass(frozen=True)
class FarFromTraining:
    """A plain warning that a key is unlike what the model was trained on.

    Parameters
    ----------
    distance, threshold : float
        Distance to the nearest known key and what is usual, in intensity units.
    nearest : str
        Label of that key.
    """

    distance: float
    threshold: float
    nearest: str

    def __str__(self) -> str:
        return (
            f"This style is far from what the model was trained on: {self.distance:.3f} from the nearest training key"
            f"{f' ({self.nearest})' if self.nearest else ''}, where {self.threshold:.3f} is the most that is usual."
        )


def far(key: StyleKey, training: Training) -> FarFromTraining | None:
    """Warn of a key that is further from training than training keys are from each other.

    The training average counts as known beside the keys: it is what a model is used with by default.

    Parameters
    ----------
    key : StyleKey
        The wished look.
    training : Training
        The keys of the model.

    Returns
    -------
    FarFromTraining or None
        The warning, or nothing.

    Raises
    ------
    StyleError
        The key has another number of bins than the training keys.
    """
    known = (training.average, *training.keys)
    apart = distances(key, known)
    closest = int(np.argmin(apart))
    if apart[closest] <= training.threshold:
        return None
    return FarFromTraining(float(apart[closest]), training.threshold, known[closest].label)


def nearest(key: StyleKey, training: Training) -> StyleKey:
    """Find the training key most similar to a key.

    Parameters
    ----------
    key : StyleKey
        What to be similar to. Choosing by the ground truth's key peeks, and the answer says so.
    training : Training
        The keys to choose from.

    Returns
    -------
    StyleKey
        The training key, of origin "most similar training subject".

    Raises
    ------
    StyleError
        The key has another number of bins than the training keys.
    """
    chosen = training.keys[int(np.argmin(distances(key, training.keys)))]
    step = f"chosen as most similar to {key.describe()}, at a distance of {distance(key, chosen):.4f}"
    return replace(chosen, origin=Origin.SIMILAR, history=(*chosen.history, step), peeks=chosen.peeks or key.peeks)


def _threshold(keys: tuple[StyleKey, ...]) -> float:
    if len(keys) < 2:
        return 0.0
    left_out = [distances(key, (*keys[:place], *keys[place + 1 :])).min() for place, key in enumerate(keys)]
    return float(np.percentile(left_out, PERCENTILE))
