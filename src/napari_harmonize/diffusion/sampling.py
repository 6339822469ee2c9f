"""Samplers: generators that walk a path from its far end to a clean image.

One step rule serves diffusion and bridges; between times with weights (a, b, s) and (a', b', s')::

    v    = eta^2 (s^2 - s'^2 a^2 / a'^2) s'^2 / s^2
    x_t' = a' x0 + b' y + sqrt(s'^2 - v) / s (x_t - a x0 - b y) + sqrt(v) eps

It is DDIM (Song et al. 2021, equation 12) at any eta, DDPM at eta = 1, and the bridge of Li et al. 2023 at eta = 1.
The published bridge code scales the noise by eta but leaves its variance in the root; that is :func:`published`.

Symbols: :class:`Tick`, :class:`Weights`, :func:`corrected`, :func:`published`, :func:`sample`,
:func:`sample_published`, :func:`coefficients`, :func:`start`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from napari_harmonize.diffusion.path import Coefficients
from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.diffusion.path import Path

Work = Generator[tuple[int, int], None, "Tensor"]
Denoise = Callable[["Tensor", int], Work]
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
    t : int
        Time index the evaluation was made at.
    x0 : Tensor, optional
        Predicted clean image in the state's own shape, -1..1 in the main; only on steps.
    """

    kind: str
    done: int
    total: int
    t: int
    x0: Tensor | None = None


class Weights(NamedTuple):
    """One step as a sum: ``x_t' = x0 * x0 + y * y + x * x_t + noise * eps``."""

    x0: float
    y: float
    x: float
    noise: float


class Correct(Protocol):
    """A correction between steps."""

    @property
    def repeats(self) -> int:
        """How often it is applied after each step; each costs one evaluation."""

    def __call__(self, x: Tensor, t: int) -> Work:
        """Return the corrected state at time t."""


Rule = Callable[[Coefficients[float], Coefficients[float], float], Weights]


def corrected(c: Coefficients[float], n: Coefficients[float], eta: float) -> Weights:
    """Step from weights ``c`` to ``n`` that keeps the path's spread at every eta.

    Parameters
    ----------
    c, n : Coefficients
        Weights (floats) at the time left and the time reached.
    eta : float
        0 (no fresh noise) to 1 (as much as the forward process adds).

    Returns
    -------
    Weights
        Of clean image, source, state and fresh noise.
    """
    v = eta**2 * _fresh(c, n)
    return _weights(c, n, math.sqrt(max(n.s**2 - v, 0.0)) / c.s, math.sqrt(v))


def published(c: Coefficients[float], n: Coefficients[float], eta: float) -> Weights:
    """Step of the released bridge code: the noise is scaled by eta, its variance always leaves the root.

    At eta = 0 this is the posterior mean with the noise left out: on a bridge ``rho x_t + (1 - rho) x0`` with
    ``rho = m' / m``. Arguments as for :func:`corrected`, with which it agrees at eta = 1.
    """
    v = _fresh(c, n)
    return _weights(c, n, math.sqrt(max(n.s**2 - v, 0.0)) / c.s, eta * math.sqrt(v))


def _fresh(c: Coefficients[float], n: Coefficients[float]) -> float:
    """Variance of the noise a step to ``n`` renews at eta = 1."""
    return max((c.s**2 - (n.s * c.a / n.a) ** 2) * n.s**2 / c.s**2, 0.0)


def _weights(c: Coefficients[float], n: Coefficients[float], root: float, noise: float) -> Weights:
    return Weights(n.a - root * c.a, n.b - root * c.b, root, noise)


def sample(
    denoise: Denoise,
    path: Path,
    start: Tensor,
    y: Tensor | None,
    times: Sequence[int],
    *,
    eta: float = 0.0,
    noise: Noise | torch.Generator | None = None,
    clip: bool = False,
    correct: Correct | None = None,
) -> Generator[Tick, None, Tensor]:
    """Walk the path by the corrected rule.

    Parameters
    ----------
    denoise : callable
        ``denoise(x, t)``, a generator that yields (stacks done, stacks in all) after each batch and returns the
        predicted clean image in the state's shape.
    path : Path
        Where the coefficients come from.
    start : Tensor
        State at ``times[0]``: the source for a bridge, standard normal noise for diffusion.
    y : Tensor, optional
        Source in the state's shape, -1..1; not needed where b is 0.
    times : sequence of int
        Falling time indices, as :func:`napari_harmonize.diffusion.path.times` lists them.
    eta : float
        Share of fresh noise, 0 to 1.
    noise : callable or torch.Generator, optional
        Called with the state once per step but the last, or drawn from once per step for the whole state, so that
        batches do not change the result. Needed where eta is above 0.
    clip : bool
        Clamp the predicted clean image to -1..1.
    correct : Correct, optional
        Applied after each step but the last.

    Yields
    ------
    Tick
        After every batch and every step; closing the generator there stops the work.

    Returns
    -------
    Tensor
        The clean image predicted by the last step, in the state's shape.

    Raises
    ------
    SettingsError
        eta is outside 0..1, or above 0 without noise, or there are no times.
    """
    return _walk(corrected, denoise, path, start, y, times, eta=eta, noise=noise, clip=clip, correct=correct)


def sample_published(
    denoise: Denoise,
    path: Path,
    start: Tensor,
    y: Tensor | None,
    times: Sequence[int],
    *,
    eta: float = 0.0,
    noise: Noise | torch.Generator | None = None,
    clip: bool = False,
    correct: Correct | None = None,
) -> Generator[Tick, None, Tensor]:
    """Walk the path by the rule of the released bridge code; arguments as for :func:`sample`."""
    return _walk(published, denoise, path, start, y, times, eta=eta, noise=noise, clip=clip, correct=correct)


def _walk(
    rule: Rule,
    denoise: Denoise,
    path: Path,
    x: Tensor,
    y: Tensor | None,
    times: Sequence[int],
    *,
    eta: float,
    noise: Noise | torch.Generator | None,
    clip: bool,
    correct: Correct | None,
) -> Generator[Tick, None, Tensor]:
    draw = _drawing(noise, eta)
    if not times:
        raise SettingsError("A sampler visits at least one time", "none was given", "Choose one step or more")
    pulls = [correct] * correct.repeats if correct else []
    evaluations, finished = len(times) + (len(times) - 1) * len(pulls), 0
    for step, t in enumerate(times, 1):
        # 1. the clean image this state stands for
        x0 = yield from _count(denoise(x, t), finished, evaluations, t)
        finished += 1
        x0 = x0.clamp(-1, 1) if clip else x0
        yield Tick("step", step, len(times), t, x0)
        if step == len(times):
            break
        # 2. to the next time
        t_next = times[step]
        x = _combine(rule(path.at(t), path.at(t_next), eta), x0, y, x, draw)
        # 3. neighbouring stacks pulled together there
        for pull in pulls:
            x = yield from _count(pull(x, t_next), finished, evaluations, t_next)
            finished += 1
    return x0


def _count(work: Work, finished: int, evaluations: int, t: int) -> Generator[Tick, None, Tensor]:
    """Turn the progress of one evaluation into ticks of the whole run."""
    try:
        while True:
            done, of = next(work)
            yield Tick("batch", finished * of + done, evaluations * of, t)
    except StopIteration as stop:
        answer: Tensor = stop.value
        return answer
    finally:
        work.close()


def _combine(weights: Weights, x0: Tensor, y: Tensor | None, x: Tensor, draw: Noise | None) -> Tensor:
    total = (x0 * weights.x0).add_(x, alpha=weights.x)
    if y is not None:
        total.add_(y, alpha=weights.y)
    return total if draw is None else total.add_(draw(x), alpha=weights.noise)


def _drawing(noise: Noise | torch.Generator | None, eta: float) -> Noise | None:
    """Where fresh noise comes from; nothing is drawn where eta is 0."""
    if not 0 <= eta <= 1:
        raise SettingsError("eta lies between 0 and 1", f"{eta!r} arrived", "0 adds no noise, 1 as much as the forward process")
    if eta == 0:
        return None
    if noise is None:
        raise SettingsError("A sampler with eta above 0 draws noise", "no generator arrived", "Give a seed, or set eta to 0")
    return (lambda x: normal(x, noise)) if isinstance(noise, torch.Generator) else noise


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal noise of the shape, type and place of ``like``, on the generator's own device."""
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like)


def start(path: Path, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """State a sampler begins with: the source for a bridge, noise for diffusion.

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
    if path.kind == "bridge":
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
    t : (batch,) int64
        Time indices.
    like : (batch, ...) Tensor
        What the weights will multiply.

    Returns
    -------
    Coefficients
        Tensors (batch, 1, ...) of the type and place of ``like``.
    """
    index = t.cpu().numpy()
    shape = (-1, *(1 for _ in like.shape[1:]))
    a, b, s = (torch.from_numpy(array[index]).to(like).reshape(shape) for array in (path.a, path.b, path.s))
    return Coefficients(a, b, s)
