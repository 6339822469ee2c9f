"""Brains of the user's own: T1 scans with brain masks, segmented and laid where the template's brain lies.

Only the box around a brain is laid over that of the template's, axis by axis in world coordinates; nothing is registered. Heads should
be upright in the scanner's axes, within some ten degrees, and whole. Size and proportions of a brain are lost with it; subjects get
new ones by the ``scale`` of their settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from napari_harmonize.device import here
from napari_harmonize.errors import ReadError, Undefined, VolumeError
from napari_harmonize.events import Job, Note, Progress, Stage
from napari_harmonize.simulate.anatomy import Anatomy, largest_piece
from napari_harmonize.simulate.template import CANVAS, divided
from napari_harmonize.tissue import segment
from napari_harmonize.volumes import Volume, from_array, read, resample_onto
from napari_harmonize.volumes.files import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_harmonize.tissue import Segmentation

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh")
MASK = "_mask"
BOX = ((8, 153), (5, 186), (2, 157))
"""First voxel of the template's brain on the canvas, and the one behind its last, along each axis."""
MILLILITRES = (300, 2500)
STRETCH = (0.6, 1.5)
"""How long a brain may be along an axis against the template's."""
LEAST = 0.1
KEPT = 64
"""Brains held in memory, of 20 MB each."""


@dataclass(frozen=True)
class Scan:
    """One scan of the folder; scans of the same content are equal.

    Parameters
    ----------
    path : Path
        The scan.
    mask : Path, optional
        Where its brain is; without it the brain is where the scan is above 0.
    content : str
        SHA-256 of both files.
    """

    path: Path = field(compare=False)
    mask: Path | None = field(compare=False)
    content: str

    @property
    def name(self) -> str:
        """Base name of the scan, with its suffix."""
        return self.path.name


def scans(folder: str | Path) -> tuple[Scan, ...]:
    """List the scans of a folder, sorted by name.

    Parameters
    ----------
    folder : str or Path
        Holds NAME.nii.gz and NAME_mask.nii.gz, or .nii, .mgz, .mgh; a scan without a mask must be stripped.

    Raises
    ------
    ReadError
        There is no such folder, it holds no scan, or a mask has no scan.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReadError(
            "Brains of your own are read from a folder of T1 scans", f"there is no folder {folder.name!r}", "Check the path of --anatomies"
        )
    files = {stem: path for path in sorted(folder.iterdir()) if path.is_file() and (stem := _stem(path))}
    named = {stem: files.get(f"{stem}{MASK}") for stem in sorted(files) if not stem.endswith(MASK)}
    lonely = [path.name for stem, path in files.items() if stem.endswith(MASK) and stem.removesuffix(MASK) not in named]
    if lonely:
        raise ReadError(
            "A mask is called after its scan: NAME_mask.nii.gz beside NAME.nii.gz", f"{lonely[0]} has no scan", "Rename one of the two"
        )
    if not named:
        raise ReadError(
            "A folder of brains of your own holds T1 scans",
            f"{folder.name or 'this folder'} has no file that ends with {', '.join(SUFFIXES)}",
            "Put NAME.nii.gz and NAME_mask.nii.gz there",
        )
    return tuple(_scan(files[stem], mask) for stem, mask in named.items())


def content(folder: str | Path) -> str:
    """SHA-256 of what the scans of a folder hold, in their order."""
    return digest("\n".join(scan.content for scan in scans(folder)).encode())


def unmasked(found: Iterable[Scan]) -> tuple[str, ...]:
    """One sentence for every scan without a mask."""
    return tuple(
        f"{scan.name} has no mask, so its brain is where it is above 0: it must be stripped of skull and scalp"
        for scan in found
        if scan.mask is None
    )


def own_anatomy(folder: str | Path, index: int) -> Anatomy:
    """Give the brain that a subject is a warp of.

    Parameters
    ----------
    folder : str or Path
        As :func:`scans` takes it.
    index : int
        Number of the subject; it gets the scan of this number modulo how many there are.

    Raises
    ------
    HarmonizeError
        The folder or the scan cannot be used.
    """
    found = scans(folder)
    return Anatomy(tissue_maps(found[index % len(found)]))


def tissue_maps(scan: Scan) -> Tensor:
    """Shares of cerebrospinal fluid, grey, white and deep grey matter; kept in memory by the content of the files.

    Returns
    -------
    (4, 160, 192, 160) float32
        As ``template.tissue_maps`` gives them, in steps of 1/255 as the template's are.

    Raises
    ------
    HarmonizeError
        A file cannot be read, the mask does not hold one brain, or the scan does not look like a T1.
    """
    kept = _segmented(scan).to(here()).float() / 255
    return kept / kept.sum(0).clamp_min(1e-3)


def prepare(folder: str, first: int, count: int) -> Job[None]:
    """Segment the scans that some subjects need, before anything is written; nothing where there is no folder.

    Parameters
    ----------
    folder : str
        As :func:`scans` takes it; empty for the template.
    first, count : int
        Numbers of the subjects.

    Yields
    ------
    Event
        A note for every scan without a mask, and progress in scans.

    Raises
    ------
    HarmonizeError
        The folder or a scan cannot be used.
    """
    if not folder or count < 1:
        return
    found = scans(folder)
    needed = [found[index % len(found)] for index in range(first, first + min(count, len(found)))]
    for sentence in unmasked(needed):
        yield Note(sentence)
    yield Stage("Segmenting", f"{len(needed)} scans")
    for done, scan in enumerate(needed, 1):
        _segmented(scan)
        yield Progress(done, len(needed), "scans")


def _stem(path: Path) -> str:
    """Name without the suffix of a volume; empty where it has none."""
    return next((path.name[: -len(suffix)] for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


def _scan(path: Path, mask: Path | None) -> Scan:
    return Scan(path, mask, digest("".join(_file_digest(file) for file in (path, mask) if file is not None).encode()))


def _file_digest(path: Path) -> str:
    state = path.stat()
    return _digest_of(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _digest_of(path: Path, changed: int, size: int) -> str:
    """SHA-256 of a file, read again where its time or size is another."""
    return digest(path.read_bytes())


@lru_cache(maxsize=KEPT)
def _segmented(scan: Scan) -> Tensor:
    """Tissue maps in 255ths, (4, 160, 192, 160) uint8."""
    volume = read(scan.path)
    inside = _brain(scan, volume)
    canvas = _canvas(scan, volume, inside)
    try:
        found = segment(volume.data, inside, volume.spacing)
    except Undefined as error:
        raise VolumeError(
            "A brain of your own is a T1 scan with three tissues",
            f"of the values of {scan.name}, {error.arrived}",
            "Take it out of the folder",
        ) from error
    _refuse_other_contrasts(scan, found, inside, volume)
    shares = [torch.as_tensor(np.array(resample_onto(from_array(part, volume.affine), canvas).data)) for part in found.shares]
    return (divided(*shares) * 255).round().to(torch.uint8).cpu()


def _brain(scan: Scan, volume: Volume) -> NDArray[np.bool_]:
    """Largest piece of the mask, on the scan's grid."""
    inside = np.asarray(volume.data if scan.mask is None else resample_onto(read(scan.mask), volume, order=0).data) > 0
    if not inside.any():
        name = scan.name if scan.mask is None else scan.mask.name
        raise VolumeError(
            "A brain mask has voxels above 0 where its scan lies",
            f"{name} has none",
            "Make the mask again, or take both away",
        )
    inside = largest_piece(torch.from_numpy(inside)).cpu().numpy()
    millilitres = float(inside.sum() * abs(np.linalg.det(volume.affine[:3, :3])) / 1000)
    if not MILLILITRES[0] <= millilitres <= MILLILITRES[1]:
        raise VolumeError(
            f"A brain holds {MILLILITRES[0]} to {MILLILITRES[1]} ml",
            f"that of {scan.name} holds {millilitres:.0f} ml{', being all that is above 0' if scan.mask is None else ''}",
            f"Give the brain's mask as {_stem(scan.path)}{MASK}.nii.gz",
        )
    return inside


def _canvas(scan: Scan, volume: Volume, inside: NDArray[np.bool_]) -> Volume:
    """The canvas in the scan's world: voxels as large as make the brain's box that of the template."""
    places = np.argwhere(inside) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    half = np.abs(volume.affine[:3, :3]).sum(1) / 2
    low, high = places.min(0) - half, places.max(0) + half
    first, behind = np.array(BOX, float).T
    size = (high - low) / (behind - first)
    if size.min() < STRETCH[0] or size.max() > STRETCH[1]:
        measured = " x ".join(f"{length:.0f}" for length in high - low)
        raise VolumeError(
            f"A whole brain is {STRETCH[0]:g} to {STRETCH[1]:g} times as long as the template's, which measures 145 x 181 x 155 mm",
            f"that of {scan.name} measures {measured} mm",
            "Give a whole brain that is upright in the scanner's axes",
        )
    affine = np.diag([*size, 1.0])
    affine[:3, 3] = low - size * (first - 0.5)
    return from_array(np.zeros(CANVAS, np.uint8), affine)


def _refuse_other_contrasts(scan: Scan, found: Segmentation, inside: NDArray[np.bool_], volume: Volume) -> None:
    """In a T1 the brightest tissue lies deepest: in T2, FLAIR and CT that is not so."""
    depth: NDArray[Any] = ndimage.distance_transform_edt(inside, sampling=volume.spacing)
    labels = [found.labels == number for number in (1, 2, 3)]
    shares = [float(part.sum()) / float(inside.sum()) for part in labels]
    fluid, grey, white = (float(depth[part].mean()) if part.any() else 0.0 for part in labels)
    if white > max(fluid, grey) and min(shares[1:]) > LEAST:
        return
    words = ", ".join(f"{name} {share:.0%} at {mm:.1f} mm" for name, share, mm in zip(WORDS, shares, (fluid, grey, white), strict=True))
    raise VolumeError(
        "A brain of your own is a T1 scan, whose brightest tissue is white matter and lies deepest",
        f"{scan.name} has, as share of the brain and mean depth: {words}",
        "Take it out of the folder, or give a T1 of the same person",
    )


WORDS = ("dark", "middle", "bright")
