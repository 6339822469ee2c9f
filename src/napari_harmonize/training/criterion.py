"""One step's loss, for every family alike: time and noise are drawn, the network is asked, its answer compared.

Symbols: x0 target, y source, t time, a, b, s weights of the path, x_t = a x0 + b y + s eps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from napari_harmonize.condition import Condition
from napari_harmonize.diffusion import OBJECTIVES
from napari_harmonize.diffusion.objective import mix
from napari_harmonize.diffusion.path import Indexed
from napari_harmonize.diffusion.sampling import coefficients
from napari_harmonize.errors import TrainingError
from napari_harmonize.training.losses import LOSSES, min_snr, ssim_loss, variance_loss, weighted_mean
from napari_harmonize.translation.plan import path_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from napari_harmonize.diffusion.path import Coefficients, Path
    from napari_harmonize.training.examples import Batch
    from napari_harmonize.training.settings import FitSettings
    from napari_harmonize.translation import Recipe

WEIGHABLE = ("noise", "velocity", "clean")


class Outcome(NamedTuple):
    """Mean loss, a scalar, and the clean images the network's answers stand for, (B, C, ...)."""

    loss: Tensor
    x0: Tensor


@dataclass(frozen=True, eq=False)
class Criterion:
    """The loss of a recipe.

    Parameters
    ----------
    recipe : Recipe
        Path, objective and conditioning.
    settings : FitSettings
        Distance and weights.

    Raises
    ------
    TrainingError
        The settings ask for what the recipe's path or network cannot give.
    """

    recipe: Recipe
    settings: FitSettings

    def __post_init__(self) -> None:
        path, weighed = path_of(self.recipe), self.settings.weighting != "none"
        if weighed and (path.kind != "diffusion" or self.recipe.objective not in WEIGHABLE):
            raise TrainingError(
                f"Min-SNR weighs diffusions that predict {', '.join(WEIGHABLE)}",
                f"the model has a {path.kind} path and predicts {self.recipe.objective}",
                'Set weighting to "none"',
            )
        if self.recipe.learns_variance and not (path.kind == "diffusion" and isinstance(path, Indexed)):
            raise TrainingError("A variance is learnt on a diffusion whose times are indices", f"the path is {self.recipe.path}")
        if self.settings.drop and not self.recipe.dropped:
            raise TrainingError(
                "Conditions are dropped where the recipe says so",
                "its entry dropped is false",
                "Set it to true, so that guidance will be allowed, or drop none",
            )

    def __call__(self, network: nn.Module, batch: Batch, rng: torch.Generator) -> Outcome:
        """Draw times and noise, ask the network, and compare its answer; chance comes from ``rng``, which lives on the processor."""
        path, objective = path_of(self.recipe), OBJECTIVES[self.recipe.objective].load()
        t = draw_times(path, len(batch.x0), rng)
        noise = torch.randn(batch.x0.shape, generator=rng).to(batch.x0)
        c = coefficients(path, t, batch.x0)
        x_t = batch.y if path.kind == "direct" else mix(c, batch.x0, batch.y, noise)
        answer = network(x_t, told(path, t).to(x_t.device), self._dropping(batch.condition, len(t), rng)).float()
        prediction, fraction = answer[:, : x_t.shape[1]], answer[:, x_t.shape[1] :]
        losses = self._compared(prediction, objective.target(c, batch.x0, batch.y, noise), batch.inside, c)
        x0 = objective.x0(c, prediction, x_t, batch.y)
        if self.settings.ssim:
            losses = losses + self.settings.ssim * ssim_loss(x0, batch.x0, 1 - self.recipe.low)
        if self.recipe.learns_variance:
            losses = losses + self.settings.variance * self._variance(path, t, fraction, x0 - batch.x0)
        return Outcome(losses.mean(), x0)

    def _compared(self, prediction: Tensor, target: Tensor, inside: Tensor, c: Coefficients[Tensor]) -> Tensor:
        """Weighted distance of each item."""
        weight = inside + self.settings.outside * (1 - inside)
        losses = weighted_mean(LOSSES[self.settings.loss](prediction, target), weight)
        weighed = self.settings.weighting == "min-snr"
        return losses * min_snr(c, self.recipe.objective, self.settings.gamma) if weighed else losses

    def _dropping(self, condition: Condition, count: int, rng: torch.Generator) -> Condition:
        """Drop the conditions of some items."""
        if not self.settings.drop:
            return condition
        kept = (torch.rand(count, generator=rng) >= self.settings.drop).float()

        def keep(part: Tensor | None) -> Tensor | None:
            return None if part is None else part * kept.to(part).reshape(-1, *(1 for _ in part.shape[1:]))

        return Condition(keep(condition.source), condition.style, condition.source_style, keep(condition.position))

    def _variance(self, path: Path, t: Tensor, fraction: Tensor, error: Tensor) -> Tensor:
        """Loss of the learnt variance; times where the two limits meet count from the next one on."""
        t = t.clamp_min(1)
        now, before = coefficients(path, t, error), coefficients(path, t - 1, error)
        high = one_step(now, before)
        low = high * before.s.square() / now.s.square()
        return variance_loss(fraction, error * high * before.a / now.s.square(), (low, high))


def one_step(now: Coefficients[Tensor], before: Coefficients[Tensor]) -> Tensor:
    """Variance the forward process adds between two neighbouring times, ``s_t^2 - s_{t-1}^2 (a_t / a_{t-1})^2``."""
    return now.s.square() - before.s.square() * (now.a / before.a).square()


def draw_times(path: Path, count: int, rng: torch.Generator) -> Tensor:
    """Times of a batch: any index, or any moment of continuous time."""
    if isinstance(path, Indexed):
        return torch.randint(path.T, (count,), generator=rng)
    return (
        torch.rand(count, generator=rng, dtype=torch.float64) * path.last
        if path.kind != "direct"
        else torch.zeros(count, dtype=torch.int64)
    )


def told(path: Path, t: Tensor) -> Tensor:
    """What the network hears: indices as whole numbers, anything else as float32."""
    values = [path.told(value) for value in t.tolist()]
    return torch.tensor(values, dtype=torch.int64 if all(isinstance(value, int) for value in values) else torch.float32)
