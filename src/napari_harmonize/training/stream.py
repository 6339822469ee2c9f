"""Endless training pairs: a subject, a source contrast, a wished look.

Tissue is not quite uniform, and what is uneven in one contrast is uneven in the others too (water content, myelin): source and
target share such a field, with a sign that T1 looks have in common and T2 weighting turns round. Without it a network
learns that all detail within a tissue is noise, and flattens a T1 that it should only give another look.

Every sample depends on (seed, index) alone, so a broken run can be continued and any sample made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor

from napari_harmonize.device import choose_device, computed_on, here
from napari_harmonize.settings import Settings, setting
from napari_harmonize.simulate.anatomy import generator, smooth_noise, uniform
from napari_harmonize.simulate.contrast import CONTRASTS, image, jitter
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.simulate.relaxation import BRAIN, WIDE
from napari_harmonize.simulate.settings import SubjectSettings
from napari_harmonize.simulate.subjects import varied_subject
from napari_harmonize.style import compute

if TYPE_CHECKING:
    from pathlib import Path

SLAB = 12
MULTIPLE = 16
LOOKS = ("mprage", "mprage", "mprage", "mprage", "mprage", "t1-spin-echo", "anything")
UNEVEN = (0.02, 0.09)
"""How strong the shared field is in a target, as a share of the signal."""


@dataclass(frozen=True)
class SourceRow:
    """How often a contrast is a source, and how the shared field shows in it, as a multiple of that in the target."""

    often: int
    low: float
    high: float


SOURCES = {
    "mprage": SourceRow(3, 0.7, 1.3),
    "t1-spin-echo": SourceRow(2, 0.5, 1.2),
    "gradient-echo": SourceRow(1, 0.5, 1.2),
    "t2": SourceRow(3, -1.2, 0.0),
    "t2-turbo": SourceRow(1, -1.2, 0.0),
    "flair": SourceRow(5, -1.0, 0.2),
    "proton-density": SourceRow(1, -0.6, 0.3),
    "ct": SourceRow(2, -0.2, 0.3),
    "anything": SourceRow(5, -1.2, 1.2),
}
FAULTS = {"motion": (0.2, 1.0), "coarse pixels": (1.1, 2.0), "gibbs": (0.1, 0.4), "sharpness": (0.5, 1.5), "ghosting": (0.02, 0.12)}
"""What may have gone wrong with a source in 1 mm voxels, from and to which strength."""
FAULTY = 0.12
DISEASED = ("gliosis", "oedema", "infarct", "tumour", "necrosis")
_DISEASED = [WIDE.index(name) for name in DISEASED]


@dataclass(frozen=True)
class StreamSettings(Settings):
    """What is simulated for training."""

    subject: SubjectSettings = setting(SubjectSettings, help="How far subjects differ, and what may be wrong with them.")
    pool: int = setting(32, help="Subjects kept at a time.", low=1, high=4096)
    renew: int = setting(160, help="Samples after which one subject of the pool is replaced.", low=1, high=100000)
    height: int = setting(144, help="Rows of a training slice (left to right).", unit="voxels", low=16, high=512)
    width: int = setting(176, help="Columns of a training slice (back to front).", unit="voxels", low=16, high=512)
    stacks: int = setting(2, help="Stacks cut from one simulated slab.", low=1, high=32)
    voxel: int = setting(1, help="Voxel size; 2 trains four times as many slices in the same time.", unit="mm", low=1, high=4)
    radius: int = setting(1, help="Neighbours on either side of a slice.", low=0, high=7)
    aimed: float = setting(0.0, help="Share of slabs that are laid through a lesion, where there is one.", low=0, high=1)
    flair: int = setting(SOURCES["flair"].often, help="How often a source is a FLAIR, beside 18 for all others.", low=0, high=1000)
    device: str = setting("cpu", help="Where samples are computed; the same but for rounding.", choices=("auto", "cpu", "cuda"))
    coils: float = setting(0.0, help="Largest share of an MR source's uneven coils that its target has too.", low=0, high=1)


@dataclass(frozen=True, eq=False)
class Sample:
    """Some stacks of one simulated pair.

    Parameters
    ----------
    source, target, mask : (stacks, C, H, W) float32
        -1..1, -1..1 and 0..1.
    lesion : (stacks, C, H, W) float32
        Share 0..1 of tissue that is diseased.
    source_style, style : (3, bins) float32
        Keys of both whole volumes.
    """

    source: Tensor
    target: Tensor
    mask: Tensor
    lesion: Tensor
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
    pool : dict, optional
        Subjects another stream of the same seed and subjects has made already.
    kept : Path, optional
        Folder in which subjects are kept, for several processes to share; nothing is removed from it.
    """

    def __init__(self, settings: StreamSettings, seed: int, pool: dict[int, Tensor] | None = None, kept: Path | None = None) -> None:
        self.settings, self.seed, self.kept = settings, seed, kept
        self.pool: dict[int, Tensor] = {} if pool is None else pool

    def sample(self, index: int) -> Sample:
        """Make the sample with this number."""
        with computed_on(choose_device(self.settings.device, auto=("cuda",))):
            return self._made(index)

    def _made(self, index: int) -> Sample:
        rng = generator(self.seed, index, 7)
        shares = self._subject(index, rng)
        look = jitter(draw(LOOKS, rng), 0.05, rng)
        name = source_name(rng, self.settings.flair)
        contrast = jitter(draw((name,), rng), 0.05, rng)
        slab = _slab(shares, self._place(shares, rng), self.settings.voxel)
        inside = (slab.sum(0) > 0.5).float()
        coarse = shares[:, ::4, ::4, ::3].float() / 255
        strength = uniform(*UNEVEN, rng)
        shown = strength * uniform(SOURCES[name].low, SOURCES[name].high, rng)
        source, source_style, field, coil = _acquire(slab, coarse, contrast, inside, rng, self.settings.voxel, shown)
        kept = uniform(0.3, 1, rng) * self.settings.coils if self.settings.coils > 0 and name != "ct" else 0.0
        target, style = _aim(slab, coarse, look, inside, rng, strength * field, coil**kept)
        return self._cut((source * 2 - 1, target * 2 - 1, inside, slab[_DISEASED].sum(0)), rng, source_style, style)

    def _subject(self, index: int, rng: torch.Generator) -> Tensor:
        """Pick a subject of the pool that belongs to this index; make it where it is not there yet."""
        newest = index // self.settings.renew + self.settings.pool
        number = newest - int(torch.randint(self.settings.pool, (), generator=rng))
        if number not in self.pool:
            self.pool[number] = (self._drawn(number) if self.kept is None else self.keep(number)).to(here())
        for old in [old for old in self.pool if old <= newest - self.settings.pool]:
            del self.pool[old]
        return self.pool[number]

    def _drawn(self, number: int) -> Tensor:
        whole = varied_subject(self.settings.subject, self.seed, number)
        return _crop(whole.shares, self.settings.height, self.settings.width)

    def keep(self, number: int) -> Tensor:
        """Give a subject of the folder; make it where it is not there yet, or wait for who does.

        Returns
        -------
        (12, height, width, slices) uint8
            Shares in 255ths, read from the file as they are needed.

        Raises
        ------
        ValueError
            The stream has no folder.
        """
        if self.kept is None:
            raise ValueError("A stream keeps subjects in the folder it was made with; it was made without one")
        path = self.kept / f"{number}.npy"
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                part = path.with_suffix(".part.npy")
                np.save(part, self._drawn(number).cpu().numpy())
                part.replace(path)
        return torch.from_numpy(np.load(path, mmap_mode="c"))

    def _place(self, shares: Tensor, rng: torch.Generator) -> float:
        """Where a slab lies between the lowest slice, 0, and the highest, 1."""
        anywhere = uniform(0.06, 0.94, rng)
        if self.settings.aimed == 0 or uniform(0, 1, rng) >= self.settings.aimed:
            return anywhere
        diseased = shares[_DISEASED, ::4, ::4].sum((0, 1, 2), dtype=torch.float32)  # a sixteenth of the voxels, for speed
        return float(torch.multinomial(diseased.cpu(), 1, generator=rng)) / len(diseased) if diseased.any() else anywhere

    def _cut(self, volumes: tuple[Tensor, ...], rng: torch.Generator, *styles: Tensor) -> Sample:
        """Stacks at random places of the slab, mirrored left to right half of the time."""
        reach = self.settings.radius
        places = torch.randint(reach, SLAB - reach, (self.settings.stacks,), generator=rng).tolist()
        flip = float(torch.rand((), generator=rng)) < 0.5

        def stacks(volume: Tensor) -> Tensor:
            volume = volume.flip(0) if flip else volume
            return torch.stack([volume[..., p - reach : p + reach + 1].permute(2, 0, 1) for p in places])

        return Sample(*map(stacks, volumes), *styles)


def _slab(shares: Tensor, where: float, voxel: int) -> Tensor:
    """Some neighbouring slices as shares 0..1, in larger voxels where asked, padded as the network needs."""
    thickness = min(SLAB * voxel, shares.shape[3])
    low = min(max(0, int(where * shares.shape[3]) - thickness // 2), shares.shape[3] - thickness)
    slab = shares[..., low : low + thickness].float() / 255
    if voxel > 1:
        slab = F.avg_pool3d(slab[None], voxel)[0]
    missing = [-size % MULTIPLE for size in slab.shape[1:3]] + [SLAB - slab.shape[3]]
    return F.pad(slab, [part for m in reversed(missing) for part in (m // 2, m - m // 2)])


def draw(names: tuple[str, ...], rng: torch.Generator) -> Tensor:
    """Means (12,) of one of the named contrasts, brightest tissue of the brain 1."""
    name = names[int(torch.randint(len(names), (), generator=rng))]
    contrast = CONTRASTS[name](rng, WIDE)
    return contrast / contrast[: len(BRAIN) - 1].abs().max()


def source_name(rng: torch.Generator, flair: int = SOURCES["flair"].often) -> str:
    """Draw the contrast of a source, a FLAIR as often as is said."""
    tickets = [name for name, row in SOURCES.items() for _ in range(flair if name == "flair" else row.often)]
    return tickets[int(torch.randint(len(tickets), (), generator=rng))]


def _field(slab: Tensor, voxel: int, rng: torch.Generator) -> Tensor:
    """Unevenness that all contrasts of a subject share, standard deviation about 1 in solid tissue, none in fluid."""
    shape = tuple(slab.shape[1:])
    uneven = 0.7 * smooth_noise(max(2.5 / voxel, 1.0), shape, rng)[0] + 0.7 * smooth_noise(8.0 / voxel, shape, rng)[0]
    return uneven * (1 - slab[WIDE.index("csf")])


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


def _acquire(
    slab: Tensor, coarse: Tensor, contrast: Tensor, inside: Tensor, rng: torch.Generator, voxel: int, shown: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scan the slab; the whole volume's percentiles and key come from a coarse copy of it.

    Third and fourth result are the field that all contrasts share and the sensitivity of the coils.
    """
    noise = uniform(0.0, 0.07, rng) if uniform(0, 1, rng) < 0.8 else 0.0
    grain, unevenness, gamma = uniform(0, 0.05, rng), uniform(0, 0.15, rng), float(torch.exp(0.15 * torch.randn((), generator=rng)))
    thickness = uniform(1.5, 6.0, rng) if uniform(0, 1, rng) < 0.4 else 1.0

    def scan(clean: Tensor, blurred: bool) -> tuple[Tensor, Tensor]:
        scanned = EFFECTS["texture"].apply(clean, grain, rng)
        if blurred and thickness > voxel:
            scanned = EFFECTS["thick slices"].apply(scanned, thickness / voxel, rng)
        if blurred and voxel == 1:
            scanned = _faulty(scanned, rng)
        coil = EFFECTS["bias"].apply(torch.ones_like(scanned), unevenness, rng)
        return EFFECTS["rician"].apply(scanned * coil, noise, rng).clamp_min(0) ** gamma, coil**gamma

    whole, brain = scan(image(coarse, contrast), False)[0], coarse.sum(0) > 0.5
    field = _field(slab, voxel, rng)
    low, high = np.percentile(whole[brain].cpu().numpy(), [0.5, 99.5])
    span = max(float(high - low), 1e-3)
    key = _key(((whole - low) / span).clamp(0, 1) * brain)
    scanned, coil = scan(image(slab, contrast) * (1 + shown * field), True)
    return ((scanned - low) / span).clamp(0, 1) * inside, key, field, coil / coil[inside > 0].mean()


def _faulty(image: Tensor, rng: torch.Generator) -> Tensor:
    """Let each fault happen to a few scans."""
    for name, (low, high) in FAULTS.items():
        if uniform(0, 1, rng) < FAULTY:
            image = EFFECTS[name].apply(image, uniform(low, high, rng), rng)
    return image


def _aim(
    slab: Tensor, coarse: Tensor, look: Tensor, inside: Tensor, rng: torch.Generator, uneven: Tensor, coil: Tensor
) -> tuple[Tensor, Tensor]:
    """The wished look: free of noise on the slab, and of all bias but that of coils it shares; with a scan's noise and bias in the key."""
    gamma = float(torch.exp(0.15 * torch.randn((), generator=rng)))
    scanned, high = look_of(coarse, look, gamma, rng)
    clean = (image(slab, look) * (1 + uneven)).clamp_min(0) ** gamma * coil
    return (clean / high).clamp(0, 1) * inside, _key(scanned)


def look_of(shares: Tensor, look: Tensor, gamma: float, rng: torch.Generator) -> tuple[Tensor, float]:
    """Scan a subject in a look, with the noise and bias that real target volumes have.

    Parameters
    ----------
    shares : (tissues, i, j, k) float32
        Shares 0..1.
    look : (tissues,) float32
        Means, brightest about 1.
    gamma : float
        Exponent on the signal.

    Returns
    -------
    volume : (i, j, k) float32
        0..1: divided by its 99.5th percentile inside the brain, 0 outside.
    high : float
        That percentile.
    """
    brain = shares.sum(0) > 0.5
    scanned = EFFECTS["texture"].apply(image(shares, look), uniform(0.02, 0.06, rng), rng)
    scanned = EFFECTS["bias"].apply(scanned, uniform(0, 0.12, rng), rng)
    scanned = EFFECTS["rician"].apply(scanned, uniform(0, 0.05, rng), rng).clamp_min(0) ** gamma
    high = max(float(np.percentile(scanned[brain].cpu().numpy(), 99.5)), 1e-3)
    return (scanned / high).clamp(0, 1) * brain, high


def _key(volume: Tensor) -> Tensor:
    """Style key of a volume in 0..1 as the network takes it."""
    return torch.as_tensor(compute(volume.cpu().numpy()).curves.astype(np.float32))
