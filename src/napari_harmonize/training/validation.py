"""How well a model translates pairs it has not seen, in training: translated as later, measured as later."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.errors import TrainingError
from napari_harmonize.events import Job, Progress, Stage
from napari_harmonize.metrics import evaluate
from napari_harmonize.prepare import Context, foreground, mask_on
from napari_harmonize.settings import replace
from napari_harmonize.training.examples import read_case
from napari_harmonize.training.folder import picture, trial
from napari_harmonize.translation import Case, load_engine, translate
from napari_harmonize.translation.compared import compared
from napari_harmonize.translation.export import DESCRIPTION
from napari_harmonize.translation.report import sheet
from napari_harmonize.volumes import resample_onto, same_grid, write

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_harmonize.events import Event
    from napari_harmonize.metrics import Score
    from napari_harmonize.training.pairs import Pair
    from napari_harmonize.translation import Engine, ModelPackage, Result
    from napari_harmonize.translation.settings import TranslationSettings
    from napari_harmonize.volumes import Volume

METRICS = ("psnr", "ssim")


def validate(package: ModelPackage, pairs: Sequence[Pair], steps: int, folder: Path, number: int) -> Job[dict[str, float]]:
    """Translate pairs and compare with their targets.

    The first pair is also written for looking at: a picture of three planes with the slice-consistency curves, and its volumes, result
    and target in one unit.

    Parameters
    ----------
    package : ModelPackage
        What is tried, by its own default settings.
    pairs : sequence of Pair
        Unseen ones.
    steps : int
        Most sampler steps.
    folder : Path
        Of the run.
    number : int
        Training step that is validated.

    Yields
    ------
    Event
        A stage for every pair, progress in network evaluations.

    Returns
    -------
    dict of str to float
        Mean "psnr" in dB and "ssim" inside the masks.
    """
    defaults = package.recipe.defaults
    settings = replace(defaults.settings(), steps=min(steps, defaults.steps))
    engine, found = load_engine(package, settings), []
    for place, pair in enumerate(pairs, 1):
        yield Stage("Validating", f"pair {place} of {len(pairs)}")
        case = read_case(pair, package.recipe)
        result = yield from _translated(case, settings, package, engine)
        inside = mask_on(case.source, Context(case.mask if case.mask is not None else foreground(case.source)))
        target = _on(case)
        scores = evaluate(result.volume.data, target.data, mask=inside, metrics=METRICS)
        found.append([next(score.value for score in scores if score.name == name) for name in METRICS])
        if place == 1:
            _show(result, case, target, inside, scores, folder, number)
    return dict(zip(METRICS, np.mean(found, axis=0).tolist(), strict=True))


def _translated(case: Case, settings: TranslationSettings, package: ModelPackage, engine: Engine) -> Generator[Event, None, Result]:
    """Translate without the truth, and say only how far it is: a run can be stopped between two batches."""
    with contextlib.closing(translate(Case(case.source, mask=case.mask), settings, package, engine=engine)) as work:
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                result: Result = end.value
                return result
            if isinstance(event, Progress):
                yield event


def _show(
    result: Result, case: Case, target: Volume, inside: NDArray[np.bool_], scores: Sequence[Score], folder: Path, number: int
) -> None:
    """Write a pair's picture and volumes; source and target once."""
    sheet(result, case, picture(folder, number), scores=scores, label=f"Validation pair, step {number}")
    shown = compared({"source": case.source, "result": result.volume, "truth": target}, inside)
    write(shown["result"], trial(folder, number), description=DESCRIPTION)
    for role, name in (("source", "source"), ("truth", "target")):
        if not trial(folder, name).exists():
            write(shown[role], trial(folder, name))


def _on(case: Case) -> Volume:
    """The target on the source's grid."""
    if case.truth is None:
        raise TrainingError("A pair has a target", f"{case.source.name} has none")
    return case.truth if same_grid(case.truth, case.source) else resample_onto(case.truth, case.source)
