"""Measuring one table: every way of a section on every subject of a task, kept as it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.events import Note, Progress, Stage
from napari_harmonize.findings.cache import Cache, key_of
from napari_harmonize.findings.costs import duration, seconds
from napari_harmonize.findings.measure import measure, slices_first, unit
from napari_harmonize.findings.ways import Way, baseline, needs_whole, translated
from napari_harmonize.settings import replace, to_json
from napari_harmonize.translation import load_engine, prepare_case
from napari_harmonize.translation.plan import refusal
from napari_harmonize.volumes.intake import array_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_harmonize.events import Job
    from napari_harmonize.findings.cache import Measurement
    from napari_harmonize.findings.section import Section
    from napari_harmonize.findings.settings import BenchmarkSettings
    from napari_harmonize.findings.subjects import Subject
    from napari_harmonize.translation import ModelPackage, Prepared, TranslationSettings
    from napari_harmonize.translation.engine import Engine
    from napari_harmonize.volumes import Volume

    FeatureMaker = Callable[[NDArray[np.float64]], NDArray[np.float64]]

WITHOUT_EFFECT = ("model", "device", "threads", "batch")
UNIT = "measurements"
SIMULATED, REAL = "simulated subjects", "real pairs"


@dataclass(frozen=True, eq=False)
class Table:
    """What was measured of one task.

    Parameters
    ----------
    task, group : str
        Key of ``subjects.TASKS``; simulated subjects or real pairs.
    subjects : tuple of str
        Their names.
    ways : tuple of Way
        All rows, in order.
    found : mapping of str to list of Measurement
        By way, in the order of the subjects.
    absent : mapping of str to str
        Ways that were not measured, with the reason.
    source, truth : (rows, columns) float32
        The first subject's middle slices, 0..1.
    """

    task: str
    group: str
    subjects: tuple[str, ...]
    ways: tuple[Way, ...]
    found: Mapping[str, list[Measurement]]
    absent: Mapping[str, str]
    source: NDArray[np.float32]
    truth: NDArray[np.float32]


@dataclass(eq=False)
class Bench:
    """What measuring needs, kept from one subject to the next.

    Parameters
    ----------
    settings : BenchmarkSettings
        How much, where.
    cache : Cache
        Where measurements are kept.
    find : callable
        Gives a model package by name, or None.
    described : str
        What the features depend on.
    features : callable
        Makes features of slices.
    """

    settings: BenchmarkSettings
    cache: Cache
    find: Callable[[str], ModelPackage | None]
    described: str
    features: FeatureMaker
    engines: dict[str, Engine] = field(default_factory=dict)
    prepared: Prepared | None = None

    def engine(self, package: ModelPackage) -> Engine:
        """Load a model's network once."""
        if package.hash not in self.engines:
            settings = package.recipe.defaults.settings(package.name)
            self.engines = {package.hash: load_engine(package, _on(settings, self.settings.device))}
        return self.engines[package.hash]

    def prepare(self, subject: Subject, package: ModelPackage) -> Prepared:
        """Prepare a case once for all ways of a model."""
        if self.prepared is None or not self.prepared.fits(subject.case, package):
            self.prepared = prepare_case(subject.case, package)
        return self.prepared


def _on(settings: TranslationSettings, device: str) -> TranslationSettings:
    return replace(settings, device=device)


def fill(bench: Bench, section: Section, task: str, group: str, subjects: Sequence[Subject], reference: Volume | None) -> Job[Table]:
    """Measure every way of a section on every subject, or take what is kept.

    Parameters
    ----------
    bench : Bench
        What measuring needs.
    section : Section
        Which ways and numbers.
    task, group : str
        As in :class:`Table`.
    subjects : sequence of Subject
        At least one.
    reference : Volume, optional
        Another subject's true volume, for baselines that match.

    Yields
    ------
    Event
        A note of what it will take, and progress after every measurement.
    """
    yield Stage("Measuring", f"{task}, {group}")
    ways = section.ways(task, bench.settings.full)
    packages = {way.model: bench.find(way.model) for way in ways if way.is_model}
    absent = {way.name: reason for way in ways if (reason := why_absent(way, packages.get(way.model), bench.settings, reference))}
    kept = [way for way in ways if way.name not in absent]
    wanted = [(subject, way, _slices(section, bench.settings, subject)) for subject in subjects for way in kept]
    names = [_key(bench, section, subject, way, slices, packages.get(way.model), reference) for subject, way, slices in wanted]
    found = {name: bench.cache.get(name) for name in names}
    missing = [item for item, name in zip(wanted, names, strict=True) if found[name] is None]
    time = sum(seconds(bench.settings, way, packages[way.model], subject, slices) for subject, way, slices in missing if way.is_model)
    yield Note(f"{task}, {group}: {len(missing)} of {len(names)} measurements to make, about {duration(time)} of network evaluations")
    listed: dict[str, list[Measurement]] = {way.name: [] for way in kept}
    for done, ((subject, way, slices), name) in enumerate(zip(wanted, names, strict=True), 1):
        made = found[name]
        if made is None:
            at_work = Progress(done - 1, len(names), UNIT)
            data = yield from _counted(_made(bench, subject, way, slices, packages.get(way.model), reference), at_work)
            made = measure(data, subject, slices, section.columns, bench.features, answers(packages.get(way.model)))
            bench.cache.put(name, made)
        listed[way.name].append(made)
        yield Progress(done, len(names), UNIT)
    first, middle = subjects[0], _slices(section, bench.settings, subjects[0])
    pictures = (_picture(volume, first, middle) for volume in (first.case.source, first.truth))
    return Table(task, group, tuple(subject.name for subject in subjects), ways, listed, absent, *pictures)


def why_absent(way: Way, package: ModelPackage | None, settings: BenchmarkSettings, reference: Volume | None) -> str:
    """Say why a way cannot be measured; empty where it can."""
    if not way.is_model:
        return "there is no other subject to match to" if way.reference and reference is None else ""
    if package is None:
        return f"the model {way.model} is not there"
    training = package.recipe.training if "style" in package.recipe.conditioning else None
    if way.key != "average" and training is None:
        return f"{way.model} came without training style keys"
    return refusal(way.settings(package, settings, 0), package.recipe)


def _slices(section: Section, settings: BenchmarkSettings, subject: Subject) -> range:
    return range(subject.truth.shape[2]) if section.whole or settings.full else subject.middle(settings.slices)


def _key(
    bench: Bench, section: Section, subject: Subject, way: Way, slices: range, package: ModelPackage | None, reference: Volume | None
) -> str:
    asked, slab = {}, {}
    if package is not None:
        settings = way.settings(package, bench.settings, subject.number)
        asked, partial = to_json(settings), not needs_whole(package, settings, slices, subject)
        slab = {"slab": True} if partial and package.recipe.dimensions == 3 else {}
    return key_of(
        **slab,
        model=way.model if package is None else package.hash,
        settings={name: value for name, value in asked.items() if name not in WITHOUT_EFFECT},
        style=way.key,
        subject=subject.hash,
        slices=[slices.start, slices.stop],
        numbers=list(section.columns),
        features=bench.described,
        reference="" if reference is None or not way.reference else array_digest(np.asarray(reference.data), reference.affine),
    )


def _made(
    bench: Bench, subject: Subject, way: Way, slices: range, package: ModelPackage | None, reference: Volume | None
) -> Job[NDArray[np.float32]]:
    if package is None:
        return (yield from baseline(way, subject, reference))
    settings = way.settings(package, bench.settings, subject.number)
    return (yield from translated(way, subject, slices, package, settings, bench.prepare(subject, package), bench.engine(package)))


def answers(package: ModelPackage | None) -> bool:
    """Whether a model answers on the scale of its targets, 0..1."""
    return package is not None and (package.recipe.target.meaning, package.recipe.target.low, package.recipe.target.high) == ("0..1", 0, 1)


def _counted(job: Job[NDArray[np.float32]], at_work: Progress) -> Job[NDArray[np.float32]]:
    """Say after every batch where the table is, so that a stop is heard; closing this closes the job."""
    try:
        while True:
            try:
                next(job)
            except StopIteration as end:
                made: NDArray[np.float32] = end.value
                return made
            yield at_work
    finally:
        job.close()


def _picture(volume: Volume, subject: Subject, slices: range) -> NDArray[np.float32]:
    stack = slices_first(unit(np.asarray(volume.data), subject.inside)[:, :, slices.start : slices.stop])
    return np.asarray(stack[len(stack) // 2], np.float32)
