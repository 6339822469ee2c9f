"""One scan of a subject: a contrast, and what goes wrong on the way, drawn from the table of effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_harmonize.simulate.anatomy import uniform
from napari_harmonize.simulate.contrast import CONTRASTS, image, jitter
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.simulate.relaxation import BRAIN, WIDE
from napari_harmonize.simulate.settings import MIXED, MIXED_NAMES, AcquisitionSettings

Chance = Callable[[int], torch.Generator]
AIR = -1000
WHITEST = 0.995
GREYS = (255, 4000)
"""Least and greatest number that the brightest tissue of an MR scan is written as."""


@dataclass(frozen=True)
class Use:
    """How an effect is used.

    Parameters
    ----------
    effect : str
        Row of ``EFFECTS``.
    setting : str
        Setting that holds its largest strength.
    least : float
        Smallest strength worth the name; the effect is left out where the setting is smaller.
    where : str
        "MR", "CT" or "both".
    always : bool
        Whether it happens to every scan.
    """

    effect: str
    setting: str
    least: float
    where: str = "both"
    always: bool = False


USES = (  # in the order in which they happen
    Use("texture", "texture", 0.0, "both", always=True),
    Use("motion", "motion", 0.2, "MR"),
    Use("slice profile", "thickness", 1.2),
    Use("coarse pixels", "pixels", 1.1),
    Use("gibbs", "gibbs", 0.1, "MR"),
    Use("sharpness", "blur", 0.5),
    Use("ghosting", "ghosting", 0.02, "MR"),
    Use("bias", "bias", 0.0, "MR", always=True),
    Use("rician", "noise", 0.005, "MR", always=True),
    Use("beam noise", "beam", 1.0, "CT", always=True),
    Use("quantised", "steps", 0.002, "MR"),
)
CLEAN = AcquisitionSettings(share=0.0, texture=0.02, bias=0.0, noise=0.02, beam=2.0)
"""How a target is scanned that a network learns to make."""


@dataclass(frozen=True, eq=False)
class Scan:
    """What a scanner gives.

    Parameters
    ----------
    data : (i, j, k) int16
        HU for CT; otherwise grey values from 0.
    contrast : str
        Row of ``CONTRASTS``.
    effects : tuple of (str, float)
        What was done to it, and how strongly.
    """

    data: np.ndarray
    contrast: str
    effects: tuple[tuple[str, float], ...]


def chosen(name: str, rng: torch.Generator) -> str:
    """Name of a contrast; one drawn among all where any will do."""
    return MIXED_NAMES[int(torch.randint(len(MIXED_NAMES), (), generator=rng))] if name == MIXED else name


def plan(settings: AcquisitionSettings, ct: bool, chance: Chance) -> tuple[tuple[str, float], ...]:
    """Which effects happen to a scan, and how strongly; each has random numbers of its own.

    Parameters
    ----------
    settings : AcquisitionSettings
        Largest strengths.
    ct : bool
        Whether it is a CT.
    chance : callable
        Gives the generator of a number.
    """
    found = []
    for number, use in enumerate(USES):
        rng, most = chance(number), float(getattr(settings, use.setting))
        happens = uniform(0, 1, rng) < settings.share or use.always
        if not happens or most <= use.least or use.where == ("MR" if ct else "CT"):
            continue
        tilted = use.effect == "slice profile" and uniform(0, 1, rng) < settings.oblique
        found.append(("oblique slab" if tilted else use.effect, uniform(use.least, most, rng)))
    return tuple(found)


def acquire(shares: Tensor, body: Tensor, name: str, settings: AcquisitionSettings, chance: Chance, *, stripped: bool = True) -> Scan:
    """Scan a subject.

    Parameters
    ----------
    shares : (12, i, j, k) float32
        Shares of ``relaxation.WIDE``.
    body : (i, j, k) bool
        What is left after stripping; the whole body where nothing was stripped.
    name : str
        Contrast, or "mixed".
    settings : AcquisitionSettings
        How imperfect the scan may be.
    chance : callable
        Gives the generator of a number; 0 to 99 are used here.
    stripped : bool
        Whether everything outside the body is set to nothing, as stripping does after a scan.
    """
    contrast = chosen(name, chance(50))
    ct = contrast == "ct"
    means = jitter(CONTRASTS[contrast](chance(51), WIDE), 0.05, chance(52))
    scanned = image(shares, means if ct else means / means[: len(BRAIN) - 1].abs().max())
    if ct and not stripped:
        scanned = scanned + AIR * (1 - shares.sum(0))
    done = plan(settings, ct, chance)
    for number, (effect, strength) in enumerate(done):
        scanned = EFFECTS[effect].apply(scanned, strength, chance(60 + number))
    return Scan(_numbers(scanned, body, ct, stripped, uniform(*GREYS, chance(53))), contrast, done)


def _numbers(scanned: Tensor, body: Tensor, ct: bool, stripped: bool, brightest: float) -> np.ndarray:
    """Whole numbers as scanners write them."""
    if ct:
        kept = torch.where(body, scanned, float(AIR)) if stripped else scanned
        return kept.round().clamp(-1024, 3071).cpu().numpy().astype(np.int16)
    kept = scanned.clamp_min(0) * body if stripped else scanned.clamp_min(0)
    inside = kept[body]
    white = float(np.quantile(inside.cpu().numpy(), WHITEST)) if inside.numel() else 1.0
    return (kept * (brightest / max(white, 1e-3))).round().clamp(0, 32767).cpu().numpy().astype(np.int16)
