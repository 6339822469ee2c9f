"""How well a model translates pairs it has not seen, in training: translated as later, measured as later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.errors import TrainingError
from napari_harmonize.events import finish
from napari_harmonize.metrics import evaluate
from napari_harmonize.prepare import Context, foreground, mask_on
from napari_harmonize.settings import replace
from napari_harmonize.training.examples import read_case
from napari_harmonize.translation import Case, load_engine, translate
from napari_harmonize.translation.report import sheet
from napari_harmonize.volumes import resample_onto, same_grid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_harmonize.training.pairs import Pair
    from napari_harmonize.translation import ModelPackage
    from napari_harmonize.volumes import Volume

METRICS = ("psnr", "ssim")


def validate(package: ModelPackage, pairs: Sequence[Pair], steps: int, picture: Path | None = None) -> dict[str, float]:
    """Translate pairs and compare with their targets.

    Parameters
    ----------
    package : ModelPackage
        What is tried, by its own default settings.
    pairs : sequence of Pair
        Unseen ones.
    steps : int
        Most sampler steps.
    picture : Path, optional
        PNG to write: the first pair in three planes, source, result and target, with its slice-consistency curves.

    Returns
    -------
    dict of str to float
        Mean "psnr" in dB and "ssim" inside the masks.
    """
    defaults = package.recipe.defaults
    settings = replace(defaults.settings(), steps=min(steps, defaults.steps))
    engine, found = load_engine(package, settings), []
    for number, pair in enumerate(pairs, 1):
        case = read_case(pair, package.recipe)
        result = finish(translate(Case(case.source, mask=case.mask), settings, package, engine=engine))
        inside = mask_on(case.source, Context(case.mask if case.mask is not None else foreground(case.source)))
        scores = evaluate(result.volume.data, _on(case).data, mask=inside, metrics=METRICS)
        found.append([next(score.value for score in scores if score.name == name) for name in METRICS])
        if picture is not None and number == 1:
            sheet(result, case, picture, scores=scores, label=f"Validation pair 1 of {len(pairs)}")
    return dict(zip(METRICS, np.mean(found, axis=0).tolist(), strict=True))


def _on(case: Case) -> Volume:
    """The target on the source's grid."""
    if case.truth is None:
        raise TrainingError("A pair has a target", f"{case.source.name} has none")
    return case.truth if same_grid(case.truth, case.source) else resample_onto(case.truth, case.source)
