"""How a subject looks in a scan: one mean per tissue, drawn from physics or from chance.

A contrast is a tensor of means in the order of ``relaxation.BRAIN`` (or ``HEAD``). Domain randomisation after
SynthSeg and SynthSR (Billot et al. 2023; Iglesias et al. 2021): a network that has met every contrast carries over to real scans.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from napari_harmonize.simulate.anatomy import uniform
from napari_harmonize.simulate.relaxation import BRAIN, TISSUES
from napari_harmonize.simulate.signal import Ct, Flair, Mprage, Sequence, SpinEcho

Draw = Callable[[torch.Generator], Tensor]


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


def mprage(rng: torch.Generator) -> Tensor:
    """T1 weighting by inversion, timings as they occur on scanners."""
    tr, ti = uniform(1900, 2500, rng), uniform(800, 1100, rng)
    return means(Mprage(_field(rng), tr, ti, uniform(2.5, 4.0, rng), uniform(7, 15, rng), tau=uniform(6.5, 8.5, rng)))


def t1_spin_echo(rng: torch.Generator) -> Tensor:
    """T1 weighting by a short repetition time."""
    return means(SpinEcho(_field(rng), uniform(400, 700, rng), uniform(8, 20, rng)))


def t2(rng: torch.Generator) -> Tensor:
    """T2 weighting."""
    return means(SpinEcho(_field(rng), uniform(3000, 7000, rng), uniform(70, 130, rng)))


def proton_density(rng: torch.Generator) -> Tensor:
    """Proton-density weighting."""
    return means(SpinEcho(_field(rng), uniform(2000, 4000, rng), uniform(10, 40, rng)))


def flair(rng: torch.Generator) -> Tensor:
    """T2 weighting with fluid nulled, not always perfectly."""
    return means(Flair(_field(rng), uniform(6000, 11000, rng), uniform(80, 140, rng), nulled_t1=uniform(3600, 4500, rng)))


def ct(rng: torch.Generator) -> Tensor:
    """Attenuation, with the spread seen between scanners."""
    return means(Ct()) * uniform(0.9, 1.1, rng) + uniform(-4, 4, rng)


def anything(rng: torch.Generator) -> Tensor:
    """Any mean for any tissue."""
    return torch.rand(len(BRAIN), generator=rng) * uniform(0.5, 1.0, rng) + uniform(0, 0.3, rng)


CONTRASTS: dict[str, Draw] = {
    "mprage": mprage,
    "t1-spin-echo": t1_spin_echo,
    "t2": t2,
    "proton-density": proton_density,
    "flair": flair,
    "ct": ct,
    "anything": anything,
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
