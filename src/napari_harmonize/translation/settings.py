"""What a user may choose for one translation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from napari_harmonize.diffusion import SAMPLERS, SPACINGS, Correction
from napari_harmonize.diffusion.settings import LOG_SNRS
from napari_harmonize.settings import Settings, setting

CONSISTENCY = ("none", "co-prediction", "co-prediction+correction", "three planes", "three planes+correction")
OWN = "own"


__all__ = ["CONSISTENCY", "Correction", "Defaults", "TranslationSettings"]


def _samplers() -> tuple[str, ...]:
    return tuple(SAMPLERS)


def _spacings() -> tuple[str, ...]:
    return (OWN, *SPACINGS)


@dataclass(frozen=True)
class TranslationSettings(Settings):
    """Everything a translation may be asked; written by the window, read by the command line."""

    model: str = setting("", help="Name of a built-in model, or folder or .zip of a model package; empty for the default model.")
    sampler: str = setting("bridge", help="Rule that walks from the source to the result.", choices=_samplers)
    steps: int = setting(10, help="Sampler steps.", low=1, high=10000)
    eta: float = setting(0.0, help="Share of fresh noise in every step; 0 is deterministic.", low=0, high=1)
    seed: int = setting(0, help="Seed of the noise; without effect where no noise is drawn.", low=0, high=2**31 - 1)
    consistency: str = setting("co-prediction", help="How neighbouring slices are kept consistent.", choices=CONSISTENCY)
    correction: Correction = setting(Correction, help="Details of the correction, where it is asked for.")
    clip: bool = setting(False, help="Clip every predicted clean image to the range of the data.")
    guidance: float = setting(0.0, help="Weight of classifier-free guidance (w); 0 is without. Twice the work.", low=0, high=20)
    spacing: str = setting(OWN, help='How the times of the steps are listed; "own" is the sampler\'s own way.', choices=_spacings)
    schedule: str = setting(
        OWN,
        help='How noise falls in continuous time, in place of the schedule the model was trained with; "own" is the model\'s.',
        choices=(OWN, *LOG_SNRS),
    )
    device: str = setting("auto", help="Where the network runs.", choices=("auto", "cpu", "cuda", "mps"))
    precision: str = setting("auto", help="Number format of the network's arithmetic.", choices=("auto", "float32", "bfloat16"))
    batch: int = setting(0, help="Slices computed together; 0 chooses what fits.", unit="slices", low=0, high=4096)
    threads: int = setting(0, help="Processor threads of the network; 0 leaves the number as it is.", low=0, high=1024)

    @property
    def time_list(self) -> str:
        """Name of the time list, empty where the sampler's own is asked for."""
        return "" if self.spacing == OWN else self.spacing

    @property
    def corrects(self) -> bool:
        """Whether the correction is asked for."""
        return self.consistency.endswith("+correction")

    @property
    def corrections(self) -> int:
        """Corrections after every step but the last."""
        return self.correction.repeats if self.corrects else 0

    @property
    def three_planes(self) -> bool:
        """Whether the network is asked along all three axes."""
        return self.consistency.startswith("three planes")


@dataclass(frozen=True)
class Defaults(Settings):
    """The settings a model starts with; part of its recipe."""

    sampler: str = setting("bridge", help="Rule that walks from the source to the result.", choices=_samplers)
    steps: int = setting(10, help="Sampler steps.", low=1, high=10000)
    eta: float = setting(0.0, help="Share of fresh noise in every step.", low=0, high=1)
    consistency: str = setting("co-prediction", help="How neighbouring slices are kept consistent.", choices=CONSISTENCY)
    correction: Correction = setting(Correction, help="Details of the correction, where it is asked for.")
    clip: bool = setting(False, help="Clip every predicted clean image to the range of the data.")
    guidance: float = setting(0.0, help="Weight of classifier-free guidance (w).", low=0, high=20)
    spacing: str = setting(OWN, help='How the times of the steps are listed; "own" is the sampler\'s own way.', choices=_spacings)

    def settings(self, model: str = "") -> TranslationSettings:
        """Make the settings a translation with this model starts from."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return TranslationSettings(model=model, **values)
