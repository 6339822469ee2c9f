"""What a network predicts: pairs of pure functions between a prediction and the clean image.

With ``x_t = a x0 + b y + s eps``:

=============  =====================  ==========================
objective      target                 clean image
=============  =====================  ==========================
GRAD           x_t - x0               x_t - prediction
NOISE          eps                    (x_t - b y - s prediction) / a
DIFFERENCE     y - x0                 y - prediction
VELOCITY       a eps - s x0           a x_t - s prediction
CLEAN          x0                     prediction
=============  =====================  ==========================

"grad" and "difference" (upstream "ysubx") are those of Li et al., CVPR 2023, "noise" is that of Ho et al., 2020, and "velocity" that
of Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", ICLR 2022 (appendix D), which holds
where a^2 + s^2 = 1 and b = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_harmonize.diffusion.path import Coefficients

    Mixing = Coefficients[float] | Coefficients[Tensor]


@dataclass(frozen=True)
class Objective:
    """What a prediction means.

    Parameters
    ----------
    target : callable
        ``target(c, x0, y, eps)``: what the network should say; all (batch, channels, ...).
    x0 : callable
        ``x0(c, prediction, x_t, y)``: the clean image the network's answer stands for.
    """

    target: Callable[[Mixing, Tensor, Tensor | None, Tensor], Tensor]
    x0: Callable[[Mixing, Tensor, Tensor, Tensor | None], Tensor]


def mix(c: Mixing, x0: Tensor, y: Tensor | None, eps: Tensor) -> Tensor:
    """Forward process ``x_t = a x0 + b y + s eps``; y may be absent where b is 0."""
    return c.a * x0 + c.s * eps if y is None else c.a * x0 + c.b * y + c.s * eps


def residual(c: Mixing, x_t: Tensor, x0: Tensor, y: Tensor | None) -> Tensor:
    """Noise part ``s eps = x_t - a x0 - b y`` that explains x_t."""
    return x_t - c.a * x0 if y is None else x_t - c.a * x0 - c.b * y


def _source(y: Tensor | None) -> Tensor:
    if y is None:
        raise SettingsError('The objective "difference" is measured from the source', "no source arrived", "Use a bridge")
    return y


def _noise_to_x0(c: Mixing, prediction: Tensor, x_t: Tensor, y: Tensor | None) -> Tensor:
    noise_free = x_t - c.s * prediction
    return noise_free / c.a if y is None else (noise_free - c.b * y) / c.a


GRAD = Objective(
    target=lambda c, x0, y, eps: mix(c, x0, y, eps) - x0,
    x0=lambda c, prediction, x_t, y: x_t - prediction,
)
NOISE = Objective(target=lambda c, x0, y, eps: eps, x0=_noise_to_x0)
DIFFERENCE = Objective(
    target=lambda c, x0, y, eps: _source(y) - x0,
    x0=lambda c, prediction, x_t, y: _source(y) - prediction,
)
VELOCITY = Objective(
    target=lambda c, x0, y, eps: c.a * eps - c.s * x0,
    x0=lambda c, prediction, x_t, y: c.a * x_t - c.s * prediction,
)
CLEAN = Objective(target=lambda c, x0, y, eps: x0, x0=lambda c, prediction, x_t, y: prediction)
