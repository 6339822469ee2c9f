"""The maths: paths, objectives, samplers, slice consistency; tensors in, tensors out.

The tables say what there is without loading torch; ``load()`` gives the thing itself.
"""

from __future__ import annotations

from napari_harmonize.diffusion.rows import ObjectiveRow, PathRow, SamplerRow, SpacingRow, evaluations
from napari_harmonize.diffusion.settings import (
    BridgeSettings,
    Correction,
    CosineBetaSettings,
    DirectSettings,
    LinearBetaSettings,
    LogSnrSettings,
)

__all__ = [
    "OBJECTIVES",
    "PATHS",
    "SAMPLERS",
    "SPACINGS",
    "Correction",
    "ObjectiveRow",
    "PathRow",
    "SamplerRow",
    "SpacingRow",
    "evaluations",
]

_BRIDGE, _DIFFUSION, _DIRECT = ("bridge",), ("diffusion",), ("direct",)

SPACINGS: dict[str, SpacingRow] = {
    "usual": SpacingRow(
        "The path's own: the published list of a bridge, equal steps of a diffusion.",
        (*_BRIDGE, *_DIFFUSION, *_DIRECT),
        "spacing:usual",
        indexed=False,
    ),
    "respaced": SpacingRow("Equal fractional strides rounded half to even, as in guided-diffusion.", _DIFFUSION, "spacing:respaced"),
    "strided": SpacingRow(
        "Whole strides from index 0; more steps than asked for where their number does not divide that of the times, and the "
        "noisiest times are left out.",
        _DIFFUSION,
        "spacing:strided",
    ),
}

PATHS: dict[str, PathRow] = {
    "bridge": PathRow("Brownian bridge from the source to the target.", "bridge", BridgeSettings, "schedules:bridge"),
    "linear-beta": PathRow("Diffusion from noise, linear betas.", "diffusion", LinearBetaSettings, "schedules:linear_beta"),
    "cosine-beta": PathRow("Diffusion from noise, a squared cosine of time.", "diffusion", CosineBetaSettings, "schedules:cosine_beta"),
    "log-snr": PathRow(
        "Diffusion from noise in continuous time, given by its log-SNR.", "diffusion", LogSnrSettings, "schedules:log_snr", indexed=False
    ),
    "direct": PathRow("No path: one pass from the source.", "direct", DirectSettings, "schedules:direct", indexed=False),
}

OBJECTIVES: dict[str, ObjectiveRow] = {
    "grad": ObjectiveRow("Noisy image minus clean image.", (*_BRIDGE, *_DIFFUSION), "objective:GRAD"),
    "noise": ObjectiveRow("The noise that was added.", (*_BRIDGE, *_DIFFUSION), "objective:NOISE"),
    "difference": ObjectiveRow('Source minus clean image (upstream "ysubx").', (*_BRIDGE, *_DIRECT), "objective:DIFFERENCE"),
    "velocity": ObjectiveRow("Noise and clean image, weighted by the path.", _DIFFUSION, "objective:VELOCITY"),
    "clean": ObjectiveRow("The clean image itself.", (*_BRIDGE, *_DIFFUSION, *_DIRECT), "objective:CLEAN"),
}

SAMPLERS: dict[str, SamplerRow] = {
    "bridge": SamplerRow(
        "Bridge with the right spread at every eta; without noise at eta 0.", _BRIDGE, (1, 1000), 10, "rules:UNIFIED", takes_eta=True
    ),
    "bridge-published": SamplerRow(
        "Bridge exactly as the released code walks it.", _BRIDGE, (3, 1000), 50, "rules:PUBLISHED", takes_eta=True
    ),
    "ddpm": SamplerRow(
        "Diffusion with the smallest of the two fixed variances.", _DIFFUSION, (1, 1000), 100, "rules:DDPM", random_start=True
    ),
    "ddpm-large": SamplerRow(
        "Diffusion with the largest of the two fixed variances.", _DIFFUSION, (1, 1000), 100, "rules:DDPM_LARGE", random_start=True
    ),
    "ddpm-learned": SamplerRow(
        "Diffusion with the variance the network predicts.",
        _DIFFUSION,
        (1, 1000),
        100,
        "rules:DDPM_LEARNED",
        random_start=True,
        learned_variance=True,
    ),
    "ddim": SamplerRow("DDIM at eta 0, DDPM at eta 1.", _DIFFUSION, (1, 1000), 50, "rules:UNIFIED", random_start=True, takes_eta=True),
    "one-pass": SamplerRow("The network's one answer to the source.", _DIRECT, (1, 1), 1, "rules:UNIFIED"),
}
