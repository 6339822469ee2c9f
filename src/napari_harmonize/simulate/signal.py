"""Signal equations: what a sequence makes of a tissue.

Symbols: T1, T2 relaxation times; TR repetition, TE echo, TI inversion time, τ echo spacing, all in ms; α flip
angle; M longitudinal magnetisation as a share of its equilibrium.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_harmonize.simulate.relaxation import Tissue


@dataclass(frozen=True)
class Mprage:
    """Inversion, a train of N small flips, a pause; read at the middle of the train.

    The two presets carry the published protocol of Durrer et al., MIDL 2023, appendix A; echo spacing and the
    length of the train are not printed there and are set to what the printed bandwidths and matrices allow.
    """

    field: float = 3.0
    tr: float = 2300.0
    ti: float = 900.0
    te: float = 2.94
    alpha: float = 9.0
    tau: float = 7.1
    n: int = 160

    def signal(self, tissue: Tissue) -> float:
        """Steady-state signal at the centre of k-space, proton density included.

        The magnetisation goes through inversion, recovery for TI − Nτ/2, N flips spaced τ, and recovery until the
        next inversion. Each part is an affine map M → pM + q, so the steady state is q/(1 − p) of their chain.
        """
        t1 = tissue.t1[self.field > 2]
        half = self.n // 2
        before = _recover(self.ti - half * self.tau, t1)
        after = _recover(self.tr - self.ti - (self.n - half) * self.tau, t1)
        flip = _chain((math.cos(math.radians(self.alpha)), 0.0), _recover(self.tau, t1))
        to_centre = _chain((-1.0, 0.0), before, *[flip] * half)
        p, q = _chain(to_centre, *[flip] * (self.n - half), after)
        m = to_centre[0] * q / (1 - p) + to_centre[1]
        decay = math.exp(-self.te / tissue.t2[self.field > 2])
        return tissue.density * abs(m) * math.sin(math.radians(self.alpha)) * decay


@dataclass(frozen=True)
class SpinEcho:
    """PD (1 − e^(−TR/T1)) e^(−TE/T2): T1, T2 or proton-density weighting by TR and TE."""

    field: float = 3.0
    tr: float = 4500.0
    te: float = 95.0

    def signal(self, tissue: Tissue) -> float:
        """Signal of the tissue, proton density included."""
        strong = self.field > 2
        return tissue.density * (1 - math.exp(-self.tr / tissue.t1[strong])) * math.exp(-self.te / tissue.t2[strong])


@dataclass(frozen=True)
class TurboSpinEcho:
    """PD (1 − e^(−(TR − Nτ)/T1)) e^(−TE/T2): the magnetisation recovers only after a train of N echoes spaced τ."""

    field: float = 3.0
    tr: float = 4500.0
    te: float = 95.0
    tau: float = 11.0
    n: int = 16

    def signal(self, tissue: Tissue) -> float:
        """Signal of the tissue at the effective echo time, proton density included."""
        strong = self.field > 2
        _, m = _recover(self.tr - self.n * self.tau, tissue.t1[strong])
        return tissue.density * m * math.exp(-self.te / tissue.t2[strong])


@dataclass(frozen=True)
class GradientEcho:
    """PD sin α (1 − E1) / (1 − E1 cos α) e^(−TE/T2*), E1 = e^(−TR/T1): a spoiled gradient echo (Ernst and Anderson 1966)."""

    field: float = 3.0
    tr: float = 25.0
    te: float = 5.0
    alpha: float = 25.0

    def signal(self, tissue: Tissue) -> float:
        """Steady-state signal of the tissue, proton density included."""
        strong, flip = self.field > 2, math.radians(self.alpha)
        e1 = math.exp(-self.tr / tissue.t1[strong])
        m = math.sin(flip) * (1 - e1) / (1 - e1 * math.cos(flip))
        return tissue.density * m * math.exp(-self.te / tissue.t2_star(strong))


@dataclass(frozen=True)
class Flair:
    """PD |1 − 2e^(−TI/T1) + e^(−TR/T1)| e^(−TE/T2); TI nulls cerebrospinal fluid when it is left at zero."""

    field: float = 3.0
    tr: float = 9000.0
    te: float = 100.0
    ti: float = 0.0
    nulled_t1: float = 4300.0

    def signal(self, tissue: Tissue) -> float:
        """Signal of the tissue, proton density included."""
        strong = self.field > 2
        ti = self.ti or self.nulled_t1 * (math.log(2) - math.log1p(math.exp(-self.tr / self.nulled_t1)))
        t1, t2 = tissue.t1[strong], tissue.t2[strong]
        m = 1 - 2 * math.exp(-ti / t1) + math.exp(-self.tr / t1)
        return tissue.density * abs(m) * math.exp(-self.te / t2)


@dataclass(frozen=True)
class Ct:
    """Attenuation in HU; the contrast does not depend on a field."""

    def signal(self, tissue: Tissue) -> float:
        """Attenuation of the tissue in HU."""
        return tissue.hounsfield


MPRAGE_1P5T = Mprage(field=1.5, tr=2080.0, ti=1100.0, te=3.1, alpha=15.0, tau=8.9)
MPRAGE_3T = Mprage()
Sequence = Mprage | SpinEcho | TurboSpinEcho | GradientEcho | Flair | Ct


def _recover(duration: float, t1: float) -> tuple[float, float]:
    """Affine map of free recovery; negative durations mean timings that no scanner can run."""
    if duration < 0:
        raise ValueError(f"sequence timings leave {duration:g} ms for recovery")
    p = math.exp(-duration / t1)
    return p, 1 - p


def _chain(*maps: tuple[float, float]) -> tuple[float, float]:
    """First map first."""
    p, q = 1.0, 0.0
    for gain, offset in maps:
        p, q = gain * p, gain * q + offset
    return p, q
