"""A case made ready for a model, once, so that only the style needs to change afterwards."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize import style
from napari_harmonize.errors import VolumeError
from napari_harmonize.prepare import Context, Record, foreground, make, mask_on, preparing
from napari_harmonize.prepare.step import IntensityStep
from napari_harmonize.volumes import Meaning, canonical, resample_onto

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation.case import Case
    from napari_harmonize.translation.frame import Frame
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.recipe import Recipe
    from napari_harmonize.volumes import Volume
    from napari_harmonize.volumes.geometry import Reorientation

PERCENTILE = 99.5
SMALLEST = 1e-6


@dataclass(frozen=True, eq=False)
class Prepared:
    """A source on the model's own grid, and the way back.

    Parameters
    ----------
    source : Volume
        As it came.
    canonical : Volume
        The source in RAS+ order.
    reorientation : Reorientation
        From the source's own order to RAS+.
    volume : Volume
        What the network sees, 0..1, (i, j, k) in RAS+ order.
    records : tuple of Record
        The steps in between.
    mask : Volume
        Body part on the canonical grid, bool.
    inside : (i, j, k) bool
        The same on the prepared grid.
    frame : Frame
        How slices are cut out of it.
    first, last : int
        First and last slice along it that hold some of the body; only these are sampled.
    source_key : StyleKey, optional
        Style key of the prepared source, where the model is told it.
    belongs_to : tuple of str
        Hashes of source and mask and the model's hash.
    """

    source: Volume
    canonical: Volume
    reorientation: Reorientation
    volume: Volume
    records: tuple[Record, ...]
    mask: Volume
    inside: NDArray[np.bool_]
    frame: Frame
    first: int
    last: int
    source_key: StyleKey | None
    belongs_to: tuple[str, ...]

    @functools.cached_property
    def slices(self) -> NDArray[np.float32]:
        """Every slice as the network sees it, (slice, row, column) 0..1."""
        return np.ascontiguousarray(self.frame.to_slices(self.volume.data), np.float32)

    @functools.cached_property
    def shown(self) -> NDArray[np.float32]:
        """Source on its canonical grid, in the numbers the network is shown, (i, j, k) float32 0..1."""
        context, volume = Context(self.mask), self.canonical
        for record in self.records:
            step = make(record.step, record.settings)
            if isinstance(step, IntensityStep) and "skipped" not in record.params:
                volume = step.apply(volume, record.params, context)
        return volume.data.astype(np.float32, copy=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the steps have to say of this source, one sentence each."""
        return tuple(record.params["note"] for record in self.records if "note" in record.params)

    def fits(self, case: Case, package: ModelPackage) -> bool:
        """Whether this is what preparing the case for the model would give."""
        return self.belongs_to == belonging(case, package)


def belonging(case: Case, package: ModelPackage) -> tuple[str, ...]:
    """Hashes of source and mask, and the model's hash."""
    return _hash(case.source), "" if case.mask is None else _hash(case.mask), package.hash


def _hash(volume: Volume) -> str:
    return volume.sha256 or f"{volume.name} {id(volume.data)}"


def prepare_case(case: Case, package: ModelPackage) -> Prepared:
    """Prepare a case for a model.

    Parameters
    ----------
    case : Case
        Its truth and key are not looked at.
    package : ModelPackage
        The model.

    Raises
    ------
    VolumeError
        The mask is empty on the source, or a step finds nothing to work on.
    """
    work = preparing_case(case, package)
    while True:
        try:
            next(work)
        except StopIteration as end:
            prepared: Prepared = end.value
            return prepared


def preparing_case(case: Case, package: ModelPackage) -> Generator[str, None, Prepared]:
    """Prepare a case for a model; yields the name of each step before doing it."""
    recipe = package.recipe
    source, reorientation = canonical(case.source)
    mask = case.mask if case.mask is not None else foreground(source)
    context = Context(mask, package.multiple, recipe.axis_index, recipe.dimensions, package.least)
    mask = source.replace(data=mask_on(source, context), name="foreground" if case.mask is None else case.mask.name)
    volume, records = yield from preparing(source, recipe.make_steps(), context)
    inside = mask_on(volume, context)
    filled = _sampled(recipe.frame.to_slices(inside), recipe.dimensions)
    data = volume.data.astype(np.float32, copy=False)
    if not np.isfinite(data).all():
        raise VolumeError("A volume to translate holds finite numbers only", f"{source.name} does not", "Repair or crop it first")
    key = None
    if "source_style" in recipe.conditioning:
        key = style.compute(data, bins=recipe.bins, mask=inside, label="source", source_name=source.name)
    return Prepared(
        case.source,
        source,
        reorientation,
        volume.replace(data=data),
        records,
        mask,
        inside,
        recipe.frame,
        int(filled[0]),
        int(filled[-1]),
        key,
        belonging(case, package),
    )


def _sampled(inside: NDArray[np.bool_], dimensions: int) -> NDArray[np.intp]:
    """Slices that are sampled: those with some of the body, or all of them where the network sees volumes."""
    return np.arange(len(inside)) if dimensions == 3 else np.flatnonzero(inside.any((1, 2)))


def onto_prepared(volume: Volume, prepared: Prepared, recipe: Recipe) -> NDArray[np.float32]:
    """Put the target of a pair where its prepared source lies, in the numbers the model answers with.

    Parameters
    ----------
    volume : Volume
        The target, on any grid of the source's space.
    prepared : Prepared
        The source, prepared by the same recipe.
    recipe : Recipe
        Says what 0..1 means: HU between low and high, otherwise the 99.5th percentile inside the mask is 1.

    Returns
    -------
    (i, j, k) float32
        0..1, on the prepared grid; 0 outside the mask where the recipe masks.

    Raises
    ------
    GeometryError
        The two do not share a space.
    """
    found = resample_onto(volume.replace(data=volume.data.astype(np.float32)), prepared.canonical)
    target = recipe.target
    if Meaning(target.meaning) is Meaning.HU:
        data = (found.data - target.low) / (target.high - target.low)
    else:
        data = found.data / max(float(np.percentile(found.data[prepared.mask.data], PERCENTILE)), SMALLEST)
    found = found.replace(data=np.clip(data, 0, 1).astype(np.float32))
    context = Context(prepared.mask, axis=recipe.axis_index, dimensions=recipe.dimensions)
    for step, record in zip(recipe.make_steps(), prepared.records, strict=True):
        if "skipped" not in record.params and not isinstance(step, IntensityStep):
            found = step.apply(found, record.params, context)
    masked = any(record.step == "mask" for record in prepared.records)
    return np.where(prepared.inside, found.data, 0).astype(np.float32) if masked else found.data.astype(np.float32)
