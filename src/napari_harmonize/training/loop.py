"""The training job of the bridge: a generator of events like every other job.

Symbols: x0 wished image, y source, m bridge position, s noise, t training step 0..T-1.

Each step is seeded from its own number, so a run that was killed goes on to the same weights. A third of the
steps start from the network's own first guess instead of the truth: the default sampler (η = 0 from y) never adds
noise, and without this the network would meet at sampling what it never met in training.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.condition import Condition
from napari_harmonize.device import choose_device
from napari_harmonize.events import Job, Note, Progress, Stage
from napari_harmonize.settings import Settings, setting
from napari_harmonize.simulate.anatomy import generator
from napari_harmonize.training.ahead import Batches, batches
from napari_harmonize.training.losses import contrast_loss, ssim_loss

if TYPE_CHECKING:
    from pathlib import Path

    from napari_harmonize.diffusion.path import Indexed
    from napari_harmonize.training.ahead import Batch
    from napari_harmonize.training.stream import Stream


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How the network is trained."""

    steps: int = setting(1800, help="Optimiser steps.", low=1, high=10_000_000)
    samples: int = setting(4, help="Simulated pairs in one step.", low=1, high=256)
    rate: float = setting(6e-4, help="Highest learning rate.", low=0, high=1)
    warm_up: int = setting(100, help="Steps until the highest learning rate.", low=1, high=100_000)
    decay: float = setting(0.998, help="Decay of the moving average of the weights.", low=0, high=1)
    first: float = setting(0.5, help="Share of stacks trained at the very start of the bridge.", low=0, high=1)
    own_guess: float = setting(0.2, help="Share of steps that start from the network's own first guess.", low=0, high=1)
    structure: float = setting(0.25, help="Weight of 1 - SSIM beside the absolute error.", low=0, high=10)
    outside: float = setting(0.1, help="Weight of voxels outside the brain in the loss.", low=0, high=1)
    lesions: float = setting(12.0, help="Weight of a lesion's voxels in the loss, beside 1 for the rest of the brain.", low=1, high=1000)
    contrast: float = setting(0.0, help="Weight of a wrong contrast between lesions and what surrounds them.", low=0, high=100)
    seed: int = setting(20261121, help="Number all chance comes from.", low=0, high=2**62)
    threads: int = setting(1, help="Processor threads.", low=1, high=256)
    device: str = setting("cpu", help="Where the network is trained; auto takes CUDA where there is one.", choices=("auto", "cpu", "cuda"))
    workers: int = setting(0, help="Further processes that simulate meanwhile; 0 simulates between the steps.", low=0, high=256)
    report: int = setting(50, help="Steps between two reports.", low=1, high=100_000)
    save: int = setting(250, help="Steps between two checkpoints.", low=1, high=100_000)


@dataclass
class State:
    """Everything a killed run needs to go on."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0

    def save(self, path: Path) -> None:
        """Write a checkpoint; the old one is replaced only when the new one is whole."""
        whole = {"step": self.step, "network": self.network.state_dict(), "average": self.average.state_dict()}
        part = path.with_suffix(".part")
        torch.save({**whole, "optimiser": self.optimiser.state_dict()}, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        saved = torch.load(path, weights_only=True)
        self.step = saved["step"]
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])


def train(network: nn.Module, path: Indexed, stream: Stream, settings: TrainingSettings, checkpoint: Path) -> Job[nn.Module]:
    """Train a network that predicts the clean image, and return the moving average of its weights.

    Parameters
    ----------
    network : nn.Module
        Called as ``network(x_t, t, condition)``.
    path : Path
        The bridge.
    stream : Stream
        Training pairs.
    settings : TrainingSettings
        How to train.
    checkpoint : Path
        Where to keep the state; a run goes on from there if the file exists.

    Yields
    ------
    Event
        Progress after every step, a note with the mean loss and the learning rate at every report.
    """
    torch.set_num_threads(settings.threads)
    device = choose_device(settings.device, auto=("cuda",))
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = State(network, copy.deepcopy(network).requires_grad_(False), torch.optim.AdamW(network.parameters(), weight_decay=1e-3))
    if checkpoint.exists():
        state.load(checkpoint)
    yield Stage("Training", f"{sum(part.numel() for part in network.parameters())} parameters on {device}")
    losses: list[Tensor] = []
    for batch in batches(Batches(stream, settings), state.step, settings.workers, device.type == "cuda"):
        losses.append(_step(state, path, batch, settings, device))
        state.step += 1
        yield Progress(state.step, settings.steps)
        if state.step % settings.report == 0:
            yield Note(f"step {state.step}: loss {float(sum(losses)) / len(losses):.5f}, rate {learning_rate(settings, state.step):.2e}")
            losses.clear()
        if state.step % settings.save == 0 or state.step == settings.steps:
            state.save(checkpoint)
    return state.average


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < settings.warm_up:
        return settings.rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _step(state: State, path: Indexed, batch: Batch, settings: TrainingSettings, device: torch.device) -> Tensor:
    """One optimiser step; returns the loss."""
    rng = generator(settings.seed, state.step, 3)
    x0, y, inside, lesion, style, source_style = (part.to(device, non_blocking=True) for part in batch)
    condition = Condition(y, style, source_style)
    t = _times(len(x0), path.T, settings.first, rng)
    place = [torch.tensor(part, dtype=torch.float32)[t].to(device)[:, None, None, None] for part in (path.a, path.b, path.s)]
    t = t.to(device)
    start, noise = x0, _noise(x0, rng)
    if float(torch.rand((), generator=rng)) < settings.own_guess:
        with torch.no_grad():
            start, noise = state.network(y, torch.full_like(t, path.T - 1), condition), torch.zeros_like(x0)
    a, b, s = place
    x_t = (a * start + b * y + s * noise).contiguous(memory_format=torch.channels_last)
    loss = _loss(state.network(x_t, t, condition), x0, inside, lesion, settings)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(settings, state.step)
    state.optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    _average(state, min(settings.decay, (1 + state.step) / (10 + state.step)))
    measured: Tensor = loss.detach()
    return measured


def _loss(predicted: Tensor, x0: Tensor, inside: Tensor, lesion: Tensor, settings: TrainingSettings) -> Tensor:
    # a lesion is a hundredth of the brain: unweighted, what a reader looks for first would be learnt last
    weight = (inside + settings.outside * (1 - inside)) * (1 + (settings.lesions - 1) * lesion)
    loss = ((predicted - x0).abs() * weight).sum() / weight.sum()
    if settings.structure > 0:
        loss = loss + settings.structure * ssim_loss(predicted, x0, 2.0).mean()
    if settings.contrast > 0:
        loss = loss + settings.contrast * contrast_loss(predicted, x0, lesion, inside).mean()
    return loss


def _noise(like: Tensor, rng: torch.Generator) -> Tensor:
    """Normal noise; on a graphics card from a generator of its own that the step's seeds."""
    if like.device.type == "cpu":
        return torch.randn(like.shape, generator=rng)
    there = torch.Generator(like.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
    return torch.randn(like.shape, generator=there, device=like.device)


def _times(count: int, t_end: int, first: float, rng: torch.Generator) -> Tensor:
    """Uniform times, with a share at the start of the bridge, where the first guess is made."""
    t = torch.randint(t_end, (count,), generator=rng)
    at_start = torch.rand(count, generator=rng) < first
    return torch.where(at_start, torch.full_like(t, t_end - 1), t)


@torch.no_grad()
def _average(state: State, decay: float) -> None:
    for kept, new in zip(state.average.parameters(), state.network.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
