"""How a subject looks in a scan: one mean per tissue, drawn from physics or from chance.

A contrast is a tensor of means in the order of ``relaxation.BRAIN`` (or ``HEAD``). Domain randomisation after
SynthSeg and SynthSR (Billot et al. 2023; Iglesias et al. 2021): a network that has met every contrast carries over to real scans.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from napari_harmonize.simulate.anatomy import uniform
from napari_harmonize.simulate.relaxation import BRAIN, TISSUES
from napari_harmonize.simulate.signal import (
    MPRAGE_1P5T,
    MPRAGE_3T,
    Ct,
    Flair,
    GradientEcho,
    Mprage,
    Sequence,
    SpinEcho,
    TurboSpinEcho,
)


class Draw(Protocol):
    """Draws the means of a contrast."""

    def __call__(self, rng: torch.Generator, tissues: tuple[str, ...] = ...) -> Tensor:
        """Means of the named tissues, in HU for CT."""


def means(sequence: Sequence, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """Signal of every tissue.

    Returns
    -------
    (tissues,) float32
        HU for CT, otherwise in units of the fully relaxed signal of water.
    """
    return torch.tensor([sequence.signal(TISSUES[name]) for name in tissues])


def _field(rng: torch.Generator) -> float:
    return 1.5 if uniform(0, 1, rng) < 0.5 else 3.0


def mprage(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T1 weighting by inversion, timings as they occur on scanners."""
    tr, ti = uniform(1900, 2500, rng), uniform(800, 1100, rng)
    return means(Mprage(_field(rng), tr, ti, uniform(2.5, 4.0, rng), uniform(7, 15, rng), tau=uniform(6.5, 8.5, rng)), tissues)


def mprage_3t(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T1 weighting by the published protocol at 3 T; nothing is drawn."""
    return means(MPRAGE_3T, tissues)


def mprage_1p5t(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T1 weighting by the published protocol at 1.5 T; nothing is drawn."""
    return means(MPRAGE_1P5T, tissues)


def t1_spin_echo(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T1 weighting by a short repetition time."""
    return means(SpinEcho(_field(rng), uniform(400, 700, rng), uniform(8, 20, rng)), tissues)


def t2(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T2 weighting."""
    return means(SpinEcho(_field(rng), uniform(3000, 7000, rng), uniform(70, 130, rng)), tissues)


def proton_density(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """Proton-density weighting."""
    return means(SpinEcho(_field(rng), uniform(2000, 4000, rng), uniform(10, 40, rng)), tissues)


def t2_turbo(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T2 weighting by a train of echoes."""
    field, tr, te = _field(rng), uniform(3000, 7000, rng), uniform(75, 120, rng)
    return means(TurboSpinEcho(field, tr, te, uniform(8, 14, rng), int(uniform(8, 26, rng))), tissues)


def gradient_echo(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T1 weighting by a spoiled gradient echo."""
    return means(GradientEcho(_field(rng), uniform(15, 35, rng), uniform(2.5, 6, rng), uniform(20, 40, rng)), tissues)


def t2_star(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T2* weighting by a late gradient echo."""
    return means(GradientEcho(_field(rng), uniform(500, 900, rng), uniform(15, 30, rng), uniform(15, 25, rng)), tissues)


def flair(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """T2 weighting with fluid nulled, not always perfectly."""
    return means(Flair(_field(rng), uniform(6000, 11000, rng), uniform(80, 140, rng), nulled_t1=uniform(3600, 4500, rng)), tissues)


def ct(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """Attenuation, with the spread seen between scanners."""
    return means(Ct(), tissues) * uniform(0.9, 1.1, rng) + uniform(-4, 4, rng)


def anything(rng: torch.Generator, tissues: tuple[str, ...] = BRAIN) -> Tensor:
    """Any mean for any tissue."""
    return torch.rand(len(tissues), generator=rng) * uniform(0.5, 1.0, rng) + uniform(0, 0.3, rng)


CONTRASTS: dict[str, Draw] = {
    "mprage": mprage,
    "t1-spin-echo": t1_spin_echo,
    "t2": t2,
    "proton-density": proton_density,
    "flair": flair,
    "ct": ct,
    "anything": anything,
    "t2-turbo": t2_turbo,
    "gradient-echo": gradient_echo,
    "t2-star": t2_star,
    "mprage-3t": mprage_3t,
    "mprage-1p5t": mprage_1p5t,
}


def jitter(contrast: Tensor, amount: float, rng: torch.Generator) -> Tensor:
    """Multiply every mean by about ``1 ± amount``: no tissue of two people is the same."""
    return contrast * torch.exp(amount * torch.randn(contrast.shape, generator=rng))


def image(shares: Tensor, contrast: Tensor) -> Tensor:
    """Partial volume: every voxel is the mean of its tissues.

    Parameters
    ----------
    shares : (tissues, ...) float32
        Shares 0..1.
    contrast : (tissues,) float32
        Means.

    Returns
    -------
    (...) float32
        Signal; 0 where there is no tissue.
    """
    flat = contrast @ shares.reshape(shares.shape[0], math.prod(shares.shape[1:]))
    return flat.reshape(shares.shape[1:])
