"""Contrast harmonisation (Durrer et al. 2023, Tables 1 to 3)."""

from __future__ import annotations

from napari_harmonize.findings.claims import Claim
from napari_harmonize.findings.columns import TISSUE
from napari_harmonize.findings.section import Section
from napari_harmonize.findings.ways import Way

ORIGINAL, DIFFUSION = "original", "diffusion model"
MATCHED, MATCHED_PEEKS = "histogram matching to another subject", "histogram matching to the truth (peeks)"
STEPS, FULL_STEPS = 25, 1000
WORDS = {"csf": "fluid", "grey": "grey matter", "white": "white matter"}


def ways(task: str, full: bool) -> tuple[Way, ...]:
    """Untouched, matched, translated."""
    return (
        Way(ORIGINAL, "baseline:identity"),
        Way(MATCHED, "baseline:histogram-matching", reference=True),
        Way(MATCHED_PEEKS, "baseline:histogram-matching"),
        Way(DIFFUSION, task, {"steps": FULL_STEPS if full else STEPS}),
    )


def claims(task: str, full: bool) -> tuple[Claim, ...]:
    """Where the paper's diffusion model is better than the untouched scan, number by number."""
    tables = {"mse": "Table 1", "ahd": "Table 1", "volume-difference": "Table 2", "hausdorff": "Table 3", "dice": "Table 3"}
    found = [("mse", "mean squared error"), ("ahd", "histogram difference")]
    for name, title in (("volume-difference", "volume difference"), ("hausdorff", "Hausdorff distance")):
        found += [(f"{name}-{tissue}", f"{title} of {word}") for tissue, word in WORDS.items()]
    improved = ("grey", "white") if task == "1p5t-to-3t" else ("white",)
    found += [(f"dice-{tissue}", f"Dice of {WORDS[tissue]}") for tissue in improved]

    def table(number: str) -> str:
        return next(where for name, where in tables.items() if number.startswith(name))

    return tuple(
        Claim(f"Translating improves the {title}.", f"Durrer et al., {table(number)}", number, DIFFUSION, ORIGINAL)
        for number, title in found
    )


SECTION = Section(
    "Contrast harmonisation",
    "A conditional diffusion model of single slices for each direction, against the untouched scan and histogram matching. Tissues are "
    "those of this project's own segmentation (mixture of normal distributions with a Markov field) of result and truth, over the whole "
    "brain. The paper sampled 1000 steps and compared two GANs besides.",
    "Durrer et al., Tables 1 to 3",
    ("1p5t-to-3t", "3t-to-1p5t"),
    ("mse", "ahd", *TISSUE),
    ways,
    claims,
    whole=True,
    differs=(
        "The paper's subjects were scanned twice, on two machines. Here the original is simulated on the same grid from the same tissues "
        "and differs from the truth by contrast, noise and coils: its tissues are segmented nearly as those of the truth, and a "
        "translation can hardly come closer.",
        "The network is small, works on 2 mm voxels and was trained for minutes: what it blurs moves the borders between tissues, which "
        "tissue volumes, Dice and Hausdorff distances count, while the tone, which the histogram counts, comes nearer.",
    ),
)
