"""Networks of three dimensions: one volume, seen in overlapping patches whose answers are averaged at every step.

Averaging the predictions of overlapping windows at every step, and not finished patches at the end, keeps the seams
out (Bar-Tal et al., "MultiDiffusion", ICML 2023).

Symbols: :class:`Patched`, :func:`boxes`, :func:`ramps`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_harmonize.diffusion.consistency import Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.diffusion.consistency import Evaluate, Parts

Box = tuple[slice, slice, slice]


def boxes(shape: tuple[int, ...], patch: tuple[int, ...], overlap: float) -> tuple[Box, ...]:
    """Cover a volume with patches of one size.

    Parameters
    ----------
    shape : (3,) int
        The volume.
    patch : (3,) int
        Largest patch; an axis that is shorter is taken whole.
    overlap : float
        Share of a patch that neighbours share at least, 0 to below 1.

    Returns
    -------
    tuple of (slice, slice, slice)
        In rising order; the last along an axis ends with the volume.
    """
    lines = []
    for size, length in zip(shape, patch, strict=True):
        length = min(size, length)
        stride = max(1, int(length * (1 - overlap)))
        starts = [*range(0, size - length, stride), size - length]
        lines.append([slice(start, start + length) for start in starts])
    return tuple((i, j, k) for i, j, k in itertools.product(*lines))


def ramps(shape: tuple[int, ...]) -> Tensor:
    """Tell where a voxel lies: 0..1 along each axis of a volume.

    Returns
    -------
    (3, D, H, W) float32 Tensor
    """
    lines = [torch.linspace(0, 1, size) for size in shape]
    return torch.stack(torch.meshgrid(*lines, indexing="ij"))


def tent(shape: tuple[int, ...]) -> Tensor:
    """Weights of a patch that fall towards its border, where neighbours take over; all are above 0."""
    lines = []
    for size in shape:
        place = torch.arange(size, dtype=torch.float32) + 0.5
        lines.append(torch.minimum(place, size - place) / (size / 2))
    return lines[0][:, None, None] * lines[1][:, None] * lines[2]


@dataclass(frozen=True, eq=False)
class Patched(Stacked):
    """One volume (D, H, W) seen in patches; what the evaluator is handed is (N, 1, d, h, w).

    Parameters
    ----------
    source, radius, path, objective, evaluate, clip, dropped
        As for every state; the radius is 0.
    patch : (3,) int
        Largest patch.
    overlap : float
        Share of a patch that neighbours share at least.
    position : (3, D, H, W) Tensor, optional
        Handed on as channels 1 to 3 of the sources where the network is told its place.
    """

    patch: tuple[int, int, int] = (64, 64, 64)
    overlap: float = 0.25
    position: Tensor | None = None

    @property
    def y(self) -> Tensor:
        """Source (D, H, W)."""
        return self.source

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where the patches lie."""
        return boxes(tuple(self.source.shape), self.patch, self.overlap)

    @property
    def stacks(self) -> int:
        """Patches one evaluation of the whole volume takes."""
        return len(self.boxes)

    def centre(self, x: Tensor) -> Tensor:
        """Give the volume as it is."""
        return x

    def _predict(self, x: Tensor, t: float, parts: int, evaluate: Evaluate) -> Parts:
        places = self.boxes
        found, total = tuple(torch.zeros_like(x) for _ in range(parts)), torch.zeros_like(x)
        sources = self.y[None] if self.position is None else torch.cat([self.y[None], self.position])
        stacks, told = torch.stack([x[box] for box in places])[:, None], torch.stack([sources[:, *box] for box in places])
        weight = tent(tuple(stacks.shape[2:])).to(x)
        for rows, *answers in self._clean(stacks, told, t, evaluate):
            for number, box in enumerate(places[rows]):
                total[box] += weight
                for whole, answer in zip(found, answers, strict=False):
                    whole[box] += weight * answer[number, 0]
            yield rows.stop, len(places)
        return tuple(whole.div_(total) for whole in found)
