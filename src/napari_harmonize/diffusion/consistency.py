"""Stacks of neighbouring slices, the volume they overlap in, and what keeps them consistent.

A volume of Z slices is seen by the network as Z stacks of C = 2r + 1 slices; stack b is centred on slice b. The
padded volume has Z + 2r slices: channel c of stack b is padded slice b + c, slice k is padded slice k + r, and the r
slices at each end lie outside the patient and are generated too.

Two states a sampler may walk with: :class:`Independent` (Z, C, H, W), every stack for itself, and
:class:`CoPrediction` (Z + 2r, H, W), one padded volume from which stacks are cut on the fly and whose predictions are
averaged. :class:`Corrector` adds the correction of inter-slice trajectory alignment. States for single-slice networks
asked along three axes and for networks of three dimensions stand in ``planes.py`` and ``patches.py``.

Paper: Choo et al., MICCAI 2024, section 2.3.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_harmonize.diffusion.objective import residual
from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.diffusion.objective import Objective
    from napari_harmonize.diffusion.path import Path
    from napari_harmonize.diffusion.sampling import Work
    from napari_harmonize.diffusion.settings import Correction

Evaluate = Callable[["Tensor", "Tensor", float], Iterator[tuple[slice, "Tensor"]]]
Parts = Generator[tuple[int, int], None, "tuple[Tensor, ...]"]
Join = Callable[["Tensor", slice, "Tensor", int], None]

OUTSIDE = -1.0


def pad(volume: Tensor, radius: int, fill: float = OUTSIDE) -> Tensor:
    """Add ``radius`` empty slices at each end.

    Parameters
    ----------
    volume : (Z, H, W) Tensor
        Slices, -1..1.
    radius : int
        Slices to add at each end.
    fill : float
        Their value.

    Returns
    -------
    (Z + 2 radius, H, W) Tensor
        The padded volume.
    """
    return torch.nn.functional.pad(volume, (0, 0, 0, 0, radius, radius), value=fill)


def cut(padded: Tensor, radius: int) -> Tensor:
    """See a padded volume as overlapping stacks, without copying.

    Parameters
    ----------
    padded : (Z + 2 radius, H, W) Tensor
        The padded volume.
    radius : int
        Neighbours on each side.

    Returns
    -------
    (Z, 2 radius + 1, H, W) Tensor
        A view: rows share memory, so it is read, never written.
    """
    return padded.unfold(0, 2 * radius + 1, 1).movedim(-1, 1)


def cover(slices: int, radius: int) -> Tensor:
    """Count the stacks that hold each padded slice: 1, 2, ..., C, ..., 2, 1, and fewer where Z < C.

    Parameters
    ----------
    slices : int
        Z, the number of stacks.
    radius : int
        Neighbours on each side.

    Returns
    -------
    (Z + 2 radius,) float32 Tensor
        True counts.
    """
    counts = torch.zeros(slices + 2 * radius)
    for channel in range(2 * radius + 1):
        counts[channel : channel + slices] += 1
    return counts


def average(stacks: Tensor) -> Tensor:
    """Average overlapping stacks into one padded volume.

    Parameters
    ----------
    stacks : (Z, C, H, W) Tensor
        Stack b is centred on slice b.

    Returns
    -------
    (Z + C - 1, H, W) Tensor
        Mean over all stacks that hold a slice.
    """
    slices, channels, height, width = stacks.shape
    padded = stacks.new_zeros(slices + channels - 1, height, width)
    _add(padded, slice(0, slices), stacks, slices)
    return _divided(padded, slices)


def _add(padded: Tensor, rows: slice, stacks: Tensor, slices: int) -> None:
    """Add stacks of a batch to the slices they hold; the order of additions does not depend on the batches."""
    for channel in reversed(range(stacks.shape[1])):
        padded[rows.start + channel : rows.stop + channel] += stacks[:, channel]


def _place_centres(padded: Tensor, rows: slice, stacks: Tensor, slices: int) -> None:
    """Keep the centre of each stack; outside the patient what the first and the last stack say."""
    radius = stacks.shape[1] // 2
    padded[rows.start + radius : rows.stop + radius] = stacks[:, radius]
    if rows.start == 0:
        padded[:radius] = stacks[0, :radius]
    if rows.stop == slices:
        padded[slices + radius :] = stacks[-1, radius + 1 :]


def _divided(padded: Tensor, slices: int) -> Tensor:
    counts = cover(slices, (len(padded) - slices) // 2)
    return padded.div_(counts.to(padded)[:, None, None])


@dataclass(frozen=True, eq=False)
class Stacked(ABC):
    """What all states share: how stacks become predicted clean stacks.

    Parameters
    ----------
    source : (Z, H, W) Tensor
        The slices to translate, -1..1.
    radius : int
        Neighbours on each side, 0 for single slices.
    path : Path
        Where the coefficients come from.
    objective : Objective
        What the network's answer means.
    evaluate : callable
        ``evaluate(stacks, sources, t)`` with views (Z, C, H, W) of noisy and source stacks: an iterator that runs the
        network in batches of its own choosing, in rising order, and gives (rows, prediction) for each.
    clip : bool
        Clamp each stack's predicted clean image to -1..1, before any averaging.
    dropped : callable, optional
        As ``evaluate``, on dropped conditions; for guidance.

    Raises
    ------
    SettingsError
        The source is not a stack of slices, or the radius is negative.
    """

    source: Tensor
    radius: int
    path: Path
    objective: Objective
    evaluate: Evaluate
    clip: bool = False
    dropped: Evaluate | None = None

    def __post_init__(self) -> None:
        if self.source.ndim != 3 or 0 in self.source.shape or self.radius < 0:
            raise SettingsError(
                "Slices arrive as (Z, H, W) with a radius of 0 or more", f"{tuple(self.source.shape)}, {self.radius} arrived"
            )

    @property
    @abstractmethod
    def y(self) -> Tensor:
        """Source in the state's shape."""

    @property
    def stacks(self) -> int:
        """Stacks one evaluation of the whole state takes."""
        return len(self.source)

    @abstractmethod
    def centre(self, x: Tensor) -> Tensor:
        """Slices (Z, H, W) of a state."""

    def denoise(self, x: Tensor, t: float) -> Work:
        """Predict the clean state; yields (stacks done, stacks in all) after each batch."""
        (x0,) = yield from self._predict(x, t, 1, self.evaluate)
        return x0

    def denoise_with_variance(self, x: Tensor, t: float) -> Parts:
        """Predict the clean state and the variance fraction, -1..1, of a network that has learnt it."""
        x0, fraction = yield from self._predict(x, t, 2, self.evaluate)
        return x0, fraction

    def unconditional(self, x: Tensor, t: float) -> Work:
        """Predict the clean state on dropped conditions.

        Raises
        ------
        SettingsError
            There is no such evaluation.
        """
        if self.dropped is None:
            raise SettingsError("Guidance asks the network on dropped conditions too", "this state cannot")
        (x0,) = yield from self._predict(x, t, 1, self.dropped)
        return x0

    @abstractmethod
    def _predict(self, x: Tensor, t: float, parts: int, evaluate: Evaluate) -> Parts:
        """Ask for every stack and put the answers together: the clean state, and the variance fraction as a second part."""

    def _clean(self, stacks: Tensor, sources: Tensor, t: float, evaluate: Evaluate) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Predicted clean stacks and what the network says beyond them (no channels where it learns no variance), batch by batch."""
        c, channels = self.path.at(t), stacks.shape[1]
        for rows, prediction in evaluate(stacks, sources, t):
            said = prediction.to(stacks)
            x0 = self.objective.x0(c, said[:, :channels], stacks[rows], sources[rows, :channels])
            yield rows, x0.clamp(-1, 1) if self.clip else x0, said[:, channels:]


@dataclass(frozen=True, eq=False)
class Independent(Stacked):
    """Every stack walks for itself; the state is (Z, C, H, W)."""

    @functools.cached_property
    def y(self) -> Tensor:
        """Source in the state's shape."""
        return cut(pad(self.source, self.radius), self.radius)

    def _predict(self, x: Tensor, t: float, parts: int, evaluate: Evaluate) -> Parts:
        found = tuple(torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(parts))
        for rows, *answers in self._clean(x, self.y, t, evaluate):
            for whole, answer in zip(found, answers, strict=False):
                whole[rows] = answer
            yield rows.stop, len(x)
        return found

    def centre(self, x: Tensor) -> Tensor:
        """Slices (Z, H, W) of a state."""
        return x[:, self.radius]


@dataclass(frozen=True, eq=False)
class CoPrediction(Stacked):
    """All stacks walk as one padded volume (Z + 2r, H, W); predictions are averaged where stacks overlap."""

    @functools.cached_property
    def y(self) -> Tensor:
        """Source in the state's shape."""
        return pad(self.source, self.radius)

    def denoise_centres(self, x: Tensor, t: float) -> Work:
        """Predict the clean volume from the centre of each stack alone."""
        (x0,) = yield from self._joined(_place_centres, x, t, 1, self.evaluate)
        return x0

    def _predict(self, x: Tensor, t: float, parts: int, evaluate: Evaluate) -> Parts:
        joined = yield from self._joined(_add, x, t, parts, evaluate)
        return tuple(_divided(part, len(self.source)) for part in joined)

    def _joined(self, join: Join, x: Tensor, t: float, parts: int, evaluate: Evaluate) -> Parts:
        found, slices = tuple(torch.zeros_like(x) for _ in range(parts)), len(self.source)
        for rows, *answers in self._clean(cut(x, self.radius), cut(self.y, self.radius), t, evaluate):
            for padded, stacks in zip(found, answers, strict=False):
                join(padded, rows, stacks, slices)
            yield rows.stop, slices
        return found

    def centre(self, x: Tensor) -> Tensor:
        """Slices (Z, H, W) of a state."""
        return x[self.radius : self.radius + len(self.source)]


@dataclass(frozen=True, eq=False)
class Corrector:
    """Inter-slice trajectory alignment: ``x + gamma score`` on each padded slice.

    With ``score = -(x - a x0 - b y) / s^2`` and d = H W, gamma is ``lambda delta sqrt(d) / |score|^2`` as released or
    ``lambda delta d / |score|^2`` as published (equation 5), delta being the one-step variance of the training grid.
    A slice whose score is zero stays as it is.

    Parameters
    ----------
    state : Stacked
        One that holds one volume; whose predictions the score is made from.
    settings : Correction
        Repeats, weight, scale and kind of score.
    """

    state: Stacked
    settings: Correction

    @property
    def repeats(self) -> int:
        """Corrections after each step."""
        return self.settings.repeats

    def __call__(self, x: Tensor, t: float) -> Work:
        """Return the corrected volume, (Z + 2r, H, W) for stacks, at time t; yields after each batch."""
        state = self.state
        if self.settings.score == "centre" and isinstance(state, CoPrediction):
            x0 = yield from state.denoise_centres(x, t)
        else:
            x0 = yield from state.denoise(x, t)
        c = self.state.path.at(t)
        score = residual(c, x, x0, self.state.y).div_(-(c.s**2))
        return x + score.mul_(self._gamma(score, t))

    def _gamma(self, score: Tensor, t: float) -> Tensor:
        pixels = score[0].numel()
        factor = math.sqrt(pixels) if self.settings.scale == "released" else pixels
        length = score.square().sum((1, 2), keepdim=True)
        gamma = self.settings.weight * self.state.path.one_step_variance(t) * factor / length
        return torch.where(length > 0, gamma, 0.0)
