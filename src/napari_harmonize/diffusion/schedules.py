"""Paths made from settings: how clean image, source and noise are weighted as time goes by.

Symbols: :func:`bridge`, :func:`linear_beta`, :func:`cosine_beta`, :func:`log_snr`, :func:`direct` (the rows of the table
``PATHS``), and :func:`buffers`.

Papers: Li et al., "BBDM: Image-to-image translation with Brownian bridge diffusion models", CVPR 2023; Choo et al.,
"Slice-consistent 3D volumetric brain CT-to-MRI translation with 2D Brownian bridge diffusion model", MICCAI 2024;
Ho et al., "Denoising diffusion probabilistic models", NeurIPS 2020; Nichol and Dhariwal, "Improved denoising diffusion
probabilistic models", ICML 2021; Hoogeboom et al., "Simple diffusion", ICML 2023; Chen, "On the importance of noise
scheduling for diffusion models", 2023.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.diffusion.path import Coefficients, Continuous, Direct, Indexed, variance_preserving

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.diffusion.path import Array
    from napari_harmonize.diffusion.settings import (
        BridgeSettings,
        CosineBetaSettings,
        DirectSettings,
        LinearBetaSettings,
        LogSnrSettings,
    )


def _linear(steps: int) -> Array:
    return np.linspace(0.001, 0.999, steps)


def _exponential(steps: int) -> Array:
    m: Array = 1.0075 ** np.linspace(0, steps, steps)
    m /= m[-1]
    m[-1] = 0.999
    return m


def _quarter_sine(steps: int) -> Array:
    return np.asarray(np.sin(_linear(steps) * np.pi / 2), np.float64)


_SCHEDULES: dict[str, Callable[[int], Array]] = {"linear": _linear, "sin": _exponential, "control": _quarter_sine}


def bridge(settings: BridgeSettings) -> Indexed:
    """Brownian bridge with ``a = 1 - m``, ``b = m``, ``s^2 = 2 max_var (m - m^2)`` (Li et al. 2023, equation 4).

    The published code lets m run from 0.001 to 0.999, where the papers say t / T.
    """
    scale, m = 2 * settings.max_var, _SCHEDULES[settings.schedule](settings.steps)

    def weights(m: Array) -> Coefficients[Array]:
        return Coefficients(1 - m, m, np.sqrt(scale * (m - m**2)))

    def between(log_snr: Array) -> Coefficients[Array]:
        return weights(np.exp(-np.logaddexp(0.0, log_snr + math.log(scale))))

    return Indexed(f"Brownian bridge ({settings.schedule})", "bridge", *weights(m), between)


def _diffusion(name: str, betas: Array) -> Indexed:
    kept = np.cumprod(1 - betas)
    return Indexed(name, "diffusion", np.sqrt(kept), np.zeros(len(betas)), np.sqrt(1 - kept), variance_preserving)


def linear_beta(settings: LinearBetaSettings) -> Indexed:
    """Variance-preserving diffusion, ``a^2 = prod(1 - beta)`` and ``s^2 = 1 - a^2`` (Ho et al. 2020, equation 4)."""
    return _diffusion("diffusion (linear beta)", np.linspace(settings.first, settings.last, settings.steps))


def cosine_beta(settings: CosineBetaSettings) -> Indexed:
    """Variance-preserving diffusion with ``a^2`` a squared cosine of time (Nichol and Dhariwal 2021, equation 17)."""
    u = np.arange(settings.steps + 1) / settings.steps
    kept = np.cos((u + settings.offset) / (1 + settings.offset) * np.pi / 2) ** 2
    return _diffusion("diffusion (cosine beta)", np.minimum(1 - kept[1:] / kept[:-1], settings.cap))


_NARROWEST = 1e-9
"""Least signal weight of the log-SNR schedules that are given by it."""


def _cosine(t: Array) -> Array:
    first, last = math.atan(math.exp(-7.5)), math.atan(math.exp(7.5))
    return np.asarray(-2 * np.log(np.tan(first + t * (last - first))))


def _from_signal(a: Array) -> Array:
    a = np.clip(a, _NARROWEST, 1)
    with np.errstate(divide="ignore"):
        return np.asarray(2 * np.log(a) - np.log1p(-(a**2)))


def _sigmoid(t: Array, tau: float) -> Array:
    first, last, now = (1 / (1 + np.exp(-u / tau)) for u in (0.0, 3.0, 3.0 * t))
    return _from_signal((last - now) / (last - first))


def log_snr(settings: LogSnrSettings) -> Continuous:
    """Variance-preserving diffusion in continuous time, given by its log-SNR.

    The cosine and its shift are those of Hoogeboom et al. 2023 (section 3.1), the others those of Chen 2023, who calls
    signal power what the published code uses as signal weight; this follows the code.
    """
    shift = 2 * math.log(settings.size / 256)
    curves: dict[str, Callable[[Array], Array]] = {
        "cosine": _cosine,
        "shifted-cosine": lambda t: _cosine(t) + shift,
        "sigmoid": lambda t: _sigmoid(t, settings.tau),
        "linear": lambda t: _from_signal(1 - t),
    }
    return Continuous(f"diffusion (log-SNR, {settings.schedule})", "diffusion", curves[settings.schedule])


def direct(settings: DirectSettings) -> Direct:
    """No path: one pass from the source."""
    return Direct("a direct generator", "direct")


def buffers(path: Indexed) -> dict[str, Array]:
    """Write a bridge as the six arrays published checkpoints hold.

    Parameters
    ----------
    path : Indexed
        A bridge.

    Returns
    -------
    dict of (T,) float64
        m_t, m_tminus, variance_t, variance_tminus, variance_t_tminus and posterior_variance_t.
    """
    m, variance = path.b, path.s**2
    m_before, before = np.append(0.0, m[:-1]), np.append(0.0, variance[:-1])
    one_step = variance - before * ((1 - m) / (1 - m_before)) ** 2
    return {
        "m_t": m.copy(),
        "m_tminus": m_before,
        "variance_t": variance,
        "variance_tminus": before,
        "variance_t_tminus": one_step,
        "posterior_variance_t": one_step * before / variance,
    }
