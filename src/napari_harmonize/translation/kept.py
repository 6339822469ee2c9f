"""What a result keeps of a source that has the target's contrast already: most of it is the source itself, recoloured.

A network that works at its own spacing blurs what only needs another tone. A recoloured source has all its detail and invents
none, so it makes up a share of the result on the source's own grid, where the source is said to have that contrast; and
since a wrong word would make a picture of the wrong contrast, it counts only where the network's answer is nearly the same.

Symbols: y source, c(y) its recolouring, n what the network says, r their agreement, w share: result = (1 - w) n + w c(y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.events import Job, Note
from napari_harmonize.style import recolouring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.prepared import Prepared
    from napari_harmonize.translation.recipe import Recipe
    from napari_harmonize.volumes import Volume

AGREEMENT = 0.55
"""T1s have 0.67 and more, other contrasts said to be T1 at most 0.44 (decision 3)."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Share of the recoloured source in a result, and the curve that recolours.

    Parameters
    ----------
    share : float
        w, 0..1.
    there, wished : (5,) float64
        Knots of the curve, 0..1.
    """

    share: float
    there: NDArray[np.float64]
    wished: NDArray[np.float64]

    def recoloured(self, source: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give c(y), of any shape, 0..1."""
        return np.interp(source, self.there, self.wished).astype(np.float32)

    def mixed(self, answer: NDArray[np.float32], source: NDArray[np.float32]) -> NDArray[np.float32]:
        """Put the result together from what the network says and the source, both 0..1 and of one shape."""
        return answer + np.float32(self.share) * (self.recoloured(source) - answer)


def has_target_contrast(source: Volume, recipe: Recipe) -> bool:
    """Whether the source is said to have the contrast the model makes, and the model keeps some of such a source."""
    return recipe.kept > 0 and bool(source.modality) and source.modality == recipe.target.modality


def keeping(
    prepared: Prepared, package: ModelPackage, key: StyleKey | None, answers: Mapping[int, NDArray[np.float32]]
) -> Job[Kept | None]:
    """Decide what a result keeps of its source.

    Parameters
    ----------
    prepared : Prepared
        The source.
    package : ModelPackage
        The model.
    key : StyleKey, optional
        The wished look.
    answers : mapping of int to (row, column) float32
        What the network says of each prepared slice, 0..1.

    Yields
    ------
    Note
        What is kept, or why nothing is.

    Returns
    -------
    Kept or None
        None where nothing is kept.
    """
    source, recipe = prepared.source, package.recipe
    if not has_target_contrast(source, recipe) or key is None or prepared.source_key is None or not answers:
        return None
    kept = Kept(recipe.kept, *recolouring(prepared.source_key, key))
    r = _agreement(kept, prepared, answers)
    if r < AGREEMENT:
        yield Note(
            f"{source.name} is said to be {source.modality}, but in the wished look it differs from what the network makes of it "
            f"(agreement {r:.2f}, at least {AGREEMENT:g} expected), so nothing of it is kept: check its contrast and the wished look.",
            "warning",
        )
        return None
    yield Note(f"{source.name} is {source.modality} already: {kept.share:.0%} of the result is the source itself in the wished look.")
    return kept


def _agreement(kept: Kept, prepared: Prepared, answers: Mapping[int, NDArray[np.float32]]) -> float:
    """Give r = 1 - mean (n - c(y))² / var n inside the mask of these slices; 0 where nothing varies."""
    inside = prepared.frame.to_slices(prepared.inside)
    seen = [index for index in answers if inside[index].any()]
    if not seen:
        return 0.0
    n = np.concatenate([answers[index][inside[index]] for index in seen])
    c = kept.recoloured(np.concatenate([prepared.slices[index][inside[index]] for index in seen]))
    return float(1 - np.mean((n - c) ** 2) / n.var()) if n.var() > 0 else 0.0
