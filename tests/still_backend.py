"""A backend that answers at once, and what it answers with."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

import tiny_model
from napari_harmonize.events import Note, Preview, Progress, Stage
from napari_harmonize.session import Backend
from napari_harmonize.session.resolve import ModelFacts
from napari_harmonize.translation import Card, Estimate, Result, Run, SlicePreview, TranslationSettings
from napari_harmonize.volumes import Meaning, from_array


def volume(name="head", level=100.0, shape=(12, 14, 10), shift=0.0, **fields):
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij"))
    inside = np.sqrt((grid**2).sum(0)) < 0.8
    data = (inside * (level + 10 * grid[0])).astype(np.float32)
    affine = np.diag([10.0, 10.0, 12.0, 1.0])
    affine[0, 3] = shift
    return from_array(data, affine, name=name, meaning=Meaning.ARBITRARY, **fields)


class StillBackend(Backend):
    """Answers at once, without a model."""

    def __init__(self):
        super().__init__()
        self.files = {"a.nii": volume("a"), "b.nii": volume("b", 50), "m.nii": volume("m", 1)}
        self.found = ()
        self.exported = []

    def read(self, path, series=None):
        if str(path) in self.files:
            return self.files[str(path)]
        return super().read(path, series)

    def models(self):
        return ("still",)

    def load_model(self, name_or_path):
        card = Card(title=f"model {name_or_path}", from_contrasts=("FLAIR", "T2"), to_contrasts=("T1",), licence="none")
        return SimpleNamespace(name=str(name_or_path), card=card, recipe=SimpleNamespace(training=tiny_model.training_keys()))

    def settings_for(self, package, name):
        return TranslationSettings(model=name, steps=10)

    def facts(self, package):
        return ModelFacts(package.card.title, "bridge", needs_style=True)

    def preflight(self, case, package):
        return self.found

    def estimate(self, case, settings, package):
        return Estimate(1.0 * settings.steps, 10, settings.steps, f"about {settings.steps} s")

    def translate(self, case, settings, package):
        yield Stage("Sampling", "batch 4")
        for step in range(1, settings.steps + 1):
            yield Progress(step, settings.steps)
            yield Preview(np.zeros((1, 2, 2), np.float32), (3,), step, settings.steps)
        yield Note("done well")
        return result_of(case, settings)

    def preview(self, case, settings, package, slices):
        yield Stage("Preview")
        return SlicePreview(dict.fromkeys(slices, np.zeros((2, 2), np.float32)), {}, Run({}, {}))

    def export(self, result, case, folder, **facts):
        self.exported.append(facts)
        return (folder / "x.nii.gz", folder / "x.json")


def result_of(case, settings):
    data = case.source.data / max(float(case.source.data.max()), 1)
    facts = {"source": {"name": case.source.name, "sha256": case.source.sha256}, "seed": settings.seed, "result": {"sha256": "r" * 64}}
    made = case.source.replace(data=data.astype(np.float32), meaning=Meaning.UNIT, name="result")
    return Result(made, Run(facts, {"started": "then", "seconds": 1.0}))
