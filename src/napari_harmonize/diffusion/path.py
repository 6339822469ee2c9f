"""Gaussian paths between a clean image and a source or noise.

Everything is a path ``x_t = a x0 + b y + s eps`` (clean image x0, source y, standard normal eps), held as three
float64 arrays over the time index t = 0 (nearly clean) to T - 1. Plain diffusion has b = 0; the Brownian bridge
has a = 1 - m, b = m, s^2 = 2 max_var (m - m^2).

Symbols: :class:`Coefficients`, :class:`Path`, :func:`bridge`, :func:`linear_beta`, :func:`buffers`, :func:`times`.

Papers: Li et al., "BBDM: Image-to-image translation with Brownian bridge diffusion models", CVPR 2023; Choo et al.,
"Slice-consistent 3D volumetric brain CT-to-MRI translation with 2D Brownian bridge diffusion model", MICCAI 2024;
Ho et al., "Denoising diffusion probabilistic models", NeurIPS 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_harmonize.diffusion.settings import BridgeSettings, LinearBetaSettings

Weight = TypeVar("Weight")


class Coefficients(NamedTuple, Generic[Weight]):
    """Weights of ``x_t = a x0 + b y + s eps`` at one time.

    Parameters
    ----------
    a, b, s : float or (batch, 1, ...) tensor
        Weights of clean image, source and noise; tensors where every batch item has its own time.
    """

    a: Weight
    b: Weight
    s: Weight


@dataclass(frozen=True, eq=False)
class Path:
    """A Gaussian path on a grid of T times.

    Parameters
    ----------
    name : str
        For messages.
    kind : str
        "bridge" (ends in the source) or "diffusion" (ends in noise).
    a, b, s : (T,) float64
        Weights of clean image, source and noise; s is above 0.

    Raises
    ------
    SettingsError
        The arrays differ in length, are not finite, or s is nowhere above 0.
    """

    name: str
    kind: str
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    s: NDArray[np.float64]

    def __post_init__(self) -> None:
        lengths = {array.shape for array in (self.a, self.b, self.s)}
        if len(lengths) != 1 or not all(np.isfinite(array).all() for array in (self.a, self.b, self.s)) or (self.s <= 0).any():
            raise SettingsError(
                "A path has three finite arrays of one length, with positive spread",
                f"{self.name} has lengths {sorted(lengths)} and a smallest spread of {self.s.min():g}",
                "Choose other path settings",
            )
        for array in (self.a, self.b, self.s):
            array.flags.writeable = False

    @property
    def T(self) -> int:
        """Number of times."""
        return len(self.a)

    def at(self, t: int) -> Coefficients[float]:
        """Weights at time index ``t``, 0 to T - 1.

        Raises
        ------
        SettingsError
            The index is outside the grid.
        """
        if not 0 <= t < self.T:
            raise SettingsError(f"Times of {self.name} are 0 to {self.T - 1}", f"{t} was asked for")
        return Coefficients(float(self.a[t]), float(self.b[t]), float(self.s[t]))

    def one_step_variance(self, t: int) -> float:
        """Variance added between t - 1 and t on the training grid, ``s_t^2 - s_{t-1}^2 (a_t / a_{t-1})^2``."""
        now = self.at(t)
        before = self.at(t - 1) if t else Coefficients(1.0, 0.0, 0.0)
        return now.s**2 - (before.s * now.a / before.a) ** 2


def _linear(steps: int) -> NDArray[np.float64]:
    return np.linspace(0.001, 0.999, steps)


def _exponential(steps: int) -> NDArray[np.float64]:
    m: NDArray[np.float64] = 1.0075 ** np.linspace(0, steps, steps)
    m /= m[-1]
    m[-1] = 0.999
    return m


def _quarter_sine(steps: int) -> NDArray[np.float64]:
    return np.asarray(np.sin(_linear(steps) * np.pi / 2), np.float64)


_SCHEDULES: dict[str, Callable[[int], NDArray[np.float64]]] = {"linear": _linear, "sin": _exponential, "control": _quarter_sine}


def bridge(settings: BridgeSettings) -> Path:
    """Brownian bridge with ``a = 1 - m``, ``b = m``, ``s^2 = 2 max_var (m - m^2)`` (Li et al. 2023, equation 4).

    The published code lets m run from 0.001 to 0.999, where the papers say t / T.
    """
    m = _SCHEDULES[settings.schedule](settings.steps)
    return Path(f"Brownian bridge ({settings.schedule})", "bridge", 1 - m, m, np.sqrt(2 * settings.max_var * (m - m**2)))


def linear_beta(settings: LinearBetaSettings) -> Path:
    """Variance-preserving diffusion, ``a^2 = prod(1 - beta)`` and ``s^2 = 1 - a^2`` (Ho et al. 2020, equation 4)."""
    kept = np.cumprod(1 - np.linspace(settings.first, settings.last, settings.steps))
    return Path("diffusion (linear beta)", "diffusion", np.sqrt(kept), np.zeros(settings.steps), np.sqrt(1 - kept))


def buffers(path: Path) -> dict[str, NDArray[np.float64]]:
    """Write a bridge as the six arrays published checkpoints hold.

    Parameters
    ----------
    path : Path
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


def times(path: Path, S: int) -> tuple[int, ...]:
    """List the S time indices a sampler visits, falling from T - 1 to 0.

    Parameters
    ----------
    path : Path
        The path.
    S : int
        Number of entries, 1 to T.

    Returns
    -------
    tuple of int
        For bridges the published list: equal strides from T - 1 while above 1, then 1 and 0 (near S = T it repeats
        an entry, and such a step changes nothing). For diffusion S equally spaced indices. One entry is T - 1 alone.

    Raises
    ------
    SettingsError
        S is outside 1 to T.
    """
    if not 1 <= S <= path.T:
        raise SettingsError(f"{path.name} is sampled in 1 to {path.T} steps", f"{S} were asked for", "Choose a number between them")
    last = path.T - 1
    if S <= 2 or path.kind != "bridge":
        return tuple(np.linspace(last, 0, S).round().astype(int).tolist())
    # in whole numbers: floating strides fall short of entries that divide evenly
    return (*(last * left // (S - 2) for left in range(S - 2, 0, -1)), 1, 0)
