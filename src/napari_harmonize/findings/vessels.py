"""Networks, samplers, steps and schedules (Koch et al. 2025, Tables 1 and 2, Figures 3, 4 and A.7)."""

from __future__ import annotations

from napari_harmonize.findings.claims import Claim
from napari_harmonize.findings.columns import FRECHET
from napari_harmonize.findings.section import Section
from napari_harmonize.findings.ways import TRUTH, Way

UNET, PLAIN = "U-Net, one pass", "diffusion U-Net"
FAMILIES = {"ADM": "compare-adm", "U-ViT": "compare-uvit", "DiT": "compare-dit"}
SAMPLERS = {"DDPM": "ddpm", "DDIM": "ddim"}
STEPS, FULL_STEPS = (16, 32, 64), (16, 32, 64, 128, 256, 1000)
SCHEDULES = ("shifted-cosine", "sigmoid")
SWAPPED, FULL_SWAPPED = 32, 128
"""Steps at which schedules are exchanged; among those above."""


def named(family: str, sampler: str, steps: int) -> str:
    """Name of a row."""
    return f"{family}, {sampler}, {steps} steps"


def swapped(schedule: str, steps: int) -> str:
    """Name of a row with another schedule."""
    return f"ADM, DDPM, {steps} steps, {schedule} schedule"


def ways(task: str, full: bool) -> tuple[Way, ...]:
    """One pass, every network by every sampler and number of steps, and other schedules."""
    counts = FULL_STEPS if full else STEPS
    found = [Way(TRUTH, TRUTH), Way("source as it is", "baseline:identity"), Way(UNET, "compare-regression")]
    found.append(Way(PLAIN, "compare-unet"))
    found += [
        Way(named(family, title, steps), model, {"sampler": sampler, "steps": steps, "eta": 0.0}, curve=f"{family}, {title}")
        for family, model in FAMILIES.items()
        for title, sampler in SAMPLERS.items()
        for steps in counts
    ]
    middle = FULL_SWAPPED if full else SWAPPED
    found += [Way(swapped(name, middle), FAMILIES["ADM"], {"sampler": "ddpm", "steps": middle, "schedule": name}) for name in SCHEDULES]
    return tuple(found)


def claims(task: str, full: bool) -> tuple[Claim, ...]:
    """What the tables and figures say, at the largest number of steps where none is named."""
    counts = FULL_STEPS if full else STEPS
    few, most, middle = counts[0], counts[-1], FULL_SWAPPED if full else SWAPPED
    found = []
    for family in FAMILIES:
        best = named(family, "DDPM", most)
        found.append(Claim(f"The U-Net of one pass has a better PSNR than {family}.", "Koch et al., Table 1", "slice-psnr", UNET, best))
        found.append(Claim(f"{family} has a lower Fréchet distance than the U-Net.", "Koch et al., Table 1", FRECHET, best, UNET))
        found.append(
            Claim(f"More steps lower the Fréchet distance of {family}.", "Koch et al., Figure 3", FRECHET, best, named(family, "DDPM", few))
        )
    for family in ("ADM", "U-ViT"):
        pair = (named(family, "DDIM", most), named(family, "DDPM", most))
        found.append(Claim(f"DDIM lowers the Fréchet distance of {family}.", "Koch et al., Table 1", FRECHET, *pair))
    pair = (named("DiT", "DDPM", most), named("DiT", "DDIM", most))
    found.append(Claim("DDIM raises the Fréchet distance of DiT.", "Koch et al., Table 1", FRECHET, *pair))
    pair = (named("ADM", "DDPM", few), named("ADM", "DDPM", most))
    found.append(Claim("More steps lower the SSIM of ADM.", "Koch et al., Figure 4", "slice-ssim", *pair))
    own = named("ADM", "DDPM", middle)
    found += [
        Claim(f"The {name} schedule improves the PSNR of ADM.", "Koch et al., Figure A.7", "slice-psnr", swapped(name, middle), own)
        for name in SCHEDULES
    ]
    return tuple(found)


SECTION = Section(
    "Networks, samplers and steps",
    "A U-Net of one pass against diffusion with ADM, U-ViT and DiT, all small. The paper translates angiographies into CTA; no vessels are "
    "simulated here, so FLAIR to T1 stands for that task. Numbers of slices are those of the paper's code: whole slices in 0..1, a "
    "Gaussian window for SSIM.",
    "Koch et al., Tables 1 and 2, Figures 3, 4 and A.7",
    ("flair-to-t1",),
    ("slice-mse", "slice-mae", "slice-psnr", "slice-ssim", "psnr", "ssim", FRECHET),
    ways,
    claims,
    costs=True,
    differs=(
        "Networks trained for minutes are far from what they could learn. Their samples differ from real pictures by more than the blur "
        "of a one-pass network does, so the distance of features, which in the paper rewards sharpness, need not do so here.",
        "The features are those of wavelet scattering, not of a trained ViT, and eight slices of each subject are few for a Fréchet "
        "distance.",
    ),
)
