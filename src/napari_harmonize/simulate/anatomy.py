"""New subjects out of one brain: the averaged one of ``template``, or one of the user's own.

Averaged tissue maps are smooth, and a network trained on them learns to blur. So every subject gets a deformation
of its own, and its maps are hardened: log-shares plus band-limited noise through a softmax of low temperature, which
gives each subject sharp folds of its own. Atrophy, ventricle size, lesions and remnants of imperfect stripping follow.

Volumes here are tensors (channel, i, j, k) on the canvas of ``template``, RAS+, 1 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from napari_harmonize.device import here
from napari_harmonize.settings import Settings, setting
from napari_harmonize.simulate.template import CANVAS, tissue_maps

COARSE = tuple(size // 4 for size in CANVAS)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The brain that subjects are warps of.

    Parameters
    ----------
    maps : (4, 160, 192, 160) float32
        Shares as ``template.tissue_maps`` gives them.
    """

    maps: Tensor

    @cached_property
    def towards_ventricles(self) -> Tensor:
        """Direction towards the ventricles, (3, coarse), longest 1: sampling further in makes them wider."""
        central = self.maps[0] * (torch.linalg.vector_norm(grid(CANVAS, 1.0) - torch.tensor([0.0, -8.0, 8.0]), dim=-1) < 45)
        blurred = F.avg_pool3d(central[None, None], 4)
        for _ in range(3):
            blurred = F.avg_pool3d(blurred, 3, stride=1, padding=1)
        slope = torch.stack(torch.gradient(blurred[0, 0]))
        longest: Tensor = torch.linalg.vector_norm(slope, dim=0).max()
        return slope / longest


def averaged() -> Anatomy:
    """The template's brain."""
    return _averaged(here())


@lru_cache(maxsize=2)
def _averaged(device: torch.device) -> Anatomy:
    return Anatomy(tissue_maps().to(device))


@dataclass(frozen=True)
class AnatomySettings(Settings):
    """How far subjects differ from the template."""

    rotation: float = setting(8.0, help="Standard deviation of the head's rotation about each axis.", unit="degrees", low=0, high=45)
    scale: float = setting(0.06, help="Standard deviation of the head's size along each axis.", low=0, high=0.3)
    deformation: float = setting(1.0, help="Strength of the smooth deformation.", low=0, high=3)
    atrophy: float = setting(3.0, help="Largest widening of the sulci, in log-odds of fluid.", low=0, high=6)
    lesions: float = setting(0.5, help="Share of subjects with lesions.", low=0, high=1)
    remnants: float = setting(0.5, help="Share of subjects with remnants of meninges after stripping.", low=0, high=1)


def generator(*numbers: int) -> torch.Generator:
    """Random numbers that depend on these numbers alone."""
    seed = 0x9E3779B97F4A7C15
    for number in numbers:
        seed = ((seed ^ number) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & 0x7FFFFFFFFFFFFFFF
    return torch.Generator().manual_seed(seed)


def uniform(low: float, high: float, rng: torch.Generator) -> float:
    """One number between two limits."""
    return low + (high - low) * float(torch.rand((), generator=rng))


def smooth_noise(step: float, shape: tuple[int, ...], rng: torch.Generator, channels: int = 1) -> Tensor:
    """Noise whose neighbours agree over about ``step`` voxels.

    Returns
    -------
    (channels, *shape) float32
        Mean 0, standard deviation about 1.
    """
    coarse = [max(2, math.ceil(size / step) + 1) for size in shape]
    noise = torch.randn((1, channels, *coarse), generator=rng)
    fine = F.interpolate(noise, size=shape, mode="trilinear", align_corners=True)[0]
    return fine / fine.std().clamp_min(1e-6)


def subject(settings: AnatomySettings, seed: int, index: int) -> Tensor:
    """Draw a subject; the same numbers always give the same one.

    Parameters
    ----------
    settings : AnatomySettings
        How far subjects may differ.
    seed, index : int
        Which subject.

    Returns
    -------
    (6, 160, 192, 160) float32
        Shares of the tissues named in ``relaxation.BRAIN``, 0..1, summing to one inside the brain and to at most
        one outside.
    """
    rng = generator(seed, index)
    shares = tissues(settings, rng)
    inside, gliosis = shares.sum(0), torch.zeros(CANVAS)
    if uniform(0, 1, rng) < settings.lesions:
        shares, gliosis = _lesions(shares, rng)
    remnant = torch.zeros(CANVAS)
    if uniform(0, 1, rng) < settings.remnants:
        remnant = remnants(inside, rng)
    return torch.cat([shares, gliosis[None], remnant[None]]).clamp(0, 1)  # trilinear weights leave −1e−7


def tissues(settings: AnatomySettings, rng: torch.Generator, push: Tensor | None = None, brain: Anatomy | None = None) -> Tensor:
    """Fluid, grey, white and deep grey matter of a subject without lesions.

    Parameters
    ----------
    settings : AnatomySettings
        How far subjects may differ.
    rng : torch.Generator
        Chance.
    push : (3, 40, 48, 40) float32, optional
        Velocity in mm added to that of the smooth deformation: where tissue is read from moves along it.
    brain : Anatomy, optional
        Whose warp the subject is; the template's where absent.

    Returns
    -------
    (4, 160, 192, 160) float32
        Shares 0..1.
    """
    return _harden(_deform(brain or averaged(), settings, rng, push), settings, rng)


def _deform(brain: Anatomy, settings: AnatomySettings, rng: torch.Generator, push: Tensor | None) -> Tensor:
    """Pull the maps back through a rotation, a scaling and a diffeomorphism."""
    velocity = torch.zeros(3, *COARSE)
    for step, millimetres in ((12.0, 3.5), (5.0, 1.6), (2.5, 0.7)):
        strength = settings.deformation * uniform(0.4, 1.2, rng)
        velocity += smooth_noise(step, COARSE, rng, 3) * millimetres * strength
    velocity += brain.towards_ventricles * uniform(-2.0, 6.0, rng)
    velocity = velocity if push is None else velocity + push
    velocity = F.avg_pool3d(velocity[None], 3, stride=1, padding=1, count_include_pad=False)[0]
    field = _exponential(velocity)
    places = grid(CANVAS, 1.0) @ _linear(settings, rng).T
    places = places + F.interpolate(field[None], size=CANVAS, mode="trilinear", align_corners=True)[0].permute(1, 2, 3, 0)
    return _sample(brain.maps, places)


def grid(shape: tuple[int, ...], step: float) -> Tensor:
    """Position of every voxel in mm from the centre, (i, j, k, 3)."""
    axes = [(torch.arange(size, dtype=torch.float32) - (size - 1) / 2) * step for size in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)


def _sample(channels: Tensor, mm: Tensor, outside: str = "zeros") -> Tensor:
    """Read (channels, ...) at positions (i, j, k, 3) in mm from the canvas's centre, linearly."""
    half = torch.tensor([(size - 1) / 2 for size in CANVAS])
    where = (mm / half).flip(-1)[None]  # as grid_sample wants them: -1..1, last axis first
    read: Tensor = F.grid_sample(channels[None], where, mode="bilinear", padding_mode=outside, align_corners=True)
    return read[0]


def _linear(settings: AnatomySettings, rng: torch.Generator) -> Tensor:
    """Rotation and scaling as a matrix that maps new positions to old ones."""
    matrix = torch.diag(torch.exp(0.1 + torch.randn(3, generator=rng) * settings.scale))
    for axis in range(3):
        angle = math.radians(settings.rotation) * float(torch.randn((), generator=rng))
        turn = torch.eye(3)
        one, two = [other for other in range(3) if other != axis]
        turn[one, one] = turn[two, two] = math.cos(angle)
        turn[one, two], turn[two, one] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    return matrix


def _exponential(velocity: Tensor, squarings: int = 5) -> Tensor:
    """Flow along a velocity field (3, coarse) in mm for unit time: never folds, so anatomy stays anatomy."""
    field: Tensor = velocity / 2**squarings
    places = grid(COARSE, 4.0)
    for _ in range(squarings):
        field = field + _sample(field, places + field.permute(1, 2, 3, 0), "border")
    return field


def _harden(maps: Tensor, settings: AnatomySettings, rng: torch.Generator) -> Tensor:
    """Sharp shares out of averaged ones, with folds that no two subjects share."""
    inside = (maps.sum(0) > 0.5 + 0.1 * smooth_noise(10.0, CANVAS, rng)[0]).float()
    logits = torch.log(maps + 0.02)
    logits[0] += uniform(-0.5, settings.atrophy, rng) * (1 - maps[2]).clamp(0, 1)
    amount = uniform(0.1, 0.5, rng)
    for step in (2.5, 6.0):
        logits += amount * smooth_noise(step, CANVAS, rng, 4)
    return torch.softmax(logits / uniform(0.2, 0.5, rng), dim=0) * inside


def blob(centre: Tensor, radius: float, rng: torch.Generator) -> tuple[tuple[slice, ...], Tensor]:
    """Where a ragged ball lies, and its soft shape 0..1 there."""
    reach = int(radius * 1.6) + 3
    where = tuple(slice(max(0, int(c) - reach), min(size, int(c) + reach + 1)) for c, size in zip(centre, CANVAS, strict=True))
    axes = [torch.arange(part.start, part.stop, dtype=torch.float32) - float(c) for part, c in zip(where, centre, strict=True)]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    ragged = 1 + 0.25 * smooth_noise(max(2.0, radius / 1.5), tuple(distance.shape), rng)[0]
    return where, torch.sigmoid((radius * ragged - distance) / 0.7)


def somewhere(weight: Tensor, rng: torch.Generator) -> Tensor:
    """One voxel drawn where the weight is above one half."""
    candidates = (weight[::4, ::4, ::4] > 0.5).nonzero()
    if len(candidates) == 0:
        return torch.tensor([size // 2 for size in CANVAS])
    return candidates[int(torch.randint(len(candidates), (), generator=rng))] * 4


def _lesions(shares: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """White-matter lesions, and in one subject of three a cavity with a rim."""
    gliosis = torch.zeros(CANVAS)
    for _ in range(int(uniform(0, 14, rng))):
        where, shape = blob(somewhere(shares[2], rng), uniform(1.5, 6.0, rng), rng)
        gliosis[where] = gliosis[where].maximum(shape * (shares[2][where] + 0.3 * shares[1][where]))
    cavity = torch.zeros(CANVAS)
    if uniform(0, 1, rng) < 0.35:
        centre, radius = somewhere(shares[1] + shares[2], rng), uniform(5.0, 22.0, rng)
        where, shape = blob(centre, radius, rng)
        gliosis[where] = gliosis[where].maximum(shape)
        where, shape = blob(centre, radius * uniform(0.2, 0.8, rng), rng)
        cavity[where] = shape
    inside = shares.sum(0)
    gliosis = gliosis * (1 - shares[0])
    rest = shares * (1 - gliosis) * (1 - cavity)
    rest[0] += cavity * inside
    return rest, gliosis * (1 - cavity) * inside


def remnants(inside: Tensor, rng: torch.Generator) -> Tensor:
    """Patches of meninges and vessels in a thin shell around the brain."""
    width = 2 * int(uniform(1, 3.99, rng)) + 1
    shell = F.max_pool3d(inside[None, None], width, stride=1, padding=width // 2)[0, 0] * (1 - inside)
    patchy = torch.sigmoid(4 * (smooth_noise(14.0, CANVAS, rng)[0] - uniform(0.2, 1.2, rng)))
    return shell * patchy * uniform(0.3, 1.0, rng)


def largest_piece(inside: Tensor) -> Tensor:
    """Without the crumbs that hardening leaves beside the brain."""
    pieces, count = ndimage.label(inside.cpu().numpy())
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    return torch.as_tensor(pieces == int(sizes.argmax()))
