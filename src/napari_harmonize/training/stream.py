"""Endless training pairs: a subject, a source contrast, a wished look.

Every sample depends on (seed, index) alone, so a broken run can be continued and any sample made again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_harmonize.settings import Settings, setting
from napari_harmonize.simulate.anatomy import AnatomySettings, generator, subject, uniform
from napari_harmonize.simulate.contrast import CONTRASTS, image, jitter
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.style import compute

SLAB = 20
SOURCES = ("t2", "flair", "ct", "proton-density", "mprage", "t1-spin-echo", "anything", "anything", "anything")
LOOKS = ("mprage", "mprage", "mprage", "mprage", "mprage", "t1-spin-echo", "anything")


@dataclass(frozen=True)
class StreamSettings(Settings):
    """What is simulated for training."""

    anatomy: AnatomySettings = setting(AnatomySettings, help="How far subjects differ.")
    pool: int = setting(64, help="Subjects kept at a time.", low=1, high=4096)
    renew: int = setting(12, help="Samples after which one subject of the pool is replaced.", low=1, high=100000)
    height: int = setting(144, help="Rows of a training slice (left to right).", unit="voxels", low=16, high=512)
    width: int = setting(176, help="Columns of a training slice (back to front).", unit="voxels", low=16, high=512)
    stacks: int = setting(4, help="Stacks cut from one simulated slab.", low=1, high=32)
    radius: int = setting(1, help="Neighbours on either side of a slice.", low=0, high=7)


@dataclass(frozen=True, eq=False)
class Sample:
    """Some stacks of one simulated pair.

    Parameters
    ----------
    source, target, mask : (stacks, C, H, W) float32
        -1..1, -1..1 and 0..1.
    source_style, style : (3, bins) float32
        Keys of both whole volumes.
    """

    source: Tensor
    target: Tensor
    mask: Tensor
    source_style: Tensor
    style: Tensor


class Stream:
    """Makes samples and keeps the pool of subjects they come from.

    Parameters
    ----------
    settings : StreamSettings
        What is simulated.
    seed : int
        Which endless stream.
    """

    def __init__(self, settings: StreamSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self._pool: OrderedDict[int, Tensor] = OrderedDict()

    def sample(self, index: int) -> Sample:
        """Make the sample with this number."""
        rng = generator(self.seed, index, 7)
        shares = self._subject(index, rng)
        look = jitter(_draw(LOOKS, rng), 0.05, rng)
        contrast = jitter(_draw(SOURCES, rng), 0.05, rng)
        centre = int(uniform(0.08, 0.92, rng) * shares.shape[3])
        low = min(max(0, centre - SLAB // 2), shares.shape[3] - SLAB)
        slab = shares[..., low : low + SLAB].float() / 255
        inside = (slab.sum(0) > 0.5).float()
        coarse = shares[:, ::3, ::3, ::3].float() / 255
        source, source_style = _acquire(slab, coarse, contrast, inside, rng)
        target, style = _aim(slab, coarse, look, inside, rng)
        return self._cut(source, target, inside, rng, source_style, style)

    def _subject(self, index: int, rng: torch.Generator) -> Tensor:
        """Pick a subject of the pool that belongs to this index; make it where it is not there yet."""
        newest = index // self.settings.renew + self.settings.pool
        number = newest - int(torch.randint(self.settings.pool, (), generator=rng))
        if number not in self._pool:
            whole = subject(self.settings.anatomy, self.seed, number)
            self._pool[number] = _crop(whole, self.settings.height, self.settings.width)
        for old in [old for old in self._pool if old <= newest - self.settings.pool]:
            del self._pool[old]
        return self._pool[number]

    def _cut(self, source: Tensor, target: Tensor, inside: Tensor, rng: torch.Generator, *styles: Tensor) -> Sample:
        """Stacks at random places of the slab, mirrored left to right half of the time."""
        reach = self.settings.radius
        places = torch.randint(4, SLAB - 4, (self.settings.stacks,), generator=rng).tolist()
        flip = float(torch.rand((), generator=rng)) < 0.5

        def stacks(volume: Tensor) -> Tensor:
            volume = volume.flip(0) if flip else volume
            return torch.stack([volume[..., p - reach : p + reach + 1].permute(2, 0, 1) for p in places])

        return Sample(stacks(source) * 2 - 1, stacks(target) * 2 - 1, stacks(inside), *styles)


def _draw(names: tuple[str, ...], rng: torch.Generator) -> Tensor:
    """Means of one contrast, brightest brain tissue 1 and, for CT, fluid above zero."""
    name = names[int(torch.randint(len(names), (), generator=rng))]
    contrast = CONTRASTS[name](rng)
    return contrast / contrast[:5].abs().max()


def _crop(shares: Tensor, height: int, width: int) -> Tensor:
    """Box around the brain as bytes: the asked height and width, and every slice with brain in it."""
    inside = shares.sum(0) > 0.5
    where = [inside.any(dim=1).any(dim=1), inside.any(dim=0).any(dim=1), inside.any(dim=0).any(dim=0)]
    spans = [(int(line.nonzero()[0]), int(line.nonzero()[-1]) + 1) for line in where]
    padded = torch.zeros((shares.shape[0], height, width, max(SLAB, spans[2][1] - spans[2][0])), dtype=torch.uint8)
    target, taken = [], []
    for (low, high), size in zip(spans, padded.shape[1:], strict=True):
        keep = min(high - low, size)
        start = low + (high - low - keep) // 2
        taken.append(slice(start, start + keep))
        target.append(slice((size - keep) // 2, (size - keep) // 2 + keep))
    padded[(slice(None), *target)] = (shares[(slice(None), *taken)] * 255).round().to(torch.uint8)
    return padded


def _acquire(slab: Tensor, coarse: Tensor, contrast: Tensor, inside: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scan the slab; the whole volume's percentiles and key come from a coarse copy of it."""
    noise = uniform(0.0, 0.07, rng) if uniform(0, 1, rng) < 0.8 else 0.0
    grain, unevenness, gamma = uniform(0, 0.06, rng), uniform(0, 0.15, rng), float(torch.exp(0.15 * torch.randn((), generator=rng)))
    thickness = uniform(1.5, 6.0, rng) if uniform(0, 1, rng) < 0.4 else 1.0

    def scan(shares: Tensor, step: float) -> Tensor:
        scanned = EFFECTS["texture"].apply(image(shares, contrast), grain, rng)
        if step == 1.0 and thickness > 1.0:
            scanned = EFFECTS["thick slices"].apply(scanned, thickness, rng)
        scanned = EFFECTS["bias"].apply(scanned, unevenness, rng)
        return EFFECTS["rician"].apply(scanned, noise, rng).clamp_min(0) ** gamma

    whole, brain = scan(coarse, 3.0), coarse.sum(0) > 0.5
    low, high = np.percentile(whole[brain].numpy(), [0.5, 99.5])
    span = max(float(high - low), 1e-3)
    key = _key(((whole - low) / span).clamp(0, 1) * brain)
    return ((scan(slab, 1.0) - low) / span).clamp(0, 1) * inside, key


def _aim(slab: Tensor, coarse: Tensor, look: Tensor, inside: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The wished look: almost free of noise on the slab, with a scan's noise and bias in the key."""
    gamma = float(torch.exp(0.15 * torch.randn((), generator=rng)))
    brain = coarse.sum(0) > 0.5
    scanned = EFFECTS["texture"].apply(image(coarse, look), uniform(0.02, 0.06, rng), rng)
    scanned = EFFECTS["bias"].apply(scanned, uniform(0, 0.12, rng), rng)
    scanned = EFFECTS["rician"].apply(scanned, uniform(0, 0.05, rng), rng).clamp_min(0) ** gamma
    high = max(float(np.percentile(scanned[brain].numpy(), 99.5)), 1e-3)
    key = _key((scanned / high).clamp(0, 1) * brain)
    clean = image(slab, look).clamp_min(0) ** gamma
    return (clean / high).clamp(0, 1) * inside, key


def _key(volume: Tensor) -> Tensor:
    """Style key of a volume in 0..1 as the network takes it."""
    return torch.from_numpy(compute(volume.numpy()).curves.astype(np.float32))
