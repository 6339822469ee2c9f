"""The slices that are sampled together, with what stands beside them. This module loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_harmonize.diffusion.consistency import CoPrediction, Corrector, Independent, cut
from napari_harmonize.diffusion.sampling import normal

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.translation.engine import Engine, Evaluator
    from napari_harmonize.translation.prepared import Prepared
    from napari_harmonize.translation.settings import TranslationSettings

OUTSIDE = -1.0


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


State = IndependentSlab | CoPredictedSlab


def make_state(
    slab: Slab, prepared: Prepared, engine: Engine, settings: TranslationSettings, evaluator: Evaluator
) -> tuple[State, Corrector | None]:
    """Put the source of a slab where the sampler can walk with it.

    Returns
    -------
    State
        Independent stacks, or one volume that is co-predicted.
    Corrector or None
        The correction, where it is asked for.
    """
    radius = engine.package.recipe.radius
    padded = _with_neighbours(slab, prepared, radius).to(engine.device)
    source = padded[radius : radius + len(slab)]
    kind = IndependentSlab if settings.consistency == "none" else CoPredictedSlab
    state = kind(source, radius, engine.path, engine.objective, evaluator, settings.clip, padded=padded)
    corrected = settings.consistency == "co-prediction+correction" and isinstance(state, CoPredictedSlab)
    return state, Corrector(state, settings.correction) if corrected else None  # type: ignore[arg-type]


def _with_neighbours(slab: Slab, prepared: Prepared, radius: int) -> Tensor:
    """Source (Z + 2r, H, W), -1..1; -1 outside the slices that hold some of the body."""
    slices = prepared.slices
    padded = np.full((len(slab) + 2 * radius, *slices.shape[1:]), OUTSIDE, np.float32)
    low, high = max(slab.first - radius, prepared.first), min(slab.stop + radius, prepared.last + 1)
    offset = low - (slab.first - radius)
    padded[offset : offset + high - low] = np.clip(slices[low:high] * 2 - 1, -1, 1)
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
