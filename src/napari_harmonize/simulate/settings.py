"""What may be chosen about simulated pairs. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_harmonize.settings import Settings, setting

MIXED_NAMES = (
    "mprage",
    "t1-spin-echo",
    "t2",
    "proton-density",
    "flair",
    "ct",
    "anything",
    "t2-turbo",
    "gradient-echo",
    "t2-star",
)
"""What a mixed contrast is drawn among; a name that is added here changes the pairs of every seed."""
CONTRAST_NAMES = (*MIXED_NAMES, "mprage-3t", "mprage-1p5t")
MIXED = "mixed"


@dataclass(frozen=True)
class SubjectSettings(Settings):
    """Who is scanned: how far subjects differ from the template, and what may be wrong with them."""

    rotation: float = setting(8.0, help="Standard deviation of the head's rotation about each axis.", unit="degrees", low=0, high=45)
    scale: float = setting(0.06, help="Standard deviation of the head's size along each axis.", low=0, high=0.3)
    deformation: float = setting(1.0, help="Strength of the smooth deformation.", low=0, high=3)
    atrophy: float = setting(3.0, help="Largest widening of the sulci, in log-odds of fluid.", low=0, high=6)
    ventricles: float = setting(4.0, help="Largest further widening of the ventricles.", unit="mm", low=0, high=12)
    asymmetry: float = setting(3.0, help="Standard deviation of how far one half is pushed against the other.", unit="mm", low=0, high=8)
    hyperintensities: float = setting(0.5, help="Share of subjects with white-matter hyperintensities.", low=0, high=1)
    cavities: float = setting(0.2, help="Share of subjects with lacunes or cavities of old strokes.", low=0, high=1)
    infarcts: float = setting(0.15, help="Share of subjects with a fresh infarct.", low=0, high=1)
    tumours: float = setting(0.15, help="Share of subjects with a tumour and its oedema.", low=0, high=1)
    remnants: float = setting(0.5, help="Share of subjects with remnants of meninges after stripping.", low=0, high=1)
    skull: float = setting(0.15, help="Share of subjects with patches of skull that stripping left.", low=0, high=1)
    scalp: float = setting(0.1, help="Share of subjects with patches of scalp that stripping left.", low=0, high=1)
    corners: float = setting(0.15, help="Share of subjects of whom a corner lies outside the field of view.", low=0, high=1)
    anatomies: str = setting("", help="Folder of T1 scans with brain masks, whose brains subjects are warps of; the template where empty.")


@dataclass(frozen=True)
class AcquisitionSettings(Settings):
    """How imperfect a scan may be: the largest strength of every effect; none where it is 0."""

    share: float = setting(0.4, help="Share of scans that each effect happens to.", low=0, high=1)
    texture: float = setting(0.05, help="Unevenness of tissue, as a share of its signal.", low=0, high=0.5)
    thickness: float = setting(7.0, help="Slice thickness.", unit="mm", low=0, high=12)
    oblique: float = setting(0.3, help="Share of thick slices that are tilted.", low=0, high=1)
    pixels: float = setting(2.0, help="Size of a pixel within a slice.", unit="mm", low=0, high=6)
    blur: float = setting(1.5, help="Blur at one end of a gradient of sharpness, standard deviation.", unit="mm", low=0, high=6)
    gibbs: float = setting(0.4, help="Share of the lines of k-space that are cut off.", low=0, high=0.8)
    motion: float = setting(1.2, help="Movement during an MR scan.", unit="mm", low=0, high=10)
    ghosting: float = setting(0.12, help="Signal of ghosts, as a share.", low=0, high=1)
    bias: float = setting(0.2, help="Coil unevenness, standard deviation of the logarithm.", low=0, high=2)
    noise: float = setting(0.07, help="Noise of an MR scan, as a share of the brightest tissue.", low=0, high=0.5)
    beam: float = setting(6.0, help="Noise of a CT scan.", unit="HU", low=0, high=100)
    steps: float = setting(0.02, help="Step between grey values of an MR scan, as a share of the brightest tissue.", low=0, high=0.2)


@dataclass(frozen=True)
class SimulationSettings(Settings):
    """Which pairs are made."""

    seed: int = setting(0, help="Number all chance comes from.", low=0, high=2**62)
    first: int = setting(0, help="Number of the first pair; each pair depends on the seed and its own number alone.", low=0, high=2**40)
    source: str = setting(MIXED, help="Contrast of the sources; mixed draws one for each pair.", choices=(*CONTRAST_NAMES, MIXED))
    target: str = setting("mprage", help="Contrast of the targets.", choices=(*CONTRAST_NAMES, MIXED))
    voxel: int = setting(1, help="Voxel size of what is written.", unit="mm", low=1, high=8)
    head: bool = setting(False, help="Keep skull and scalp instead of stripping them.")
    clean: bool = setting(True, help="Leave targets free of all imperfections but a little texture and noise.")
    validation: float = setting(0.2, help="Share of the pairs that the table keeps for validation.", low=0, high=1)
    device: str = setting("auto", help="Where pairs are computed; they are the same but for rounding.", choices=("auto", "cpu", "cuda"))
    threads: int = setting(1, help="Processor threads; 0 leaves the number as it is.", low=0, high=1024)
    subject: SubjectSettings = setting(SubjectSettings, help="Who is scanned.")
    acquisition: AcquisitionSettings = setting(AcquisitionSettings, help="How imperfect a scan may be.")
