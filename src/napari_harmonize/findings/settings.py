"""What may be chosen about a benchmark. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from napari_harmonize.settings import Settings, setting


@dataclass(frozen=True)
class BenchmarkSettings(Settings):
    """How much is measured, and where."""

    subjects: int = setting(20, help="Simulated subjects of every task.", low=2, high=1000)
    full: bool = setting(False, help="Whole volumes and the papers' numbers of steps, for a graphics card.")
    slices: int = setting(
        8, help="Neighbouring axial slices measured of a subject, where a section does not need the whole.", low=7, high=512
    )
    seed: int = setting(0, help="Seed of the noise; every subject adds its number.", low=0, high=2**30)
    device: str = setting("auto", help="Where networks run.", choices=("auto", "cpu", "cuda", "mps"))
    threads: int = setting(0, help="Processor threads of the network; 0 leaves the number as it is.", low=0, high=1024)
    anatomies: str = setting(
        "", help="Folder of T1 scans with brain masks, whose brains the simulated subjects are warps of; the template where empty."
    )
    vit: str = setting("", help="File of the published ViT-B/16 weights (.npz) for the Fréchet distance; scattering features without.")
