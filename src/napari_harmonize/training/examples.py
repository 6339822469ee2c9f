"""Pairs made ready for a recipe, once, and the batches that are cut from them.

Symbols: Z slices, H rows, W columns of a prepared volume; C = 2N + 1 slices of a stack; D x H x W patch of three dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.diffusion.patches import ramps
from napari_harmonize.errors import TrainingError
from napari_harmonize.style import compute
from napari_harmonize.training.augment import augment
from napari_harmonize.translation import Case, prepare_case
from napari_harmonize.translation.prepared import onto_prepared
from napari_harmonize.volumes import Meaning, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_harmonize.style import StyleKey
    from napari_harmonize.training.pairs import Pair
    from napari_harmonize.training.settings import Augmentation
    from napari_harmonize.translation import ModelPackage, Recipe


@dataclass(frozen=True, eq=False)
class Example:
    """One pair on the model's own grid.

    Parameters
    ----------
    source, target : (Z, H, W) float32
        0..1.
    inside : (Z, H, W) bool
        Body part.
    first, last : int
        First and last slice with some of it.
    style, source_style : StyleKey, optional
        Keys of target and source, where the model takes them.
    """

    source: NDArray[np.float32]
    target: NDArray[np.float32]
    inside: NDArray[np.bool_]
    first: int
    last: int
    style: StyleKey | None = None
    source_style: StyleKey | None = None


def read_case(pair: Pair, recipe: Recipe) -> Case:
    """Read a pair's files; numbers of a source that does not say what they mean are taken for those the recipe expects.

    Raises
    ------
    VolumeError
        A file cannot be read.
    """
    source, mask = read(pair.source), read(pair.mask) if pair.mask else None
    if source.meaning is Meaning.UNKNOWN:
        source = source.replace(meaning=Meaning(recipe.source))
    return Case(source, read(pair.target), mask)


def load_example(pair: Pair, package: ModelPackage) -> Example:
    """Prepare a pair as a translation prepares its source, and put the target onto the same grid.

    Raises
    ------
    VolumeError
        A file cannot be read or prepared.
    GeometryError
        The two do not share a space.
    """
    recipe = package.recipe
    case = read_case(pair, recipe)
    prepared = prepare_case(case, package)
    if case.truth is None:
        raise TrainingError("A pair has a target", f"{pair.source.name} has none")
    target, inside = onto_prepared(case.truth, prepared, recipe), prepared.inside
    key = compute(target, bins=recipe.bins, mask=inside, label="training subject") if "style" in recipe.conditioning else None
    cut = recipe.frame.to_slices
    return Example(
        prepared.slices,
        np.ascontiguousarray(cut(target), np.float32),
        np.ascontiguousarray(cut(inside)),
        prepared.first,
        prepared.last,
        key,
        prepared.source_key,
    )


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step trains on.

    Parameters
    ----------
    x0, y : (B, C, ...) float32 Tensor
        Target and source in the network's range.
    inside : (B, C, ...) float32 Tensor
        1 in the body part.
    condition : Condition
        What the network is told.
    """

    x0: Tensor
    y: Tensor
    inside: Tensor
    condition: Condition

    def varied(self) -> Batch:
        """Leave out items whose source is one single value, unless all are.

        Instance normalisation divides by a spread of zero there, layer after layer, until the gradient is no number.
        """
        keep = self.y.flatten(1).amax(1) > self.y.flatten(1).amin(1)
        if keep.all() or not keep.any():
            return self
        told = (self.condition.source, self.condition.style, self.condition.source_style, self.condition.position)
        left = Condition(*(None if part is None else part[keep] for part in told))
        return Batch(self.x0[keep], self.y[keep], self.inside[keep], left)


class _Item(NamedTuple):
    """One example of a batch: target, source and mask as (3, C, ...), position as (3 or 0, ...)."""

    parts: Tensor
    position: Tensor
    example: Example


class Examples:
    """Cuts batches from prepared pairs; each depends on (seed, step) alone.

    Parameters
    ----------
    examples : sequence of Example
        The pairs.
    recipe : Recipe
        How the network sees them.
    augmentation : Augmentation
        How they are varied.
    multiple : int
        What every side of a crop must be divisible by.

    Raises
    ------
    TrainingError
        There is no example.
    """

    def __init__(self, examples: Sequence[Example], recipe: Recipe, augmentation: Augmentation, multiple: int) -> None:
        if not examples:
            raise TrainingError("There is at least one pair to train on", "none has the split train", "Look at the table's column split")
        self._examples, self._recipe, self._augmentation, self._multiple = list(examples), recipe, augmentation, multiple

    def batch(self, size: int, rng: torch.Generator) -> Batch:
        """Draw a batch."""
        drawn = [self._one(self._examples[_integer(len(self._examples), rng)], rng) for _ in range(size)]
        low = self._recipe.low
        x0, y, inside = (torch.stack([one.parts[place] for one in drawn]) for place in range(3))
        x0, y = x0 * (1 - low) + low, y * (1 - low) + low
        return Batch(x0, y, inside, self._condition(drawn, y))

    def _one(self, example: Example, rng: torch.Generator) -> _Item:
        told = self._recipe.conditioning
        box = self._patch(example, rng) if self._recipe.patch else self._stack(example, rng)
        volumes = [example.target, example.source, example.inside.astype(np.float32)]
        volumes += list(ramps(example.source.shape).numpy()) if "position" in told else []
        parts = torch.stack([_cut(volume, box) for volume in volumes])
        varied = augment(parts, self._augmentation, self._recipe.frame.axes.index(0), rng)
        if self._recipe.patch:  # a patch is one channel of three dimensions, a stack has its slices as channels
            return _Item(varied[:3, None], varied[3:], example)
        return _Item(varied[:3], varied[3:], example)

    def _stack(self, example: Example, rng: torch.Generator) -> tuple[tuple[int, int], ...]:
        """Range of slices, rows and columns of a stack; rows and columns cropped where asked."""
        centre, radius = example.first + _integer(example.last + 1 - example.first, rng), self._recipe.radius
        return ((centre - radius, centre + radius + 1), *(self._span(size, rng) for size in example.source.shape[1:]))

    def _patch(self, example: Example, rng: torch.Generator) -> tuple[tuple[int, int], ...]:
        spans = []
        for size, length in zip(example.source.shape, self._recipe.patch, strict=True):
            start = _integer(size - min(size, length) + 1, rng)
            spans.append((start, start + min(size, length)))
        return tuple(spans)

    def _span(self, size: int, rng: torch.Generator) -> tuple[int, int]:
        crop = self._augmentation.crop // self._multiple * self._multiple
        if not crop or crop >= size:
            return 0, size
        start = _integer(size - crop + 1, rng)
        return start, start + crop

    def _condition(self, drawn: list[_Item], y: Tensor) -> Condition:
        told = self._recipe.conditioning
        position = torch.stack([one.position for one in drawn]) if "position" in told else None
        style = _curves([one.example.style for one in drawn]) if "style" in told else None
        source_style = _curves([one.example.source_style for one in drawn]) if "source_style" in told else None
        return Condition(y if "source" in told else None, style, source_style, position)


def _integer(below: int, rng: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=rng))


def _cut(volume: NDArray[np.float32], box: tuple[tuple[int, int], ...]) -> Tensor:
    """Cut out a box; slices beyond the ends are empty."""
    (first, stop), rows, columns = box
    low, high = max(first, 0), min(stop, len(volume))
    found = np.zeros((stop - first, rows[1] - rows[0], columns[1] - columns[0]), np.float32)
    found[low - first : high - first] = volume[low:high, slice(*rows), slice(*columns)]
    return torch.from_numpy(found)


def _curves(keys: list[StyleKey | None]) -> Tensor:
    return torch.from_numpy(np.stack([key.curves for key in keys if key is not None]).astype(np.float32))
