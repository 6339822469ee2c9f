"""What goes into a translation and what comes out of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_harmonize.style import StyleKey
    from napari_harmonize.volumes import Volume


@dataclass(frozen=True, eq=False)
class Case:
    """One subject to be translated.

    Parameters
    ----------
    source : Volume
        The volume to translate.
    truth : Volume, optional
        The true volume of the wished contrast; only looked at by baselines that say they peek, and by metrics.
    mask : Volume, optional
        Body part to translate; any grid in the source's space.
    key : StyleKey, optional
        The wished look; the training average where absent. Never made from the truth by itself.
    """

    source: Volume
    truth: Volume | None = None
    mask: Volume | None = None
    key: StyleKey | None = None


@dataclass(frozen=True)
class Run:
    """How a result was made.

    Parameters
    ----------
    facts : mapping
        JSON values that are the same whenever the same is done again: ``tool`` (name, version), ``model`` (name, title,
        hash, licence, trained on, assumed), ``settings`` (as asked), ``sampling`` (sampler, path, steps, eta, seed,
        seed_matters, consistency, correction), ``style`` (label, origin, source_name, history, curves, peeks) or null,
        ``preparation`` (orientation and the record of every step), ``target``, ``engine`` (device, precision, threads,
        batches, torch), ``source`` and ``mask`` (name, sha256, shape, spacing), ``peeks`` (sentence or null),
        ``evaluations``, ``notes``, ``result`` (sha256 of the array's bytes).
    volatile : mapping
        What differs from one run to the next: ``started`` (ISO 8601), ``seconds``.
    """

    facts: Mapping[str, Any]
    volatile: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the facts; names the run."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True, allow_nan=False).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Write as plain JSON values."""
        return {"run": self.hash, **self.facts, "volatile": dict(self.volatile)}


@dataclass(frozen=True, eq=False)
class Result:
    """A translated volume and how it was made.

    Parameters
    ----------
    volume : Volume
        On the source's own grid, float32.
    run : Run
        How it was made.
    """

    volume: Volume
    run: Run


@dataclass(frozen=True, eq=False)
class SlicePreview:
    """A few translated slices.

    Parameters
    ----------
    slices : mapping of int to (h, w) float32
        Position along the model's axis, in canonical (RAS+) order of the source's grid, to the slice on that grid, 0..1;
        rows run along the later in-plane axis, so that axial slices are (j, i).
    source : mapping of int to (h, w) float32
        The prepared source's slices in the same frame.
    run : Run
        How they were made.
    """

    slices: Mapping[int, NDArray[np.float32]]
    source: Mapping[int, NDArray[np.float32]]
    run: Run
