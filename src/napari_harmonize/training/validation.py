"""How well a model translates pairs it has not seen, in training: translated as later, measured as later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.events import finish
from napari_harmonize.metrics import evaluate
from napari_harmonize.prepare import Context, foreground, mask_on
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, load_engine, translate
from napari_harmonize.volumes import read, resample_onto, same_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.training.pairs import Pair
    from napari_harmonize.translation import ModelPackage

METRICS = ("psnr", "ssim")


def validate(package: ModelPackage, pairs: Sequence[Pair], steps: int) -> dict[str, float]:
    """Translate pairs and compare with their targets.

    Parameters
    ----------
    package : ModelPackage
        What is tried, by its own default settings.
    pairs : sequence of Pair
        Unseen ones.
    steps : int
        Most sampler steps.

    Returns
    -------
    dict of str to float
        Mean "psnr" in dB and "ssim" inside the masks.
    """
    defaults = package.recipe.defaults
    settings = replace(defaults.settings(), steps=min(steps, defaults.steps))
    engine, found = load_engine(package, settings), []
    for pair in pairs:
        source, target = read(pair.source), read(pair.target)
        mask = read(pair.mask) if pair.mask else None
        result = finish(translate(Case(source, mask=mask), settings, package, engine=engine)).volume
        truth = target if same_grid(target, source) else resample_onto(target, source)
        inside = mask_on(source, Context(mask if mask is not None else foreground(source)))
        scores = evaluate(result.data, truth.data, mask=inside, metrics=METRICS)
        found.append([next(score.value for score in scores if score.name == name) for name in METRICS])
    return dict(zip(METRICS, np.mean(found, axis=0).tolist(), strict=True))
