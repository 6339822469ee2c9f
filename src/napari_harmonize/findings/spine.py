"""Noise and image mode, η, steps, guidance, dimensions (Graf et al. 2023, Tables 1 and S.1)."""

from __future__ import annotations

from napari_harmonize.findings.claims import Claim
from napari_harmonize.findings.section import Section
from napari_harmonize.findings.ways import Way

MODES = {"noise": "compare-ddim-noise", "image": "compare-ddim-image"}
SETTINGS = ((1.0, 20, 0.0), (0.0, 20, 0.0), (1.0, 10, 0.0), (1.0, 50, 0.0), (1.0, 20, 1.0), (1.0, 20, 2.0))
"""η, steps t and guidance weight w, the first being those of Table 1."""
VOLUMES, PIX2PIX = "DDIM 3D, image", "Pix2Pix"
MAIN, MORE = "Graf et al., Table 1", "Graf et al., Table S.1"


def named(mode: str, eta: float, steps: int, weight: float) -> str:
    """Name of a row."""
    return f"DDIM, {mode}, η {eta:g}, t {steps}, w {weight:g}"


def ways(task: str, full: bool) -> tuple[Way, ...]:
    """The rows of Table S.1 that there are models for; the same in the standard and the full form."""
    found = [Way("source as it is", "baseline:identity"), Way(PIX2PIX, "compare-pix2pix")]
    found += [
        Way(named(mode, *chosen), model, {"sampler": "ddim", "eta": chosen[0], "steps": chosen[1], "guidance": chosen[2]})
        for mode, model in MODES.items()
        for chosen in SETTINGS
    ]
    found.append(Way(VOLUMES, "compare-ddim-3d", {"sampler": "ddim", "eta": 1.0, "steps": 25}))
    return tuple(found)


def claims(task: str, full: bool) -> tuple[Claim, ...]:
    """What is told apart by the tables in both of the paper's contrasts, or said in its text."""
    image, noise = ({chosen: named(mode, *chosen) for chosen in SETTINGS} for mode in ("image", "noise"))
    usual, plain, ten, fifty, one, two = SETTINGS
    return (
        Claim("Image mode has a better PSNR than noise mode.", MAIN, "psnr", image[usual], noise[usual]),
        Claim("Image mode has a better SSIM than noise mode.", MAIN, "ssim", image[usual], noise[usual]),
        Claim("Image mode has a better PSNR than Pix2Pix.", MAIN, "psnr", image[usual], PIX2PIX),
        Claim("In image mode η 0 has a better SSIM than η 1.", MORE, "ssim", image[plain], image[usual]),
        Claim("In noise mode η 0 has a worse PSNR than η 1.", MORE, "psnr", noise[usual], noise[plain]),
        Claim("In image mode t 10 has no worse a PSNR than t 20.", MORE, "psnr", image[ten], image[usual], strict=False),
        Claim("In image mode t 50 has a worse PSNR than t 20.", MORE, "psnr", image[usual], image[fifty]),
        Claim("In image mode guidance of w 1 lowers the PSNR.", MORE, "psnr", image[usual], image[one]),
        Claim("In image mode w 2 lowers it further.", MORE, "psnr", image[one], image[two]),
        Claim("In noise mode guidance of w 1 lowers the PSNR.", MORE, "psnr", noise[usual], noise[one]),
        Claim("In noise mode w 2 lowers it further.", MORE, "psnr", noise[one], noise[two]),
        Claim("3D has a lower PSNR than 2D.", MAIN, "psnr", image[usual], VOLUMES),
        Claim("3D has a higher visual information fidelity than 2D.", MAIN, "vif", VOLUMES, image[usual]),
    )


SECTION = Section(
    "Noise and image mode, two and three dimensions",
    "Diffusion networks that predict the noise or the image, by DDIM. The paper makes CT of spine MR; no spine is simulated here, so FLAIR "
    "to T1 stands for that task, and what the paper finds in segmented vertebrae cannot be measured.",
    "Graf et al., Tables 1 and S.1",
    ("flair-to-t1",),
    ("mae", "mse", "psnr", "ssim", "vif"),
    ways,
    claims,
    costs=True,
    differs=(
        "The task is another: FLAIR to T1 of the head, where nothing bright and rigid like a vertebra has to be kept.",
        "Networks trained for minutes: at the steps at which image mode makes a picture, noise mode does not yet, and whatever smooths its "
        "answer, such as guidance, brings it nearer.",
        "The 3D network sees patches of 16 × 48 × 48 voxels and has half the weights of the 2D one. In the standard form it translates a "
        "slab one patch thick, in whose middle the measured slices lie; only the full form has slices at the seams of patches too.",
    ),
)
