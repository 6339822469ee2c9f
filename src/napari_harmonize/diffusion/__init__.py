"""The maths: paths, objectives, samplers, slice consistency; tensors in, tensors out.

The tables say what there is without loading torch; ``load()`` gives the thing itself.
"""

from __future__ import annotations

from typing import Any

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
    "log-snr": SpacingRow(
        "Indices at about equal steps of the log-SNR, close together at both ends of a bridge.", (*_BRIDGE, *_DIFFUSION), "spacing:log_snr"
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


def _from_noise(text: str, steps: int, where: str, **facts: Any) -> SamplerRow:
    """Row of a sampler that walks a diffusion, and so begins in noise."""
    return SamplerRow(text, _DIFFUSION, (1, 1000), steps, where, random_start=True, **facts)


SAMPLERS: dict[str, SamplerRow] = {
    "bridge": SamplerRow(
        "Bridge with the right spread at every eta; without noise at eta 0.", _BRIDGE, (1, 1000), 10, "rules:UNIFIED", takes_eta=True
    ),
    "bridge-published": SamplerRow(
        "Bridge exactly as the released code walks it.", _BRIDGE, (3, 1000), 50, "rules:PUBLISHED", takes_eta=True, order=0
    ),
    "bridge-2": SamplerRow(
        "Bridge of second order: each step goes on as the one before; for few steps.",
        _BRIDGE,
        (1, 1000),
        10,
        "solvers:BRIDGE_2",
        spacing="log-snr",
        order=2,
    ),
    "ddpm": _from_noise("DDPM with the smaller fixed variance.", 100, "rules:DDPM", order=0),
    "ddpm-large": _from_noise("DDPM with the larger fixed variance.", 100, "rules:DDPM_LARGE", order=0),
    "ddpm-learned": _from_noise("DDPM with the variance the network predicts.", 100, "rules:DDPM_LEARNED", learned_variance=True, order=0),
    "ddim": _from_noise("DDIM at eta 0, DDPM at eta 1.", 50, "rules:UNIFIED", takes_eta=True),
    "dpm-1": _from_noise("DPM-Solver of first order, which is DDIM at eta 0.", 50, "rules:DDIM"),
    "dpm-2": _from_noise("DPM-Solver of second order.", 20, "solvers:DPM_2", passes=2, order=2),
    "dpm-3": _from_noise("DPM-Solver of third order.", 15, "solvers:DPM_3", passes=3, order=3),
    "dpm++2s": _from_noise("DPM-Solver++ of second order in two evaluations.", 20, "solvers:DPM_PP_2S", passes=2, order=2),
    "dpm++2m": _from_noise("DPM-Solver++ of second order; each step goes on as the one before.", 20, "solvers:MULTISTEP", order=2),
    "heun": _from_noise("Heun's rule on the probability-flow equation.", 20, "solvers:HEUN", passes=2, order=2),
    "ddim-graf": _from_noise(
        "DDIM as Graf et al. released it for networks that predict the image: noise of the wrong sign, which alone is guided.",
        25,
        "rules:DDIM_GRAF",
        takes_eta=True,
        spacing="strided",
        order=0,
    ),
    "addim-xmodality": _from_noise(
        "DDIM with stretched noise as Koch et al. released it; the number of slices matters.",
        50,
        "rules:ADDIM_XMODALITY",
        order=0,
    ),
    "dpm3-xmodality": _from_noise(
        "DPM-Solver of third order with the errors Koch et al. released it with.", 50, "solvers:DPM_3_XMODALITY", passes=3, order=0
    ),
    "one-pass": SamplerRow("The network's one answer to the source.", _DIRECT, (1, 1), 1, "rules:UNIFIED", order=0),
}
