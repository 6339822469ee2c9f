"""What can be set about paths and about the slice-consistency correction.

Symbols: :class:`BridgeSettings`, :class:`LinearBetaSettings`, :class:`CosineBetaSettings`, :class:`LogSnrSettings`,
:class:`DirectSettings`, :class:`Correction`. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import Settings, setting

SCHEDULES = ("linear", "sin", "control")
LOG_SNRS = ("cosine", "shifted-cosine", "sigmoid", "linear")


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

    @classmethod
    def scaled(cls, steps: int) -> LinearBetaSettings:
        """Keep the noise of the usual 1000 steps: 1e-4 and 0.02 times ``1000 / steps``.

        Raises
        ------
        SettingsError
            20 steps or fewer: the last would add a variance of 1 or more and leave nothing of the image.
        """
        if steps <= 20:
            raise SettingsError(
                "A linear schedule scaled to its number of steps has more than 20",
                f"{steps} arrived, whose last step leaves nothing of the image",
                "Take a model trained in more steps, and sample it in fewer",
            )
        return cls(steps, 0.1 / steps, 20 / steps)


@dataclass(frozen=True)
class CosineBetaSettings(Settings):
    """Variance-preserving diffusion whose signal falls as a squared cosine (Nichol and Dhariwal 2021)."""

    steps: int = setting(1000, help="Number of time steps the model was trained with.", low=3, high=100_000)
    offset: float = setting(0.008, help="Keeps the first steps from adding too little noise (s).", low=0.0, high=1.0)
    cap: float = setting(0.999, help="Most variance a step may add.", low=1e-3, high=1 - 1e-9)


@dataclass(frozen=True)
class LogSnrSettings(Settings):
    """Variance-preserving diffusion in continuous time 0..1, whose network is told the log-SNR."""

    schedule: str = setting(
        "cosine",
        help='How the log-SNR falls with time: "cosine" from 15 to -15; "shifted-cosine", the same lowered for large images; '
        '"sigmoid", a signal weight that falls as a logistic curve; "linear", a signal weight of 1 - t.',
        choices=LOG_SNRS,
    )
    size: int = setting(32, help="Image size whose noise is matched at 256 pixels, for the shifted cosine.", unit="px", low=1, high=4096)
    tau: float = setting(0.5, help="Width of the logistic curve, for the sigmoid; small is steep.", low=1e-3, high=10.0)


@dataclass(frozen=True)
class DirectSettings(Settings):
    """No path: the network answers once, from the source. Nothing can be set."""


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
