"""The translation job, and the same for a few slices. This module loads torch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_harmonize.diffusion import PATHS, SAMPLERS
from napari_harmonize.diffusion.path import times
from napari_harmonize.diffusion.sampling import Tick, start
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import Event, Job, Note, Preview, Progress, Stage
from napari_harmonize.translation import batches, record, restore
from napari_harmonize.translation import engine as engines
from napari_harmonize.translation.baselines import PREFIX, translate_baseline
from napari_harmonize.translation.case import Case, Result, SlicePreview
from napari_harmonize.translation.package import default_model, load
from napari_harmonize.translation.prepared import Prepared, preparing_case
from napari_harmonize.translation.slabs import Noise, Slab, make_state
from napari_harmonize.translation.wish import choose_key

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation.engine import Engine, Evaluator
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.settings import TranslationSettings

SECONDS_BETWEEN_PREVIEWS = 0.25
SHOWN = 3
UNIT = "network evaluations"


@dataclass(frozen=True, eq=False)
class _Work:
    """Everything a translation needs once it is loaded."""

    prepared: Prepared
    engine: Engine
    settings: TranslationSettings
    key: StyleKey | None
    evaluator: Evaluator
    threads: int


def translate(
    case: Case,
    settings: TranslationSettings,
    package: ModelPackage | None = None,
    *,
    prepared: Prepared | None = None,
    engine: Engine | None = None,
    look_at: int | None = None,
) -> Job[Result]:
    """Translate a volume.

    Parameters
    ----------
    case : Case
        What to translate.
    settings : TranslationSettings
        How. A model named "baseline:..." runs that baseline.
    package : ModelPackage, optional
        The model; found by ``settings.model`` where absent.
    prepared, engine : optional
        Kept from before; used where they are of this case, model and device, so that the work is not done again.
    look_at : int, optional
        Slice of the prepared volume that the live preview shows with its neighbours; the middle one where absent.

    Yields
    ------
    Event
        Stages, progress in network evaluations with an exact total, previews of the predicted clean image, notes.

    Returns
    -------
    Result
        On the source's own grid.

    Raises
    ------
    SettingsError
        The sampler does not suit the model or the number of steps.
    ModelError
        There is no such model, or it needs a style key and there is none.
    VolumeError
        The source cannot be prepared.
    EngineError
        The computation failed; ``OutOfMemory`` where a single stack of slices does not fit.
    """
    if settings.model.startswith(PREFIX):
        return (yield from translate_baseline(settings.model.removeprefix(PREFIX), case))
    package = package or load(settings.model or default_model())
    began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    notes: list[str] = []
    with engines.threads(settings.threads) as threads, engines.our_errors():
        work = yield from _get_ready(case, settings, package, prepared, engine, threads)
        slab = Slab(work.prepared.first, work.prepared.last + 1)
        slices = yield from _keep_notes(_sample(work, slab, look_at), notes)
        yield Stage("Restoring", "onto the source's own grid")
        volume = restore.onto_source(slices, work.prepared, package)
        facts = record.facts(case, work.prepared, package, settings, work.key, notes)
        facts["engine"] = engines.facts(work.engine, work.evaluator, work.threads)
        facts["evaluations"] = evaluations(settings, len(slices))
    return Result(volume, record.run(facts, volume, started, time.perf_counter() - began))


def preview(
    case: Case,
    settings: TranslationSettings,
    package: ModelPackage,
    slices: Sequence[int],
    *,
    prepared: Prepared | None = None,
    engine: Engine | None = None,
) -> Job[SlicePreview]:
    """Translate a few slices with their own neighbours, by the same settings as the whole volume.

    Parameters
    ----------
    case, settings, package, prepared, engine
        As for :func:`translate`.
    slices : sequence of int
        Positions along the model's axis, in canonical (RAS+) order of the source's grid.

    Yields
    ------
    Event
        As :func:`translate` does, without previews.

    Returns
    -------
    SlicePreview
        Slices on the source's canonical grid; those without any of the body hold 0.

    Raises
    ------
    SettingsError
        A slice lies outside the source, or see :func:`translate`.
    """
    notes: list[str] = []
    with engines.threads(settings.threads) as threads, engines.our_errors():
        work = yield from _get_ready(case, settings, package, prepared, engine, threads)
        window = restore.Window(work.prepared, slices)
        slabs = [Slab(run[0], run[-1] + 1) for run in _runs(window.needed)]
        found: dict[int, NDArray[np.float32]] = {}
        total = sum(evaluations(settings, len(slab)) for slab in slabs)
        done = 0
        for slab in slabs:
            translated = yield from _keep_notes(_counted(_sample(work, slab, None), done, total), notes)
            found.update(zip(slab.indices, translated, strict=True))
            done += evaluations(settings, len(slab))
        facts = record.facts(case, work.prepared, package, settings, work.key, notes)
    facts["preview of slices"] = list(slices)
    source = dict(enumerate(work.prepared.slices))
    return SlicePreview(window.onto_source(found), window.onto_source(source), record.run(facts, None, "", 0.0))


def evaluations(settings: TranslationSettings, slices: int) -> int:
    """Network evaluations, counted in stacks, that a number of slices takes."""
    repeats = settings.correction.repeats if settings.consistency == "co-prediction+correction" else 0
    return SAMPLERS[settings.sampler].evaluations(settings.steps, repeats) * slices


def check(settings: TranslationSettings, package: ModelPackage) -> None:
    """Refuse a sampler that does not suit the model.

    Raises
    ------
    SettingsError
        With the sampler's own sentence.
    """
    refusal = SAMPLERS[settings.sampler].refusal(PATHS[package.recipe.path].kind, settings.steps)
    if refusal:
        raise SettingsError(
            "A sampler suits the model's path and the number of steps", refusal, "Choose another sampler or number of steps"
        )


def _get_ready(
    case: Case, settings: TranslationSettings, package: ModelPackage, prepared: Prepared | None, engine: Engine | None, threads: int
) -> Generator[Event, None, _Work]:
    check(settings, package)
    key = choose_key(case, package)
    if prepared is None or not prepared.fits(case, package):
        steps = preparing_case(case, package)
        yield Stage("Preparing")
        prepared = yield from _stages(steps)
    if engine is None or not engine.fits(package, settings):
        yield Stage("Loading the model", package.card.title)
        engine = engines.load_engine(package, settings)
    if case.key is not None and key is None:
        yield Note(f"{package.name} takes no style key; the one given has no effect.", "warning")
    batch = batches.choose(settings.batch, engine, prepared)
    curves = [None if one is None else _curves(one, engine) for one in (key, prepared.source_key)]
    return _Work(prepared, engine, settings, key, engines.Evaluator(engine, curves[0], curves[1], batch), threads)


def _stages(work: Generator[str, None, Prepared]) -> Generator[Event, None, Prepared]:
    while True:
        try:
            yield Stage("Preparing", next(work).replace("_", " "))
        except StopIteration as end:
            prepared: Prepared = end.value
            return prepared


def _curves(key: StyleKey, engine: Engine) -> Tensor:
    return torch.from_numpy(key.curves.astype(np.float32)).to(engine.device)


def _sample(work: _Work, slab: Slab, look_at: int | None) -> Job[NDArray[np.float32]]:
    """Sample the slices of a slab; returns them (slice, row, column) float32, 0..1."""
    settings, engine = work.settings, work.engine
    yield Stage("Sampling", f"{len(slab)} slices, {settings.steps} steps on {engine.device.type}")
    state, correct = make_state(slab, work.prepared, engine, settings, work.evaluator)
    noise = Noise(settings.seed, slab, work.prepared)
    row = SAMPLERS[settings.sampler]
    x = start(engine.path, state.y) if engine.path.kind == "bridge" else noise(state.y)
    grid = times(engine.path, settings.steps)
    walk = row.load()(state.denoise, engine.path, x, state.y, grid, eta=settings.eta, noise=noise, correct=correct)
    del x
    clean = yield from _listen(walk, work, slab, state, look_at)
    return _unit(state.centre(clean))


def _listen(walk: Generator[Tick, None, Tensor], work: _Work, slab: Slab, state: Any, look_at: int | None) -> Job[Tensor]:
    """Turn ticks into events; closing this closes the walk."""
    shown, last = slab.around(look_at, SHOWN), 0.0
    try:
        while True:
            tick = next(walk)
            for sentence in work.evaluator.take_notes():
                yield Note(sentence, "warning")
            if tick.kind == "batch":
                yield Progress(tick.done, tick.total, UNIT)
            elif tick.x0 is not None and time.monotonic() - last >= SECONDS_BETWEEN_PREVIEWS:
                last = time.monotonic()
                rows = [index - slab.first for index in shown]
                yield Preview(work.prepared.frame.upright(_unit(state.centre(tick.x0)[rows])), shown, tick.done, tick.total)
    except StopIteration as end:
        clean: Tensor = end.value
        return clean
    finally:
        walk.close()


def _unit(x: Tensor) -> NDArray[np.float32]:
    """From the network's -1..1 to 0..1."""
    return (x.float() * 0.5 + 0.5).clamp(0, 1).cpu().numpy()


def _keep_notes(job: Job[Any], notes: list[str]) -> Job[Any]:
    """Pass a job's events on and keep its notes."""
    try:
        while True:
            event = next(job)
            if isinstance(event, Note):
                notes.append(event.text)
            yield event
    except StopIteration as end:
        return end.value
    finally:
        job.close()


def _counted(job: Job[Any], done: int, total: int) -> Job[Any]:
    """Count the progress of a part as progress of the whole; previews are left out."""
    try:
        while True:
            event = next(job)
            if isinstance(event, Progress):
                yield Progress(done + event.done, total, event.unit)
            elif not isinstance(event, Preview):
                yield event
    except StopIteration as end:
        return end.value
    finally:
        job.close()


def _runs(indices: Sequence[int]) -> list[list[int]]:
    """Split rising indices into runs without gaps."""
    parts: list[list[int]] = []
    for index in indices:
        if parts and index == parts[-1][-1] + 1:
            parts[-1].append(index)
        else:
            parts.append([index])
    return parts
