"""Adversarial training of one-pass generators: Pix2Pix and CUT, as in the spine system of Graf et al. 2023.

Least-squares adversaries: the discriminator D is drawn to 1 for real and 0 for made images, the generator to 1 for its own. For CUT,
features of the generator at the same place of source and result are to match, and at other places not to (PatchNCE).

Papers: Isola et al., CVPR 2017; Park et al., ECCV 2020; Mao et al., ICCV 2017 (least squares).

Symbols: y source, x0 target, G(y) made image, q and k features of made image and source, tau temperature.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_harmonize.errors import TrainingError
from napari_harmonize.translation.plan import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_harmonize.condition import Condition
    from napari_harmonize.training.examples import Batch
    from napari_harmonize.training.settings import AdversarySettings
    from napari_harmonize.translation import Recipe

BETAS = (0.5, 0.999)
FEATURES = 256


class Discriminator(nn.Sequential):
    """Strided convolutions down to one number for each image.

    Parameters
    ----------
    dimensions : int
        Sides of an image, 2 or 3.
    channels : int
        Image channels it sees.
    width, depth : int
        Feature channels of the first layer, and how often the resolution is halved.
    """

    def __init__(self, dimensions: int, channels: int, width: int, depth: int) -> None:
        convolution: Any = nn.Conv2d if dimensions == 2 else nn.Conv3d
        norm: Any = nn.InstanceNorm2d if dimensions == 2 else nn.InstanceNorm3d
        layers: list[nn.Module] = [convolution(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(depth - 1):
            wide = width * 2**level
            layers += [convolution(wide, 2 * wide, 4, 2, 1), norm(2 * wide), nn.LeakyReLU(0.2)]
        super().__init__(*layers, convolution(width * 2 ** (depth - 1), 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Judge images (B, channels, ...); (B,) back."""
        for layer in self:
            x = layer(x)
        return x.flatten(1).mean(1)


class Adversary:
    """The judge of a generator, with its own optimiser.

    Parameters
    ----------
    recipe : Recipe
        The generator's.
    settings : AdversarySettings
        Kind and weights.
    generator : torch.nn.Module
        The network that is judged; asked once to learn how wide its features are.
    rate : float
        Learning rate at the start.
    seed : int
        Of its first weights.

    Raises
    ------
    TrainingError
        The recipe's network does not answer in one pass, or lacks a layer whose features are to be matched.
    """

    def __init__(self, recipe: Recipe, settings: AdversarySettings, generator: nn.Module, rate: float, seed: int) -> None:
        if path_of(recipe).kind != "direct":
            raise TrainingError(
                "An adversary judges generators that answer in one pass",
                f"this model walks a path ({recipe.path})",
                'Set its kind to "none"',
            )
        self.settings = settings
        self._generator = generator
        channels = (2 * recipe.radius + 1) * (2 if settings.kind == "pix2pix" else 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.judge = Discriminator(recipe.dimensions, channels, settings.width, settings.depth)
            self.heads = nn.ModuleList(_head(width) for width in self._widths(generator, recipe))
        self.optimiser = torch.optim.Adam(self.judge.parameters(), lr=rate, betas=BETAS)
        self.matcher = torch.optim.Adam(self.heads.parameters(), lr=rate, betas=BETAS) if len(self.heads) else None

    @property
    def layers(self) -> tuple[str, ...]:
        """Modules whose features are matched; none for pix2pix."""
        return tuple(name.strip() for name in self.settings.layers.split(",")) if self.settings.kind == "cut" else ()

    def to(self, device: torch.device) -> Adversary:
        """Bring its networks to a device."""
        self.judge.to(device)
        self.heads.to(device)
        return self

    def state_dict(self) -> dict[str, Any]:
        """Everything a killed run needs to go on."""
        return {name: part.state_dict() for name, part in self._parts()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from there."""
        for name, part in self._parts():
            part.load_state_dict(saved[name])

    def _parts(self) -> list[tuple[str, Any]]:
        parts = [("judge", self.judge), ("heads", self.heads), ("optimiser", self.optimiser), ("matcher", self.matcher)]
        return [(name, part) for name, part in parts if part is not None]

    def generator_loss(self, generator: nn.Module, batch: Batch, made: Tensor, distance: Tensor, rng: torch.Generator) -> Tensor:
        """Loss of the generator: to be taken for real, and near the target (pix2pix) or true to the source's places (cut).

        Parameters
        ----------
        generator : torch.nn.Module
            The network, wrapped as training calls it; asked again for features where they are matched.
        batch : Batch
            Source and target.
        made : (B, C, ...) Tensor
            Its images.
        distance : scalar Tensor
            Loss of the criterion.
        rng : torch.Generator
            Chance for the places that are matched.
        """
        fooled = self.settings.weight * (self._judged(made, batch.y) - 1).square().mean()
        if self.settings.kind == "pix2pix":
            return fooled + self.settings.paired * distance
        matched = self._matched(generator, made, batch.y, batch.condition, rng)
        if self.settings.identity:
            same = generator(batch.x0, torch.zeros(len(made), device=made.device), batch.condition)
            matched = (matched + self._matched(generator, same, batch.x0, batch.condition, rng)) / 2
        return fooled + self.settings.matching * matched

    def learn(self, batch: Batch, made: Tensor, rate: float) -> float:
        """Let the heads learn what the generator's loss told them, and the judge from images made before the generator's step.

        Returns
        -------
        float
            The judge's loss.
        """
        for optimiser in (self.optimiser, self.matcher):
            for group in optimiser.param_groups if optimiser else ():
                group["lr"] = rate
        if self.matcher is not None:
            self.matcher.step()
            self.matcher.zero_grad()
        self.optimiser.zero_grad()
        loss = 0.5 * (self._judged(batch.x0, batch.y) - 1).square().mean() + 0.5 * self._judged(made.detach(), batch.y).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

    def _judged(self, image: Tensor, source: Tensor) -> Tensor:
        seen = torch.cat([image, source], dim=1) if self.settings.kind == "pix2pix" else image
        judged: Tensor = self.judge(seen)
        return judged

    def _widths(self, generator: nn.Module, recipe: Recipe) -> list[int]:
        if not self.layers:
            return []
        facts: Any = generator
        sides = [max(2 * facts.multiple, getattr(facts, "least", 1))] * recipe.dimensions
        probe = torch.zeros(1, 2 * recipe.radius + 1, *sides)
        with torch.no_grad(), _listening(generator, self.layers) as heard:
            generator(probe, torch.zeros(1), None)
        return [part.shape[1] for part in heard]

    def _matched(self, generator: nn.Module, made: Tensor, source: Tensor, condition: Condition, rng: torch.Generator) -> Tensor:
        """PatchNCE over the listed layers: every place of the made image finds its own among the places of its source."""
        time = torch.zeros(len(made), device=made.device)
        with _listening(self._generator, self.layers) as queries:
            generator(made, time, condition)
        with torch.no_grad(), _listening(self._generator, self.layers) as keys:
            generator(source, time, condition)
        total = made.new_zeros(())
        for head, query, key in zip(self.heads, queries, keys, strict=True):
            q, k = query.flatten(2).transpose(1, 2), key.detach().flatten(2).transpose(1, 2)  # (B, places, features)
            places = torch.randperm(q.shape[1], generator=rng)[: self.settings.patches].to(q.device)
            total = total + _contrast(
                F.normalize(head(q[:, places]), dim=-1), F.normalize(head(k[:, places]), dim=-1), self.settings.temperature
            )
        return total / len(self.heads)


def _head(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, FEATURES), nn.ReLU(), nn.Linear(FEATURES, FEATURES))


def _contrast(q: Tensor, k: Tensor, temperature: float) -> Tensor:
    """Cross entropy of finding one's own place, (B, places, features) each, of unit length."""
    logits = q @ k.transpose(1, 2) / temperature
    own = torch.arange(q.shape[1], device=q.device).expand(len(q), -1)
    return F.cross_entropy(logits.flatten(0, 1), own.flatten())


@contextmanager
def _listening(network: nn.Module, names: tuple[str, ...]) -> Iterator[list[Tensor]]:
    """Keep what some modules answer while the network is asked."""
    known = dict(network.named_modules())
    missing = [name for name in names if name not in known]
    if missing:
        raise TrainingError("Features are those of the generator's modules", f"it has none called {', '.join(missing)}", "Name others")
    heard: list[Tensor] = []
    hooks = [known[name].register_forward_hook(lambda module, inputs, output: heard.append(output)) for name in names]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()
