"""The translation job, and the same for a few slices. This module loads torch."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.diffusion.sampling import Guide, Tick
from napari_harmonize.events import Event, Job, Note, Preview, Progress, Stage
from napari_harmonize.translation import batches, plan, record, restore
from napari_harmonize.translation import engine as engines
from napari_harmonize.translation.baselines import PREFIX, translate_baseline
from napari_harmonize.translation.case import Case, Result, SlicePreview
from napari_harmonize.translation.kept import keeping
from napari_harmonize.translation.package import default_model, load
from napari_harmonize.translation.prepared import Prepared, preparing_case
from napari_harmonize.translation.slabs import Noise, Slab, make_state
from napari_harmonize.translation.wish import choose_key

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation.engine import Engine, Evaluator
    from napari_harmonize.translation.kept import Kept
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.recipe import Recipe
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
        Prepared slice that the live preview shows with its neighbours; the middle one where absent.

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
        yield from _keep_notes(_saying((*_warnings(settings, package.recipe), *work.prepared.notes)), notes)
        slices = yield from _keep_notes(_sample(work, slab, look_at), notes)
        yield Stage("Restoring", "onto the source's own grid")
        kept = yield from _keep_notes(keeping(work.prepared, package, work.key, dict(zip(slab.indices, slices, strict=True))), notes)
        volume = restore.onto_source(slices, work.prepared, package, kept)
        facts = record.facts(case, work.prepared, package, settings, work.key, notes) | _made(work, slab, kept)
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
        work, window = _of_own_plane(work), restore.Window(work.prepared, slices)
        slabs = [_enough(Slab(run[0], run[-1] + 1), work.prepared, package.recipe) for run in _runs(window.needed)]
        found: dict[int, NDArray[np.float32]] = {}
        total = sum(_evaluations(work, slab) for slab in slabs)
        done = 0
        for slab in slabs:
            translated = yield from _keep_notes(_counted(_sample(work, slab, None), done, total), notes)
            found.update(zip(slab.indices, translated, strict=True))
            done += _evaluations(work, slab)
        kept = yield from _keep_notes(keeping(work.prepared, package, work.key, found), notes)
        facts = record.facts(case, work.prepared, package, settings, work.key, notes)
    facts["preview of slices"] = list(slices)
    source = dict(enumerate(work.prepared.slices))
    return SlicePreview(
        window.onto_source(found, masked=restore.masks(package), kept=kept), window.onto_source(source), record.run(facts, None, "", 0.0)
    )


def _get_ready(
    case: Case, settings: TranslationSettings, package: ModelPackage, prepared: Prepared | None, engine: Engine | None, threads: int
) -> Generator[Event, None, _Work]:
    plan.check(settings, package.recipe)
    key = choose_key(case, package)
    if prepared is None or not prepared.fits(case, package):
        steps = preparing_case(case, package)
        yield Stage("Preparing")
        prepared = yield from _stages(steps)
    if engine is None or not engine.fits(package, settings):
        yield Stage("Loading the model", package.card.title)
        engine = engines.load_engine(package, settings)
    engine = dataclasses.replace(engine, path=plan.path_of(package.recipe, settings))
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
    x = noise(state.y) if engine.path.kind == "diffusion" else state.y
    grid = row.grid(engine.path, settings.steps, settings.time_list)
    denoise = state.denoise_with_variance if row.learned_variance else state.denoise
    guide = Guide(state.unconditional, settings.guidance) if settings.guidance else None
    walk = row.load()(
        denoise, engine.path, x, state.y, grid, eta=settings.eta, noise=noise, clip=settings.clip, correct=correct, guide=guide
    )
    del x
    clean = yield from _listen(walk, work, slab, state, look_at)
    # the answer of a direct generator is bounded once it is back on the source's grid, where splines may overshoot again
    bounded = engine.package.recipe.target.bounded and engine.path.kind != "direct"
    return _unit(state.centre(clean), engine.package.recipe.low, bounded=bounded)


def _evaluations(work: _Work, slab: Slab) -> int:
    """Network evaluations, counted in stacks, that sampling a slab takes."""
    package, shape = work.engine.package, (len(slab), *work.prepared.slices.shape[1:])
    return plan.evaluations(work.settings, package.recipe) * plan.stacks(work.settings, package, shape)


def _made(work: _Work, slab: Slab, kept: Kept | None) -> dict[str, Any]:
    """How the network was run, and how much of the source the result keeps."""
    engine = engines.facts(work.engine, work.evaluator, work.threads)
    return {"engine": engine, "evaluations": _evaluations(work, slab), "kept": 0.0 if kept is None else kept.share}


def _warnings(settings: TranslationSettings, recipe: Recipe) -> Generator[str, None, None]:
    if settings.consistency == "co-prediction" and not recipe.radius and recipe.dimensions == 2:
        yield "This model sees single slices, so nothing overlaps and co-prediction changes nothing; three planes would."


def _saying(sentences: Iterable[str]) -> Generator[Event, None, None]:
    for sentence in sentences:
        yield Note(sentence, "warning")


def _of_own_plane(work: _Work) -> _Work:
    """Work for a few slices: three planes would need the whole volume, so the model's own plane stands for it."""
    plain = {"three planes": "none", "three planes+correction": "co-prediction+correction"}
    consistency = plain.get(work.settings.consistency, work.settings.consistency)
    return dataclasses.replace(work, settings=dataclasses.replace(work.settings, consistency=consistency))


def _enough(slab: Slab, prepared: Prepared, recipe: Recipe) -> Slab:
    """Slices a preview must sample: those asked for, or a whole patch around them where the network sees one."""
    slices = prepared.slices.shape
    return slab.grown(recipe.input_size(slices)[0], slices[0]) if recipe.dimensions == 3 else slab


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
                seen = _unit(state.centre(tick.x0)[rows], work.engine.package.recipe.low)
                yield Preview(work.prepared.frame.upright(seen), shown, tick.done, tick.total)
    except StopIteration as end:
        clean: Tensor = end.value
        return clean
    finally:
        walk.close()


def _unit(x: Tensor, low: float, *, bounded: bool = True) -> NDArray[np.float32]:
    """From the network's range, ``low`` to 1, to 0..1."""
    unit = (x.float() - low) / (1 - low)
    return (unit.clamp(0, 1) if bounded else unit).cpu().numpy()


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
