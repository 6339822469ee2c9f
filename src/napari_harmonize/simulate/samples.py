"""The three sample pairs: ``python -m napari_harmonize.simulate.samples FOLDER`` makes them again, byte for byte.

Their subjects come from a seed no training run uses.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from napari_harmonize.simulate.anatomy import AnatomySettings, generator, largest_piece, subject
from napari_harmonize.simulate.contrast import image, means
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.simulate.head import MARGIN, whole_head
from napari_harmonize.simulate.relaxation import BRAIN, HEAD
from napari_harmonize.simulate.signal import MPRAGE_1P5T, MPRAGE_3T, Ct, Flair, Sequence
from napari_harmonize.simulate.template import affine
from napari_harmonize.volumes import Header, Meaning, from_array, write

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 1962


@dataclass(frozen=True)
class Scan:
    """One acquisition: the sequence and how imperfect it is.

    Parameters
    ----------
    sequence : Sequence
        What sets the contrast.
    modality : str
        What the user reads.
    noise : float
        Share of the brightest brain tissue; HU for CT.
    bias : float
        Standard deviation of the logarithm of the coil's unevenness.
    """

    sequence: Sequence
    modality: str
    noise: float
    bias: float = 0.0


@dataclass(frozen=True)
class Pair:
    """One sample: who, scanned how."""

    title: str
    index: int
    source: Scan
    target: Scan
    head: bool = False


PAIRS = {
    "1p5t-to-3t": Pair("MPRAGE at 1.5 T and at 3 T", 3, Scan(MPRAGE_1P5T, "T1", 0.045, 0.06), Scan(MPRAGE_3T, "T1", 0.025, 0.04)),
    "ct-to-t1": Pair("CT and T1 of a whole head", 9, Scan(Ct(), "CT", 4.0), Scan(MPRAGE_3T, "T1", 0.025, 0.04), head=True),
    "flair-to-t1": Pair("FLAIR and T1 with lesions", 4, Scan(Flair(), "FLAIR", 0.035, 0.06), Scan(MPRAGE_3T, "T1", 0.025, 0.04)),
}


def shares_of(pair: Pair) -> tuple[Tensor, Tensor]:
    """Tissue shares and brain mask of a sample's subject, on a canvas that fits them."""
    lesions = 1.0 if pair.source.modality == "FLAIR" else 0.0
    brain = subject(AnatomySettings(lesions=lesions, remnants=0.0, atrophy=2.0), SEED, pair.index)
    inside = largest_piece(brain.sum(0) > 0.5)
    brain = brain * inside
    if not pair.head:
        return brain, inside
    return whole_head(brain, generator(SEED, pair.index, 1)), torch.nn.functional.pad(inside, (MARGIN,) * 6)


def scan(shares: Tensor, inside: Tensor, how: Scan, rng: torch.Generator) -> np.ndarray:
    """Acquire one volume; the air around the patient is made empty, as scanners and stripping do.

    Returns
    -------
    (i, j, k) int16 or uint8
        HU for CT; otherwise 0..255, 230 near the brightest voxels of the brain.
    """
    contrast = means(how.sequence, HEAD if len(shares) == len(HEAD) else BRAIN)
    body = inside if len(shares) == len(BRAIN) else shares.sum(0) > 0.02
    textured = EFFECTS["texture"].apply(image(shares, contrast), 0.02, rng)
    if isinstance(how.sequence, Ct):
        hounsfield = textured - 1000 * (1 - shares.sum(0))
        noisy = torch.where(body, EFFECTS["gaussian"].apply(hounsfield, how.noise, rng), -1000.0)
        return noisy.round().clamp(-1024, 3071).numpy().astype(np.int16)
    scanned = EFFECTS["bias"].apply(textured / contrast[:5].max(), how.bias, rng)
    scanned = EFFECTS["rician"].apply(scanned, how.noise, rng) * body
    return (scanned / float(np.percentile(scanned[inside].numpy(), 99.5)) * 230).round().clamp(0, 255).numpy().astype(np.uint8)


def make(name: str, folder: Path) -> None:
    """Write source, target and mask of one sample into ``folder/name``."""
    pair = PAIRS[name]
    shares, inside = shares_of(pair)
    box = tuple(slice(*span) for span in _box(shares.sum(0) > 0.02))
    place = affine()
    place[:3, 3] += [part.start - (MARGIN if pair.head else 0) for part in box]
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    header = Header(format="nifti", qform_code=1, sform_code=1)
    # two scans of one person share nothing that is chance
    for which, how, draw in (("source", pair.source, 6), ("target", pair.target, 8)):
        data = scan(shares, inside, how, generator(SEED, pair.index, draw))[box]
        meaning = Meaning.HU if how.modality == "CT" else Meaning.ARBITRARY
        volume = from_array(data, place, meaning=meaning, modality=how.modality, name=which, header=header)
        write(volume, home / f"{which}.nii.gz", description=f"SYNTHETIC simulated {how.modality}, not a patient")
    mask = from_array(inside[box].numpy().astype(np.uint8), place, name="mask", header=header)
    write(mask, home / "mask.nii.gz", description="SYNTHETIC brain mask")


def _box(inside: Tensor) -> list[tuple[int, int]]:
    """First and one past last voxel along each axis, three voxels wider."""
    spans = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        line = inside.sum(dim=others).nonzero()
        spans.append((max(0, int(line[0]) - 3), min(inside.shape[axis], int(line[-1]) + 4)))
    return spans


def main(folder: Path, each: Callable[[str], None] = lambda name: None) -> None:
    """Write all samples, telling each name before it is made."""
    torch.set_num_threads(1)  # sums in another order would change the last bits
    for name in PAIRS:
        each(name)
        make(name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
