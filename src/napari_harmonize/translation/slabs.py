"""The slices that are sampled together, with what stands beside them. This module loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from napari_harmonize.diffusion.consistency import CoPrediction, Corrector, Independent, Stacked, cut
from napari_harmonize.diffusion.patches import Patched, ramps
from napari_harmonize.diffusion.planes import ThreePlanes
from napari_harmonize.diffusion.sampling import normal
from napari_harmonize.translation.plan import accepted

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.translation.engine import Engine, Evaluator
    from napari_harmonize.translation.prepared import Prepared
    from napari_harmonize.translation.recipe import Recipe
    from napari_harmonize.translation.settings import TranslationSettings


@dataclass(frozen=True)
class Slab:
    """Slices ``first`` to ``stop - 1`` of a prepared volume."""

    first: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def indices(self) -> range:
        """The slices' positions."""
        return range(self.first, self.stop)

    def grown(self, least: int, limit: int) -> Slab:
        """Widen it about its middle to at least so many slices, within 0 to ``limit``."""
        missing = max(0, min(least, limit) - len(self))
        first = min(max(0, self.first - missing // 2), limit - max(len(self), min(least, limit)))
        return Slab(first, first + len(self) + missing)

    def around(self, centre: int | None, count: int) -> tuple[int, ...]:
        """Positions of ``count`` neighbouring slices about one, all within the slab."""
        centre = (self.first + self.stop - 1) // 2 if centre is None else centre
        low = max(self.first, min(centre - count // 2, self.stop - count))
        return tuple(range(low, min(low + count, self.stop)))


@dataclass(frozen=True, eq=False, kw_only=True)
class IndependentSlab(Independent):
    """Stacks that walk for themselves and see the true neighbours of a slab cut out of a volume."""

    padded: Tensor

    @property
    def y(self) -> Tensor:
        """Source stacks (Z, C, H, W)."""
        return cut(self.padded, self.radius)


@dataclass(frozen=True, eq=False, kw_only=True)
class CoPredictedSlab(CoPrediction):
    """One volume of overlapping stacks that sees the true neighbours of a slab cut out of a volume."""

    padded: Tensor

    @property
    def y(self) -> Tensor:
        """Source volume (Z + 2r, H, W)."""
        return self.padded


def make_state(
    slab: Slab, prepared: Prepared, engine: Engine, settings: TranslationSettings, evaluator: Evaluator
) -> tuple[Stacked, Corrector | None]:
    """Put the source of a slab where the sampler can walk with it.

    Returns
    -------
    Stacked
        Independent stacks, one volume that is co-predicted, one that is asked along three planes, or one in patches.
    Corrector or None
        The correction, where it is asked for.
    """
    recipe = engine.package.recipe
    known: dict[str, Any] = {
        "path": engine.path,
        "objective": engine.objective,
        "evaluate": evaluator,
        # guidance leads out of the range of the data, so that clipping must follow it, in the sampler
        "clip": settings.clip and not settings.guidance,
        "dropped": evaluator.on_dropped,
    }
    state: Stacked
    if recipe.dimensions == 3:
        state = _patched(slab, prepared, engine, known)
    elif settings.three_planes:
        rows = accepted(len(slab), engine.package)
        source = _with_neighbours(slab, prepared, recipe, (0, rows - len(slab))).to(engine.device)
        state = ThreePlanes(source, 0, **known, kept=len(slab))
    else:
        radius = recipe.radius
        padded = _with_neighbours(slab, prepared, recipe, (radius, radius)).to(engine.device)
        kind = IndependentSlab if settings.consistency == "none" else CoPredictedSlab
        state = kind(source=padded[radius : radius + len(slab)], radius=radius, padded=padded, **known)
    return state, Corrector(state, settings.correction) if settings.corrects else None


def _patched(slab: Slab, prepared: Prepared, engine: Engine, known: dict[str, Any]) -> Patched:
    """One volume in patches, told where they lie in the whole."""
    recipe = engine.package.recipe
    source = _with_neighbours(slab, prepared, recipe, (0, 0)).to(engine.device)
    position = None
    if "position" in recipe.conditioning:
        position = ramps(prepared.slices.shape)[:, slab.first : slab.stop].to(engine.device)
    patch = cast("tuple[int, int, int]", recipe.input_size(prepared.slices.shape))
    return Patched(source, 0, **known, patch=patch, overlap=recipe.overlap, position=position)


def _with_neighbours(slab: Slab, prepared: Prepared, recipe: Recipe, margins: tuple[int, int]) -> Tensor:
    """Source with some slices before and after it, in the network's range; its low end outside the slices that hold some of the body."""
    slices, (before, after) = prepared.slices, margins
    padded = np.full((before + len(slab) + after, *slices.shape[1:]), recipe.low, np.float32)
    low, high = max(slab.first - before, prepared.first), min(slab.stop + after, prepared.last + 1)
    offset = low - (slab.first - before)
    scale = np.float32(1 - recipe.low)
    padded[offset : offset + high - low] = np.clip(slices[low:high] * scale + np.float32(recipe.low), recipe.low, 1)
    return torch.from_numpy(padded)


class Noise:
    """Draws for the whole volume and hands out the part a slab needs, so that a preview sees the noise of the run.

    Parameters
    ----------
    seed : int
        Seed.
    slab : Slab
        The part.
    prepared : Prepared
        The whole.
    """

    def __init__(self, seed: int, slab: Slab, prepared: Prepared) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._first = slab.first - prepared.first
        self._rest = prepared.last + 1 - prepared.first - len(slab)

    def __call__(self, like: Tensor) -> Tensor:
        """Draw standard normal noise of the shape and place of ``like``."""
        rows = len(like) + self._rest
        whole = torch.empty((rows, *like.shape[1:]), device="cpu")
        drawn = normal(whole, self._generator)[self._first : self._first + len(like)]
        return drawn.to(like)
