"""Subjects as they come to a scanner: of any shape, with lesions, badly stripped.

A subject depends on the seed and its number alone, and every option has random numbers of its own: turning one off
leaves the others as they were.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_harmonize.simulate.anatomy import (
    COARSE,
    Anatomy,
    AnatomySettings,
    averaged,
    generator,
    grid,
    largest_piece,
    remnants,
    tissues,
    uniform,
)
from napari_harmonize.simulate.lesions import LESIONS, Mass, mass, tumours
from napari_harmonize.simulate.own import own_anatomy
from napari_harmonize.simulate.relaxation import WIDE
from napari_harmonize.simulate.stripping import corners, scalp, skull
from napari_harmonize.simulate.template import CANVAS

if TYPE_CHECKING:
    from napari_harmonize.simulate.settings import SubjectSettings

STRIPPING = {"skull": skull, "scalp": scalp, "corners": corners}
OPTIONS = ("shape", *LESIONS, "remnants", *STRIPPING)
BEFORE, INSIDE = 100, 200
"""Where the random numbers begin that decide whether an option applies, and those that it draws."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One simulated person.

    Parameters
    ----------
    shares : (12, 160, 192, 160) float32
        Shares 0..1 of the tissues named in ``relaxation.WIDE``, RAS+, 1 mm.
    brain : (160, 192, 160) bool
        Brain with its fluid and lesions, without anything stripping left around it.
    found : tuple of str
        Which lesions and faults of stripping are there.
    """

    shares: Tensor
    brain: Tensor
    found: tuple[str, ...]


def varied_subject(settings: SubjectSettings, seed: int, index: int, *, stripped: bool = True) -> Subject:
    """Draw a subject; the same numbers always give the same one.

    Parameters
    ----------
    settings : SubjectSettings
        How far subjects may differ, and what may be wrong with them.
    seed, index : int
        Which subject; of brains of the user's own, the one at the index modulo their number.
    stripped : bool
        Whether faults of stripping may occur.

    Raises
    ------
    HarmonizeError
        The template is not installed, or the folder of brains of the user's own cannot be used.
    """
    brain = own_anatomy(settings.anatomies, index) if settings.anatomies else averaged()
    chance = {name: generator(seed, index, INSIDE + place) for place, name in enumerate(OPTIONS)}
    found = tuple(name for name in OPTIONS[1:] if _occurs(name, settings, seed, index) and (stripped or name in LESIONS))
    shares = torch.zeros((len(WIDE), *CANVAS))
    tumour = mass(generator(seed, index, INSIDE + OPTIONS.index("tumours")), brain) if "tumours" in found else None
    push = _push(settings, chance["shape"], brain, tumour)
    shares[:4] = tissues(_anatomy(settings), generator(seed, index), push, brain)
    shares *= largest_piece(shares.sum(0) > 0.5)
    for name in (name for name in found if name in LESIONS):
        paint = functools.partial(tumours, brain=brain) if name == "tumours" else LESIONS[name].paint
        paint(shares, chance[name])
    inside = shares.sum(0)
    if "remnants" in found:
        shares[WIDE.index("remnant")] += remnants(inside, chance["remnants"])
    for name in (name for name in found if name in STRIPPING):
        STRIPPING[name](shares, chance[name])
    return Subject(shares.clamp_(0, 1), (inside > 0.5) & (shares.sum(0) > 0.5), found)


def _occurs(name: str, settings: SubjectSettings, seed: int, index: int) -> bool:
    share: float = getattr(settings, name)
    return uniform(0, 1, generator(seed, index, BEFORE + OPTIONS.index(name))) < share


def _anatomy(settings: SubjectSettings) -> AnatomySettings:
    return AnatomySettings(settings.rotation, settings.scale, settings.deformation, settings.atrophy, 0.0, 0.0)


def _push(settings: SubjectSettings, rng: torch.Generator, brain: Anatomy, tumour: Mass | None) -> Tensor:
    """Velocity in mm of wider ventricles, of one half against the other and of what a tumour pushes aside, (3, coarse)."""
    places = grid(COARSE, 4.0)
    ventricles = brain.towards_ventricles * uniform(0, settings.ventricles, rng)
    side = torch.sigmoid(places[..., 0] / 10 * (1 if uniform(0, 1, rng) < 0.5 else -1))
    push = ventricles * (1 - 0.8 * uniform(0, 1, rng) * side)
    push = push + _torque(places, settings.asymmetry, rng)
    return push if tumour is None else push + _displacement(places, tumour)


def _torque(places: Tensor, amount: float, rng: torch.Generator) -> Tensor:
    """One half reaches further forwards, the other further back, and either may be the wider."""
    ahead, wide, tall = (torch.randn(3, generator=rng) * amount).tolist()
    beside = torch.tanh(places[..., 0] / 30)
    middle = torch.exp(-((places[..., 0] / 50) ** 2))
    front = torch.tanh(places[..., 1] / 50)
    return torch.stack([wide * middle * front, ahead * beside, 0.5 * tall * beside])


def _displacement(places: Tensor, tumour: Mass) -> Tensor:
    """Read tissue from nearer the tumour's centre than it lies: it has been pushed out, by up to a third of the radius."""
    centre = tumour.centre - (torch.tensor(CANVAS) - 1) / 2
    away = places - centre
    distance = torch.linalg.vector_norm(away, dim=-1, keepdim=True).clamp_min(1.0)
    strength = (tumour.radius / 3) * torch.exp(-(((distance - tumour.radius).clamp_min(0) / 20) ** 2))
    inwards: Tensor = -away / distance * strength * (distance / tumour.radius).clamp_max(1)
    return inwards.movedim(-1, 0)
