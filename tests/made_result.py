"""A fabricated result of a small case, with the facts a run has."""

from __future__ import annotations

import numpy as np

from napari_harmonize.metrics import Score, evaluate
from napari_harmonize.translation import Case, Result, Run
from napari_harmonize.volumes import Meaning, from_array, resample_onto


def volume(name="brain", shape=(16, 20, 12), **fields):
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij"))
    data = ((grid**2).sum(0) < 0.7) * (50 + 20 * grid[0] - 10 * grid[2])
    affine = np.diag([-8.0, 8, 10, 1])
    affine[:3, 3] = (64, -80, -60)
    return from_array(data.astype(np.float32), affine, name=name, **fields)


def make_case():
    return Case(volume(), volume("truth", (14, 18, 12)))


def make_result(case):
    data = (case.source.data / case.source.data.max()).astype(np.float32)
    facts = {
        "tool": {"name": "napari-harmonize", "version": "0"},
        "model": {"title": "a model", "hash": "h" * 64, "trained_on": "nothing"},
        "sampling": {"sampler": "bridge", "steps": 3, "eta": 0.5, "seed": 4, "seed_matters": True, "consistency": "none"},
        "style": {"label": "average", "origin": "training average", "peeks": True},
        "source": {"name": "brain", "sha256": case.source.sha256},
        "notes": ["The batch was halved."],
    }
    return Result(
        case.source.replace(data=data, meaning=Meaning.UNIT, modality="T1", name="result"), Run(facts, {"started": "t", "seconds": 1})
    )


def make_scores(case, made):
    truth = resample_onto(case.truth, case.source).data
    return (*evaluate(made.volume.data, truth=truth, source=case.source.data, mask=case.source.data > 0), Score("psnr", float("inf"), "dB"))
