"""What may be chosen about training on a table of pairs. Nothing here needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from napari_harmonize.settings import Settings, setting

LOSS_NAMES = ("l1", "l2")


@dataclass(frozen=True)
class Augmentation(Settings):
    """How training examples are varied."""

    jitter: float = setting(0.2, help="Brightness and contrast of the source vary by up to this share.", low=0, high=0.9)
    elastic: float = setting(0.0, help="Standard deviation of the elastic deformation.", unit="voxels", low=0, high=20)
    spacing: int = setting(24, help="Distance of the points that an elastic deformation moves.", unit="voxels", low=2, high=256)
    mirror: bool = setting(True, help="Mirror left to right half of the time.")
    crop: int = setting(0, help="Rows and columns of a training slice; 0 for the whole.", unit="voxels", low=0, high=4096)


@dataclass(frozen=True)
class AdversarySettings(Settings):
    """A second network that tells real targets from made ones, for generators that answer in one pass."""

    kind: str = setting(
        "none",
        help='"pix2pix": it sees source and target together, beside the distance to the true target (Isola et al. 2017); '
        '"cut": it sees the target alone, and patches of source and result are matched instead of any distance (Park et al. 2020).',
        choices=("none", "pix2pix", "cut"),
    )
    weight: float = setting(1.0, help="Weight of being taken for real.", low=0, high=100)
    paired: float = setting(10.0, help="Weight of the distance to the true target, for pix2pix.", low=0, high=1000)
    width: int = setting(64, help="Feature channels of its first layer.", low=4, high=1024)
    depth: int = setting(3, help="Its layers that halve the resolution.", low=1, high=8)
    matching: float = setting(1.0, help="Weight of matched patches (PatchNCE), for cut.", low=0, high=100)
    layers: str = setting(
        "model.0, model.4, model.8, model.12, model.16", help="Modules of the generator whose features are matched, for cut; with commas."
    )
    patches: int = setting(256, help="Places of an image that are matched.", low=2, high=65536)
    temperature: float = setting(0.07, help="Sharpness of the matching; small is sharp.", low=1e-3, high=10)
    identity: bool = setting(True, help="Match targets with their own translation too, for cut.")


@dataclass(frozen=True)
class FitSettings(Settings):
    """How a network is trained on pairs."""

    steps: int = setting(20000, help="Optimiser steps.", low=1, high=100_000_000)
    batch: int = setting(8, help="Stacks of slices, or patches, in one step.", low=1, high=4096)
    rate: float = setting(1e-4, help="Highest learning rate.", low=0, high=1)
    warm_up: int = setting(100, help="Steps until the highest learning rate.", low=1, high=1_000_000)
    decay: float = setting(0.999, help="Decay of the moving average of the weights, which is what is kept.", low=0, high=1)
    clip_norm: float = setting(1.0, help="Longest gradient; longer ones are shortened.", low=1e-6, high=1e6)
    loss: str = setting("l1", help="Distance between prediction and target.", choices=LOSS_NAMES)
    weighting: str = setting("none", help="Weight of the times of a diffusion.", choices=("none", "min-snr"))
    gamma: float = setting(5.0, help="Largest signal-to-noise ratio that counts, for min-snr.", low=0.1, high=1000)
    ssim: float = setting(0.0, help="Weight of 1 - SSIM of the predicted clean image.", low=0, high=100)
    variance: float = setting(0.001, help="Weight of the loss of a learnt variance.", low=0, high=10)
    drop: float = setting(0.0, help="Share of examples whose conditions are dropped, for guidance.", low=0, high=0.9)
    outside: float = setting(0.1, help="Weight of voxels outside the mask.", low=0, high=1)
    adapters: int = setting(
        0, help="Rank of low-rank adapters, for fine-tuning a model on few pairs; 0 trains all weights (Hu et al. 2022).", low=0, high=1024
    )
    adversary: AdversarySettings = setting(AdversarySettings, help="A second network that judges the first.")
    augmentation: Augmentation = setting(Augmentation, help="How examples are varied.")
    validate: int = setting(1000, help="Steps between two validations.", low=1, high=10_000_000)
    cases: int = setting(4, help="Validation pairs that are translated each time.", low=0, high=1000)
    validation_steps: int = setting(
        10, help="Sampler steps of a validation; fewer than the model's own where that is less.", low=1, high=1000
    )
    save: int = setting(500, help="Steps between two checkpoints.", low=1, high=10_000_000)
    report: int = setting(50, help="Steps between two reports.", low=1, high=1_000_000)
    seed: int = setting(0, help="Number all chance comes from.", low=0, high=2**62)
    device: str = setting("auto", help="Where it trains.", choices=("auto", "cpu", "cuda", "mps"))
    devices: int = setting(1, help="Graphics cards that train together.", low=1, high=1024)
    precision: str = setting("32-true", help="Number format of the arithmetic.", choices=("32-true", "bf16-mixed"))
    threads: int = setting(0, help="Processor threads; 0 leaves the number as it is.", low=0, high=1024)

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return warm_cosine(step, self.steps, self.rate, self.warm_up)


def warm_cosine(step: int, steps: int, highest: float, warm_up: int) -> float:
    """Learning rate that rises linearly and falls along half a cosine, down to a hundredth."""
    if step < warm_up:
        return highest * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return highest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
