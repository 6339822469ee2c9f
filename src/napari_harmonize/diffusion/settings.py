"""What can be set about paths and about the slice-consistency correction.

Symbols: :class:`BridgeSettings`, :class:`LinearBetaSettings`, :class:`Correction`. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_harmonize.settings import Settings, setting

SCHEDULES = ("linear", "sin", "control")


@dataclass(frozen=True)
class BridgeSettings(Settings):
    """A Brownian bridge from the source (t = T - 1) to the target (t = 0)."""

    schedule: str = setting(
        "linear",
        help='How m rises with time: "linear" from 0.001 to 0.999; "sin", which in truth is the exponential 1.0075^u and '
        'keeps the name its authors gave it; "control", a quarter of a sine wave.',
        choices=SCHEDULES,
    )
    steps: int = setting(1000, help="Number of time steps the model was trained with.", low=3, high=100_000)
    max_var: float = setting(1.0, help="Factor on the variance of the bridge.", low=1e-6, high=1e6)


@dataclass(frozen=True)
class LinearBetaSettings(Settings):
    """Variance-preserving diffusion with linearly rising noise (Ho et al. 2020)."""

    steps: int = setting(1000, help="Number of time steps the model was trained with.", low=3, high=100_000)
    first: float = setting(1e-4, help="Variance added by the first step.", low=1e-8, high=0.5)
    last: float = setting(0.02, help="Variance added by the last step.", low=1e-8, high=0.999)


@dataclass(frozen=True)
class Correction(Settings):
    """Correction between the steps that pulls overlapping stacks together (Choo et al. 2024, equation 5)."""

    repeats: int = setting(1, help="Corrections after each step but the last (M); each costs one more evaluation.", low=1, high=10)
    weight: float = setting(0.5, help="Length of a correction (lambda).", low=0.0, high=1000.0)
    scale: str = setting(
        "released",
        help='"released": step divided by the squared norm of the score and multiplied by the square root of the number of '
        'pixels, as the released code does; "published": multiplied by the number of pixels, as the paper says.',
        choices=("released", "published"),
    )
    score: str = setting(
        "average",
        help='"average": the score averaged over all stacks that cover a slice; "centre": only that of the stack centred on it.',
        choices=("average", "centre"),
    )
