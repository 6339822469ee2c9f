"""The frozen value a network is conditioned on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Condition(NamedTuple):
    """What a network may know besides the noisy image and the time.

    A tuple, because whoever wraps a network to train it (mixed precision, several devices) looks for tensors in tuples.

    Parameters
    ----------
    source : (batch, channels, ...) float32, -1..1, optional
        The images to translate, slice for slice beside the noisy ones.
    style : (batch, 3, bins) float32, optional
        Style key of the wished look: histogram, cumulative histogram, differential.
    source_style : (batch, 3, bins) float32, optional
        The same three curves of the whole source volume, which tell a network that sees few slices what
        kind of contrast it looks at.
    position : (batch, 3, ...) float32, 0..1, optional
        Where a patch lies: three ramps along slice, row and column of the whole prepared volume, cut like the patch.
    """

    source: Tensor | None = None
    style: Tensor | None = None
    source_style: Tensor | None = None
    position: Tensor | None = None

    def take(self, rows: slice | Tensor) -> Condition:
        """Select rows of the batch.

        Parameters
        ----------
        rows : slice or (n,) int64
            Which batch items to keep.

        Returns
        -------
        Condition
            The same fields, fewer rows.
        """
        picked = (None if part is None else part[rows] for part in self)
        return Condition(*picked)

    def dropped(self) -> Condition:
        """Give the unconditional twin, as training with dropped conditions saw it: source and position times 0.

        Returns
        -------
        Condition
            The same style keys; zeros where source and position were.
        """
        source, position = (None if part is None else part * 0 for part in (self.source, self.position))
        return Condition(source, self.style, self.source_style, position)
