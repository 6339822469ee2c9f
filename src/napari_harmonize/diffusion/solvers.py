"""Samplers of higher order: they ask the network again within a step, or remember what it said at the last.

All solve the probability-flow equation without fresh noise, written in ``lambda = log(a / s)``, half the log-SNR, and step
from weights (a, b, s) to (a', b', s') over ``h = lambda' - lambda``. The first order of all of them is DDIM at eta = 0.

Papers: Lu et al., "DPM-Solver", NeurIPS 2022 (algorithms 1, 4 and 5); Lu et al., "DPM-Solver++", 2022 (algorithms 1 and 2);
Karras et al., "Elucidating the design space of diffusion-based generative models", NeurIPS 2022 (algorithm 1); Zheng et
al., "Diffusion bridge implicit models", ICLR 2025 (section 4, high-order solvers).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_harmonize.diffusion.rules import combine, corrected
from napari_harmonize.diffusion.sampling import Leg, Prediction, Run, Sampler, Ticks

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.diffusion.path import Coefficients


def _half_log_snr(c: Coefficients[float]) -> float:
    return math.log(c.a / c.s)


def _between(run: Run, leg: Leg, share: float) -> tuple[float, Coefficients[float]]:
    """Time and weights a share of the way from one log-SNR to the other."""
    first, last = _half_log_snr(leg.c), _half_log_snr(leg.n)
    t = run.path.when(2 * (first + share * (last - first)))
    return t, run.path.at(t)


def _noise(c: Coefficients[float], x: Tensor, x0: Tensor) -> Tensor:
    """Noise ``eps`` of a diffusion state, from its clean image."""
    return (x - x0 * c.a) / c.s


def _along(c: Coefficients[float], n: Coefficients[float], x: Tensor, eps: Tensor) -> Tensor:
    """DDIM step of a diffusion with a given noise: ``a' / a (x - s eps) + s' eps``, or DPM-Solver-1."""
    ratio = n.a / c.a
    return (x * ratio).add_(eps, alpha=n.s - ratio * c.s)


def _remainder(h: float) -> float:
    """``(exp(h) - 1) / h - 1``, 0 for a step that goes nowhere."""
    return math.expm1(h) / h - 1 if h else 0.0


def _dpm_2(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """DPM-Solver-2: the noise half-way in lambda carries the whole step."""
    t, m = _between(run, leg, 1 / 2)
    u = _along(leg.c, m, x, _noise(leg.c, x, said.x0))
    again = yield from run.ask(u, t)
    return _along(leg.c, leg.n, x, _noise(m, u, again.x0))


def _dpm_3(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """DPM-Solver-3: the noise at a third and at two thirds of the step bends it."""
    (t_1, m_1), (t_2, m_2) = _between(run, leg, 1 / 3), _between(run, leg, 2 / 3)
    start = _half_log_snr(leg.c)
    h_1, h_2, h = (_half_log_snr(c) - start for c in (m_1, m_2, leg.n))
    eps = _noise(leg.c, x, said.x0)
    # 1. to the first third, by the noise here
    u = _along(leg.c, m_1, x, eps)
    again = yield from run.ask(u, t_1)
    slope = _noise(m_1, u, again.x0).sub_(eps)
    # 2. to the second, by both
    u = _along(leg.c, m_2, x, eps).sub_(slope, alpha=m_2.s * _ratio(h_2, h_1) * _remainder(h_2))
    again = yield from run.ask(u, t_2)
    slope = _noise(m_2, u, again.x0).sub_(eps)
    # 3. all the way
    return _along(leg.c, leg.n, x, eps).sub_(slope, alpha=leg.n.s * _ratio(h, h_2) * _remainder(h))


def _ratio(a: float, b: float) -> float:
    return a / b if b else 1.0


def _dpm_3_xmodality(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """DPM-Solver-3 as Koch et al. released it, of first order at best.

    Half of its log-SNR steps are taken whole, and the noise at the intermediate points is read off the state at the
    start of the step, not off the one the network saw.
    """
    (t_1, m_1), (t_2, m_2) = _between(run, leg, 1 / 3), _between(run, leg, 2 / 3)
    h = _half_log_snr(leg.n) - _half_log_snr(leg.c)
    eps = _noise(leg.c, x, said.x0)
    # 1. to the first third
    u = _along(leg.c, m_1, x, eps)
    again = yield from run.ask(u, t_1)
    slope = _misread(m_1, x, u, again.x0).sub_(eps)
    # 2. to the second, with twice the step under the fraction
    bend = math.expm1(2 / 3 * h) / (4 / 3 * h) - 1 if h else 0.0
    u = _along(leg.c, m_2, x, eps).sub_(slope, alpha=2 * m_2.s * bend)
    again = yield from run.ask(u, t_2)
    slope = _misread(m_2, x, u, again.x0).sub_(eps)
    # 3. all the way
    return _along(leg.c, leg.n, x, eps).sub_(slope, alpha=1.5 * leg.n.s * _remainder(h))


def _misread(m: Coefficients[float], x: Tensor, u: Tensor, x0: Tensor) -> Tensor:
    """``s x + a v`` with the velocity v of another state u than x."""
    return (x * m.s).add_((u * m.a).sub_(x0), alpha=m.a / m.s)


def _dpm_pp_2s(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """DPM-Solver++(2S), the clean image half-way in time bends the step."""
    t = (leg.t + leg.to) / 2
    m = run.path.at(t)
    first, middle, last = (_half_log_snr(c) for c in (leg.c, m, leg.n))
    again = yield from run.ask(combine(corrected(leg.c, m, 0.0), said.x0, None, x, None), t)
    # where the path stands still up to the middle, both clean images are one
    share = (last - first) / (2 * (middle - first)) if middle > first else 1.0
    x0 = said.x0 + (again.x0 - said.x0) * share
    return combine(corrected(leg.c, leg.n, 0.0), x0, None, x, None)


def _heun(run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
    """Heun's rule in ``s / a``: the mean of the noise at both ends carries the step (Karras et al. 2022, algorithm 1)."""
    eps = _noise(leg.c, x, said.x0)
    u = _along(leg.c, leg.n, x, eps)
    again = yield from run.ask(u, leg.to)
    return _along(leg.c, leg.n, x, (eps + _noise(leg.n, u, again.x0)) / 2)


class _Multistep:
    """DPM-Solver++(2M): the clean image goes on as it did over the step before.

    To DDIM at eta 0, which takes the clean image as constant, comes half of ``a' h (1 - exp(-h))`` times its slope in lambda. It
    holds for diffusion and bridges alike, since the source only shifts the state. The first step is of first order.

    Zheng et al. give a bridge the weight ``h - 1 + exp(-h)``, the integral of the slope itself. It is of the same order, and
    further from the limit in few steps, where h is large.

    Parameters
    ----------
    flat_end : bool
        Whether the step into the path's end is of first order: the outermost steps of a bridge are the longest in lambda, and the
        slope before them says little of them.
    """

    def __init__(self, flat_end: bool = False) -> None:
        self._flat_end = flat_end
        self._before: tuple[float, Tensor] | None = None

    def __call__(self, run: Run, leg: Leg, x: Tensor, said: Prediction) -> Ticks:
        yield from ()
        here, there = _half_log_snr(leg.c), _half_log_snr(leg.n)
        h = there - here
        moved = combine(corrected(leg.c, leg.n, 0.0), said.x0, run.y, x, None)
        if self._before is not None and not (self._flat_end and leg.to == 0):
            at, x0 = self._before
            moved.add_(said.x0 - x0, alpha=-0.5 * leg.n.a * h * math.expm1(-h) / (here - at))
        if h > 0:
            self._before = here, said.x0
        return moved


DPM_2 = Sampler(lambda: _dpm_2, passes=2, eta=0.0)
DPM_3 = Sampler(lambda: _dpm_3, passes=3, eta=0.0)
DPM_3_XMODALITY = Sampler(lambda: _dpm_3_xmodality, passes=3, eta=0.0)
DPM_PP_2S = Sampler(lambda: _dpm_pp_2s, passes=2, eta=0.0)
HEUN = Sampler(lambda: _heun, passes=2, eta=0.0)
MULTISTEP = Sampler(_Multistep, eta=0.0)
BRIDGE_2 = Sampler(lambda: _Multistep(flat_end=True), eta=0.0)
