"""Samplers of one evaluation per step: sums of clean image, source, state and fresh noise.

One rule serves diffusion and bridges; between times with weights (a, b, s) and (a', b', s')::

    v    = eta^2 (s^2 - s'^2 a^2 / a'^2) s'^2 / s^2
    x_t' = a' x0 + b' y + sqrt(s'^2 - v) / s (x_t - a x0 - b y) + sqrt(v) eps

It is DDIM (Song et al. 2021, equation 12) at any eta, DDPM at eta = 1, and the bridge of Li et al. 2023 at eta = 1.
The published bridge code scales the noise by eta but leaves its variance in the root; that is :func:`published`.

Two published defects that weights were judged with are here under their own names, "addim-xmodality" and "ddim-graf".

Symbols: :class:`Weights`, the rules :func:`corrected`, :func:`published`, :func:`large`, and the samplers of the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from napari_harmonize.diffusion.path import Coefficients
from napari_harmonize.diffusion.sampling import Leg, Move, Prediction, Run, Sampler, Ticks
from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor


class Weights(NamedTuple):
    """One step as a sum: ``x_t' = x0 * x0 + y * y + x * x_t + noise * eps``."""

    x0: float
    y: float
    x: float
    noise: float


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


def large(c: Coefficients[float], n: Coefficients[float], eta: float) -> Weights:
    """Posterior mean with the larger fixed variance, that of the forward step (Ho et al. 2020, section 3.2)."""
    return published(c, n, 0.0)._replace(noise=eta * math.sqrt(_added(c, n)))


def _added(c: Coefficients[float], n: Coefficients[float]) -> float:
    """Variance the forward step from ``n`` to ``c`` adds."""
    return max(c.s**2 - (n.s * c.a / n.a) ** 2, 0.0)


def _fresh(c: Coefficients[float], n: Coefficients[float]) -> float:
    """Variance of the noise a step to ``n`` renews at eta = 1."""
    return _added(c, n) * n.s**2 / c.s**2


def _weights(c: Coefficients[float], n: Coefficients[float], root: float, noise: float) -> Weights:
    return Weights(n.a - root * c.a, n.b - root * c.b, root, noise)


def combine(weights: Weights, x0: Tensor, y: Tensor | None, x: Tensor, eps: Tensor | None) -> Tensor:
    """Add up one step; y may be absent where its weight is 0."""
    total = (x0 * weights.x0).add_(x, alpha=weights.x)
    if y is not None:
        total.add_(y, alpha=weights.y)
    return total if eps is None else total.add_(eps, alpha=weights.noise)


def _by(rule: Rule) -> Callable[[], Move]:
    """Move by a rule."""

    def move(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
        yield from ()
        return combine(rule(leg.c, leg.n, run.eta), said.x0, run.y, x, run.fresh(x, leg))

    return lambda: move


def _learned(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """Posterior mean with a variance between the two fixed ones (Nichol and Dhariwal 2021, equation 15)."""
    yield from ()
    if said.fraction is None:
        raise SettingsError("This sampler needs a network that predicts its variance too", "none arrived", 'Choose "ddpm"')
    mean = combine(published(leg.c, leg.n, 0.0), said.x0, run.y, x, None)
    eps = run.fresh(x, leg)
    if eps is None:
        return mean
    smallest, largest = (math.log(max(v, 1e-20)) for v in (_fresh(leg.c, leg.n), _added(leg.c, leg.n)))
    share = (said.fraction + 1) / 2
    return mean.addcmul_(eps, (share * (largest - smallest) + smallest).mul_(0.5).exp_())


def _adjusted(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """Step of Koch et al.'s "addim": DDIM at eta 0 with a noise made longer by what the clean image may vary.

    Its 65536 is 256 x 256 whatever the size of the image, and the length is that of the whole state's noise, so that the result
    depends on how many slices walk together.
    """
    yield from ()
    c, n = leg.c, leg.n
    eps = (x - said.x0 * c.a) / c.s
    variance = (n.a - c.a * n.s / c.s) ** 2 * 0.1 / (2 + (c.a / c.s) ** 2)
    stretch = (n.s**2 + 65536 / float(eps.square().sum()) * variance) ** 0.5
    return (said.x0 * n.a).add_(eps, alpha=stretch)


def _mirrored(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """Step of Graf et al.'s DDIM for networks that predict the image: the noise has the wrong sign and alone is guided.

    A good network's states keep their spread all the same.
    """
    yield from ()
    c, n = leg.c, leg.n
    step = corrected(c, n, run.eta)
    moved = combine(step._replace(x0=n.a + step.x * c.a, x=-step.x), said.x0, None, x, run.fresh(x, leg))
    if run.guide is None or said.unguided is None or said.unconditional is None:
        return moved
    return moved.add_(said.unguided - said.unconditional, alpha=run.guide.weight * step.x * c.a)


UNIFIED = Sampler(_by(corrected))
PUBLISHED = Sampler(_by(published))
DDPM = Sampler(_by(corrected), eta=1.0)
DDPM_LARGE = Sampler(_by(large), eta=1.0)
DDPM_LEARNED = Sampler(lambda: _learned, eta=1.0)
DDIM = Sampler(_by(corrected), eta=0.0)
ADDIM_XMODALITY = Sampler(lambda: _adjusted, eta=0.0)
DDIM_GRAF = Sampler(lambda: _mirrored, guides=False)
