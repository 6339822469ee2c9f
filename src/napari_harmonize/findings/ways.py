"""Ways of translating that a section compares: a model with its settings and style key, or a baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import ModelError
from napari_harmonize.settings import replace
from napari_harmonize.style import Origin, compute, nearest
from napari_harmonize.translation import Case, translate_baseline
from napari_harmonize.translation.baselines import PREFIX
from napari_harmonize.translation.prepared import onto_prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_harmonize.events import Job
    from napari_harmonize.findings.settings import BenchmarkSettings
    from napari_harmonize.findings.subjects import Subject
    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation import ModelPackage, Prepared, TranslationSettings
    from napari_harmonize.translation.engine import Engine
    from napari_harmonize.volumes import Volume

TRUTH = "truth"
"""The true volume itself, whose features a Fréchet distance is taken to."""


@dataclass(frozen=True)
class Way:
    """One row of a section's table.

    Parameters
    ----------
    name : str
        As shown.
    model : str
        Name of a model package, "baseline:..." or "truth".
    changes : mapping
        Settings that differ from the model's own.
    key : str
        Key of ``KEYS``: whose style key is asked for.
    reference : bool
        Whether a baseline is matched to another subject's picture and not to the truth.
    curve : str
        Name of the curve over steps that it is a point of; none where empty.
    """

    name: str
    model: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    key: str = "average"
    reference: bool = False
    curve: str = ""

    @property
    def is_model(self) -> bool:
        """Whether a network is asked."""
        return self.model != TRUTH and not self.model.startswith(PREFIX)

    def settings(self, package: ModelPackage, asked: BenchmarkSettings, number: int) -> TranslationSettings:
        """Make the settings of one subject's translation."""
        own = package.recipe.defaults.settings(package.name)
        where = {"device": asked.device, "threads": asked.threads, "seed": (asked.seed + number) % 2**31}
        return replace(own, **{**dict(self.changes), **where})


def _average(package: ModelPackage, truth: Callable[[], StyleKey]) -> StyleKey | None:
    """The model's own choice."""
    return None


def _other(package: ModelPackage, truth: Callable[[], StyleKey]) -> StyleKey | None:
    """The key of one person of the training set."""
    training = package.recipe.training
    return training.keys[0] if training else None


def _best(package: ModelPackage, truth: Callable[[], StyleKey]) -> StyleKey | None:
    """The training key most like that of the truth; peeks."""
    training = package.recipe.training
    return nearest(truth(), training) if training else None


KEYS: dict[str, Callable[[ModelPackage, Callable[[], StyleKey]], StyleKey | None]] = {
    "average": _average,
    "other person": _other,
    "best": _best,
}


def true_key(subject: Subject, prepared: Prepared, package: ModelPackage) -> StyleKey:
    """Style key of the truth, computed where training computes those of its targets."""
    data = onto_prepared(subject.truth, prepared, package.recipe)
    data = np.where(prepared.inside, data, np.float32(0))
    return compute(data, bins=package.recipe.bins, origin=Origin.ORACLE, source_name=subject.name, peeks=True)


def translated(
    way: Way, subject: Subject, slices: range, package: ModelPackage, settings: TranslationSettings, prepared: Prepared, engine: Engine
) -> Job[NDArray[np.float32]]:
    """Translate the slices asked for, as the whole volume would be; where the network sees patches, in a slab one patch thick around them.

    Parameters
    ----------
    way, subject
        What.
    slices : range
        Axial slices that are needed.
    package, settings, prepared, engine
        The model, its settings, the prepared case and the loaded network.

    Returns
    -------
    (i, j, k) float32
        On the subject's grid; slices that were not needed may be 0.
    """
    from napari_harmonize.translation.job import preview, translate

    key = KEYS[way.key](package, lambda: true_key(subject, prepared, package))
    case = Case(subject.case.source, mask=subject.case.mask, key=key)
    if needs_whole(package, settings, slices, subject):
        result = yield from translate(case, settings, package, prepared=prepared, engine=engine)
        return np.asarray(result.volume.data, np.float32)
    found = yield from preview(case, settings, package, tuple(slices), prepared=prepared, engine=engine)
    data = np.zeros(subject.truth.shape, np.float32)
    for place, picture in found.slices.items():
        data[:, :, place] = picture.T
    target = package.recipe.target
    return np.float32(target.low) + data * np.float32(target.high - target.low)


def needs_whole(package: ModelPackage, settings: TranslationSettings, slices: range, subject: Subject) -> bool:
    """Whether axial slices cannot be translated without the rest of their volume."""
    return len(slices) == subject.truth.shape[2] or package.recipe.frame.axis != 2 or settings.three_planes


def baseline(way: Way, subject: Subject, reference: Volume | None) -> Job[NDArray[np.float32]]:
    """Run a baseline on the whole volume, or give the truth.

    Raises
    ------
    ModelError
        The way asks for a reference and there is none.
    """
    if way.model == TRUTH:
        return np.asarray(subject.truth.data, np.float32)
    if way.reference and reference is None:
        raise ModelError(f"{way.name} needs a reference", "there is none")
    result = yield from translate_baseline(way.model.removeprefix(PREFIX), subject.case, reference=reference if way.reference else None)
    return np.asarray(result.volume.data, np.float32)
