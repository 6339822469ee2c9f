"""Gaussian paths between a clean image and a source or noise.

Everything is a path ``x_t = a x0 + b y + s eps`` (clean image x0, source y, standard normal eps). Plain diffusion has
b = 0 and a^2 + s^2 = 1; the Brownian bridge has a = 1 - m, b = m, s^2 = 2 max_var (m - m^2). Either way one number says
where on the path a state is, the log-SNR ``log(a^2 / s^2)``, which falls as time rises.

Symbols: :class:`Coefficients`, :class:`Grid`, :class:`Path` and its three kinds :class:`Indexed` (times 0 to T - 1),
:class:`Continuous` (times 0..1) and :class:`Direct` (no path at all). ``schedules.py`` makes them from settings,
``spacing.py`` lists the times a sampler visits.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from napari_harmonize.diffusion import SPACINGS
from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Weight = TypeVar("Weight")

STEP = 1e-3
"""What counts as one step of continuous time, where a rule needs one."""


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


CLEAN: Coefficients[float] = Coefficients(1.0, 0.0, 0.0)
"""The clean image itself: where most walks end."""


class Grid(NamedTuple):
    """What a sampler visits.

    Parameters
    ----------
    times : tuple of int or float
        Falling times at which the network is asked.
    end : Coefficients
        Weights of the state the walk ends with, usually :data:`CLEAN`.
    """

    times: tuple[float, ...]
    end: Coefficients[float] = CLEAN


@dataclass(frozen=True, eq=False)
class Path(ABC):
    """What a sampler, a state and a training job may ask of a path.

    Parameters
    ----------
    name : str
        For messages.
    kind : str
        "bridge" (ends in the source), "diffusion" (ends in noise) or "direct" (one pass from the source).
    """

    name: str
    kind: str

    @property
    @abstractmethod
    def last(self) -> float:
        """Latest time, where walks begin."""

    @abstractmethod
    def log_snr(self, t: Array) -> Array:
        """``log(a^2 / s^2)`` at whole and fractional times; falls as time rises."""

    @abstractmethod
    def weights(self, t: Array) -> Coefficients[Array]:
        """Weights at an array of times, whole or fractional."""

    @abstractmethod
    def when(self, log_snr: float) -> float:
        """Time at which the path has this log-SNR; the nearest end where it has it nowhere."""

    @abstractmethod
    def told(self, t: float) -> float:
        """What the network hears at time ``t``: an int for a whole index, else a float."""

    @abstractmethod
    def usual(self, S: int) -> tuple[float, ...]:
        """The path's own list of about S times, falling from the latest."""

    @property
    def end(self) -> Coefficients[float]:
        """Weights a walk ends with."""
        return CLEAN

    @property
    def step(self) -> float:
        """Length of one step of the training grid."""
        return 1

    def at(self, t: float) -> Coefficients[float]:
        """Weights at time ``t``, 0 to :attr:`last`, whole or fractional.

        Raises
        ------
        SettingsError
            The time is outside the path.
        """
        if not 0 <= t <= self.last:
            raise SettingsError(f"Times of {self.name} are 0 to {self.last}", f"{t} was asked for")
        a, b, s = self.weights(np.asarray(t))
        return Coefficients(float(a), float(b), float(s))

    def suits(self, spacing: str) -> bool:
        """Whether a time list suits this path."""
        return not self._refusal(spacing)

    def _refusal(self, spacing: str) -> str:
        if spacing not in SPACINGS:
            return f"There is no time list {spacing!r}."
        return SPACINGS[spacing].refusal(self.kind, indexed=isinstance(self, Indexed))

    def grid(self, S: int, spacing: str = "usual") -> Grid:
        """List the times a sampler visits in about S steps.

        Parameters
        ----------
        S : int
            Number of steps asked for; "strided" may give more where S does not divide the number of times.
        spacing : str
            A name in :data:`~napari_harmonize.diffusion.SPACINGS`.

        Raises
        ------
        SettingsError
            The spacing is unknown or does not suit the path, or S is out of its range.
        """
        refusal = self._refusal(spacing)
        if refusal:
            raise SettingsError("A time list suits its path", refusal, f"Choose one of {', '.join(filter(self.suits, SPACINGS))}")
        return Grid(SPACINGS[spacing].load()(self, S), self.end)

    def one_step_variance(self, t: float) -> float:
        """Variance added by the step of the training grid that ends at t, ``s_t^2 - s_{t-1}^2 (a_t / a_{t-1})^2``."""
        now = self.at(t)
        before = self.at(t - self.step) if t >= self.step else CLEAN
        return now.s**2 - (before.s * now.a / before.a) ** 2


@dataclass(frozen=True, eq=False)
class Indexed(Path):
    """A path trained on T times, the indices 0 (nearly clean) to T - 1.

    Parameters
    ----------
    a, b, s : (T,) float64
        Weights of clean image, source and noise; s is above 0.
    between : callable
        Weights from an array of log-SNRs. Whole indices are looked up; between them the log-SNR is interpolated, so
        that fractional times lie on the same curve.

    Raises
    ------
    SettingsError
        The arrays differ in length, are not finite, or s is nowhere above 0.
    """

    a: Array
    b: Array
    s: Array
    between: Callable[[Array], Coefficients[Array]]

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

    @property
    def last(self) -> int:
        """Latest index, T - 1."""
        return self.T - 1

    def _log_snrs(self) -> Array:
        return np.asarray(2 * (np.log(self.a) - np.log(self.s)))

    def log_snr(self, t: Array) -> Array:
        """``log(a^2 / s^2)``; linear between whole indices."""
        return np.interp(t, np.arange(self.T), self._log_snrs())

    def weights(self, t: Array) -> Coefficients[Array]:
        """Weights at an array of times; whole indices give the arrays' own numbers."""
        index = np.asarray(t, np.int64)
        if np.array_equal(index, t):
            return Coefficients(self.a[index], self.b[index], self.s[index])
        return self.between(self.log_snr(t))

    def when(self, log_snr: float) -> float:
        """Whole or fractional index at which the path has this log-SNR."""
        return float(np.interp(-log_snr, -self._log_snrs(), np.arange(self.T)))

    def told(self, t: float) -> float:
        """The index itself."""
        return int(t) if int(t) == t else float(t)

    def usual(self, S: int) -> tuple[float, ...]:
        """Published list of a bridge, equally spaced indices of a diffusion; see ``spacing.py``."""
        from napari_harmonize.diffusion import spacing

        return spacing.published_bridge(self.T, S) if self.kind == "bridge" else spacing.equal(self.T, S)


@dataclass(frozen=True, eq=False)
class Continuous(Path):
    """A variance-preserving diffusion in continuous time, 0 (nearly clean) to 1 (noise).

    ``a^2 = sigmoid(log-SNR)`` and ``s^2 = sigmoid(-log-SNR)`` (Kingma et al., "Variational diffusion models", 2021).

    Parameters
    ----------
    curve : callable
        Log-SNR from an array of times; falls, and may be infinite at time 0.
    """

    curve: Callable[[Array], Array]

    @property
    def last(self) -> float:
        """Latest time, 1."""
        return 1.0

    @property
    def end(self) -> Coefficients[float]:
        """Weights at the path's own time 0, where the published samplers end."""
        return self.at(0.0)

    @property
    def step(self) -> float:
        """A thousandth; continuous time has no training grid."""
        return STEP

    def log_snr(self, t: Array) -> Array:
        """``log(a^2 / s^2)``."""
        return self.curve(np.asarray(t, np.float64))

    def weights(self, t: Array) -> Coefficients[Array]:
        """Weights at an array of times."""
        return variance_preserving(self.log_snr(t))

    def when(self, log_snr: float) -> float:
        """Time at which the path has this log-SNR, by bisection."""
        early, late = 0.0, 1.0
        for _ in range(64):
            middle = (early + late) / 2
            early, late = (middle, late) if self.log_snr(np.asarray(middle)) > log_snr else (early, middle)
        return (early + late) / 2

    def told(self, t: float) -> float:
        """The log-SNR, rounded to float32."""
        return float(np.float32(self.log_snr(np.asarray(t))))

    def usual(self, S: int) -> tuple[float, ...]:
        """S equally spaced times from 1; time 0 is where the walk ends."""
        return tuple(np.linspace(1, 0, S + 1)[:-1].tolist())


@dataclass(frozen=True, eq=False)
class Direct(Path):
    """The degenerate path of a network that answers in one pass: its only state is the source."""

    @property
    def last(self) -> int:
        """Its only time, 0."""
        return 0

    def log_snr(self, t: Array) -> Array:
        """Minus infinity: nothing of the clean image is in the source."""
        return np.full(np.shape(t), -math.inf)

    def weights(self, t: Array) -> Coefficients[Array]:
        """The source: a = 0, b = 1, s = 0."""
        zero = np.zeros(np.shape(t))
        return Coefficients(zero, zero + 1, zero)

    def when(self, log_snr: float) -> float:
        """Its only time, 0."""
        return 0

    def told(self, t: float) -> float:
        """0; such a network listens to no time."""
        return 0

    def usual(self, S: int) -> tuple[float, ...]:
        """One time.

        Raises
        ------
        SettingsError
            Another number than 1 was asked for.
        """
        if S != 1:
            raise SettingsError(f"{self.name} takes one step", f"{S} were asked for", "Choose 1 step")
        return (0,)

    def one_step_variance(self, t: float) -> float:
        """0: no noise is ever added."""
        return 0.0


def variance_preserving(log_snr: Array) -> Coefficients[Array]:
    """Weights ``a^2 = sigmoid(log-SNR)``, ``b = 0``, ``s^2 = sigmoid(-log-SNR)``."""
    a, s = (np.exp(-0.5 * np.logaddexp(0.0, sign * log_snr)) for sign in (-1, 1))
    return Coefficients(a, np.zeros(np.shape(log_snr)), s)
