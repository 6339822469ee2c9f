"""The walk all samplers share: generators that lead from a path's far end to a clean image.

A sampler is a :class:`Sampler`: the walk here, and a *move* that says how one step goes once the clean image is
predicted. Moves of one evaluation are in ``rules.py``, those that ask the network again in ``solvers.py``.

Symbols: :class:`Tick`, :class:`Guide`, :class:`Sampler`, :class:`Leg`, :class:`Prediction`, :class:`Run`, :func:`start`,
:func:`normal`, :func:`coefficients`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from napari_harmonize.diffusion.path import Coefficients
from napari_harmonize.diffusion.rows import evaluations
from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.diffusion.path import Grid, Path

Work = Generator[tuple[int, int], None, "Tensor"]
Denoise = Callable[["Tensor", float], Generator[tuple[int, int], None, Any]]
Noise = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True, eq=False)
class Tick:
    """What a sampler says while it works.

    Parameters
    ----------
    kind : str
        "batch": a batch of network evaluations is done. "step": the clean image of one step is predicted.
    done, total : int
        Of stack evaluations for "batch" (all steps and corrections together), of steps for "step".
    t : int or float
        Time the evaluation was made at.
    x0 : Tensor, optional
        Predicted clean image in the state's own shape, -1..1 in the main; only on steps.
    """

    kind: str
    done: int
    total: int
    t: float
    x0: Tensor | None = None


Ticks = Generator[Tick, None, "Tensor"]


class Correct(Protocol):
    """A correction between steps."""

    @property
    def repeats(self) -> int:
        """How often it is applied after each step; each costs one evaluation."""

    def __call__(self, x: Tensor, t: float) -> Work:
        """Return the corrected state at time t."""


@dataclass(frozen=True, eq=False)
class Guide:
    """Classifier-free guidance (Ho and Salimans 2022): ``x0 + weight (x0 - x0_unconditional)``.

    Parameters
    ----------
    unconditional : callable
        ``unconditional(x, t)`` as ``denoise``, on dropped conditions; returns a clean image.
    weight : float
        0 leaves everything as it is.
    """

    unconditional: Denoise
    weight: float


class Leg(NamedTuple):
    """One step: from time ``t`` with weights ``c`` to time ``to`` with weights ``n``; the last leads to the grid's end."""

    t: float
    c: Coefficients[float]
    to: float
    n: Coefficients[float]
    last: bool


class Prediction(NamedTuple):
    """What the network said of a state.

    Parameters
    ----------
    x0 : Tensor
        Clean image: guided, and clipped where asked.
    fraction : Tensor, optional
        Where its variance lies between the smallest (-1) and the largest (1), of a network that learned it.
    unguided, unconditional : Tensor, optional
        The two clean images guidance was made from.
    """

    x0: Tensor
    fraction: Tensor | None = None
    unguided: Tensor | None = None
    unconditional: Tensor | None = None


@dataclass(eq=False)
class Run:
    """One walk: what it was given, and how far it is.

    Parameters
    ----------
    denoise, path, y, clip, guide
        As :class:`Sampler` gets them.
    eta : float
        Share of fresh noise, settled.
    draw : callable, optional
        Where noise comes from; None where none is drawn.
    total, finished : int
        Evaluations of the whole run, and those that are done.
    """

    denoise: Denoise
    path: Path
    y: Tensor | None
    clip: bool
    guide: Guide | None
    eta: float
    draw: Noise | None
    total: int
    finished: int = 0

    def ask(self, x: Tensor, t: float) -> Generator[Tick, None, Prediction]:
        """Predict the clean image a state at time ``t`` stands for."""
        answer = yield from self.counted(self.denoise(x, t), t)
        x0, fraction = answer if isinstance(answer, tuple) else (answer, None)
        if self.guide is None:
            return Prediction(self.bounded(x0), fraction)
        dropped: Tensor = yield from self.counted(self.guide.unconditional(x, t), t)
        return Prediction(self.bounded(torch.lerp(dropped, x0, 1 + self.guide.weight)), fraction, x0, dropped)

    def bounded(self, x0: Tensor) -> Tensor:
        """Clamp a clean image to -1..1 where asked."""
        return x0.clamp(-1, 1) if self.clip else x0

    def counted(self, work: Generator[tuple[int, int], None, Any], t: float) -> Generator[Tick, None, Any]:
        """Turn the progress of one evaluation into ticks of the whole run."""
        try:
            while True:
                done, of = next(work)
                yield Tick("batch", self.finished * of + done, self.total * of, t)
        except StopIteration as stop:
            self.finished += 1
            return stop.value
        finally:
            work.close()

    def fresh(self, x: Tensor, leg: Leg) -> Tensor | None:
        """Draw noise once for the whole state; none where none is drawn, and none on the way to the end."""
        return None if self.draw is None or leg.last else self.draw(x)


Move = Callable[[Run, Leg, "Tensor", Prediction], Ticks]


@dataclass(frozen=True, eq=False)
class Sampler:
    """A way to walk a path.

    Parameters
    ----------
    begin : callable
        Gives the move of one run: ``move(run, leg, x, prediction)``, a generator of ticks that returns the state at the
        other end of the leg. A move that remembers earlier steps begins empty.
    passes : int
        Evaluations of a whole step.
    eta : float, optional
        The share of fresh noise this sampler always has; None takes the caller's.
    guides : bool
        Whether guidance changes the predicted clean image; otherwise the move uses it as it likes.
    """

    begin: Callable[[], Move]
    passes: int = 1
    eta: float | None = None
    guides: bool = True

    def __call__(
        self,
        denoise: Denoise,
        path: Path,
        start: Tensor,
        y: Tensor | None,
        grid: Grid,
        *,
        eta: float = 0.0,
        noise: Noise | torch.Generator | None = None,
        clip: bool = False,
        correct: Correct | None = None,
        guide: Guide | None = None,
    ) -> Ticks:
        """Walk a path.

        Parameters
        ----------
        denoise : callable
            ``denoise(x, t)``, a generator that yields (stacks done, stacks in all) after each batch and returns the
            predicted clean image in the state's shape; for samplers with learned variance ``(clean image, fraction)``.
        path : Path
            Where the coefficients come from.
        start : Tensor
            State at the grid's first time: the source for a bridge, standard normal noise for diffusion.
        y : Tensor, optional
            Source in the state's shape, -1..1; not needed where b is 0.
        grid : Grid
            Falling times and the weights of the end, as :meth:`napari_harmonize.diffusion.path.Path.grid` lists them.
        eta : float
            Share of fresh noise, 0 to 1; without effect where the sampler has its own.
        noise : callable or torch.Generator, optional
            Called with the whole state once per step but the last, so that batches do not change the result. Needed
            where noise is drawn.
        clip : bool
            Clamp every predicted clean image, after guidance, and the result to -1..1.
        correct, guide : optional
            Correction after each step but the last; guidance, which doubles the evaluations.

        Yields
        ------
        Tick
            After every batch and every step; closing the generator there stops the work.

        Returns
        -------
        Tensor
            The state at the grid's end, in the state's shape; at the usual end the clean image of the last step.

        Raises
        ------
        SettingsError
            eta is outside 0..1, or noise is needed and none is there, or there are no times.
        """
        repeats = correct.repeats if correct else 0
        eta = _share(eta) if self.eta is None else self.eta
        total = evaluations(len(grid.times), self.passes, repeats, guided=guide is not None, whole=grid.end.s > 0)
        run = Run(denoise, path, y, clip, guide, eta, _drawing(noise, eta), total)
        return self._walk(run, _legs(path, grid), start, [correct] * repeats if correct else [])

    def _walk(self, run: Run, legs: Sequence[Leg], x: Tensor, pulls: Sequence[Correct]) -> Ticks:
        move = self.begin()
        for step, leg in enumerate(legs, 1):
            # 1. the clean image this state stands for
            said = yield from run.ask(x, leg.t)
            if not self.guides and said.unguided is not None:
                said = said._replace(x0=run.bounded(said.unguided))
            yield Tick("step", step, len(legs), leg.t, said.x0)
            if leg.n.s == 0:
                return said.x0
            # 2. to the next time
            x = yield from move(run, leg, x, said)
            if leg.last:
                break
            # 3. neighbouring stacks pulled together there
            for pull in pulls:
                x = yield from run.counted(pull(x, leg.to), leg.to)
        return run.bounded(x)


def _legs(path: Path, grid: Grid) -> list[Leg]:
    if not grid.times:
        raise SettingsError("A sampler visits at least one time", "none was given", "Choose one step or more")
    final, end = grid.times[-1], grid.end
    legs = [Leg(t, path.at(t), to, path.at(to), False) for t, to in itertools.pairwise(grid.times)]
    return [*legs, Leg(final, path.at(final), path.when(2 * math.log(end.a / end.s)) if end.s else 0, end, True)]


def _share(eta: float) -> float:
    if not 0 <= eta <= 1:
        raise SettingsError("eta lies between 0 and 1", f"{eta!r} arrived", "0 adds no noise, 1 as much as the forward process")
    return eta


def _drawing(noise: Noise | torch.Generator | None, eta: float) -> Noise | None:
    """Where fresh noise comes from; nothing is drawn where eta is 0."""
    if eta == 0:
        return None
    if noise is None:
        raise SettingsError(
            "A walk with fresh noise needs a seed", "no generator arrived", "Give a seed, or choose a sampler or eta without"
        )
    return (lambda x: normal(x, noise)) if isinstance(noise, torch.Generator) else noise


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal noise of the shape, type and place of ``like``, on the generator's own device."""
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like)


def start(path: Path, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """State a sampler begins with: noise for diffusion, else the source.

    Parameters
    ----------
    path : Path
        The path.
    y : Tensor
        Source in the state's shape.
    generator : torch.Generator, optional
        Needed for diffusion.

    Raises
    ------
    SettingsError
        Diffusion without a generator.
    """
    if path.kind != "diffusion":
        return y
    if generator is None:
        raise SettingsError("Diffusion starts from noise", "no generator arrived", "Give a seed")
    return normal(y, generator)


def coefficients(path: Path, t: Tensor, like: Tensor) -> Coefficients[Tensor]:
    """Weights for a batch in which every item has its own time, as training needs them.

    Parameters
    ----------
    path : Path
        The path.
    t : (batch,) Tensor
        Times, whole or fractional.
    like : (batch, ...) Tensor
        What the weights will multiply.

    Returns
    -------
    Coefficients
        Tensors (batch, 1, ...) of the type and place of ``like``.
    """
    shape = (-1, *(1 for _ in like.shape[1:]))
    a, b, s = (torch.from_numpy(array).to(like).reshape(shape) for array in path.weights(t.cpu().numpy()))
    return Coefficients(a, b, s)
