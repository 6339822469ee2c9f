"""Subjects small enough to be measured in a moment."""

from __future__ import annotations

import numpy as np

from napari_harmonize.findings.job import finder
from napari_harmonize.findings.subjects import TASKS, Subject
from napari_harmonize.translation import Case
from napari_harmonize.volumes import from_array

SHAPE = (20, 24, 12)


def small(task: str, number: int, folder=None) -> Subject:
    """A ball of three shells in two contrasts."""
    rng = np.random.default_rng([list(TASKS).index(task), number])
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij"))
    radius = np.sqrt((grid**2).sum(0)) + 0.05 * rng.normal(size=SHAPE)
    inside = np.sqrt((grid**2).sum(0)) < 0.95
    shell = np.digitize(radius, (0.4, 0.7))
    contrasts = ((90, 140, 40), (200, 120, 30))
    source, truth = (np.where(inside, np.take(means, shell) + rng.normal(0, 5, SHAPE), 0).clip(0) for means in contrasts)
    volumes = (from_array(data.astype(np.float32), np.eye(4), name=role) for role, data in (("source", source), ("truth", truth)))
    return Subject(f"small {number}", number, Case(*volumes, from_array(inside.astype(np.uint8), np.eye(4), name="mask")))


def among(*folders):
    """Look for a model in these folders alone, whatever is built in."""
    look = finder(folders)
    return lambda name: look(name) if any((folder / name).is_dir() for folder in folders) else None
