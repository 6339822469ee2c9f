"""The command that makes the built-in model: ``python -m napari_harmonize.training.any_to_t1 FOLDER [PACKAGE] [--plan gpu]``.

It trains on simulated subjects only, goes on where it was stopped, and writes its log beside its checkpoint. Where a package
is given, training starts from its weights. The plan "gpu" is for a graphics card among a dozen cores that simulate for it.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.diffusion.schedules import bridge
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.errors import TrainingError
from napari_harmonize.events import Event, Note, finish
from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.simulate.settings import SubjectSettings
from napari_harmonize.training.ahead import subjects_ahead
from napari_harmonize.training.loop import TrainingSettings, train
from napari_harmonize.training.package import recipe, training_keys, write_package
from napari_harmonize.training.stream import Stream, StreamSettings
from napari_harmonize.translation.package import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)
Phase = tuple[str, TrainingSettings, StreamSettings]
PATH = BridgeSettings(max_var=0.25)
NETWORK = ShuffleUNetSettings(fine=16)
SEED = 20261127
# patches of skull make the rest of a CT black and hide what is to be learnt, so few of them
SUBJECT = SubjectSettings(hyperintensities=0.6, cavities=0.3, infarcts=0.25, tumours=0.2, skull=0.04, scalp=0.06, corners=0.1)
STREAM = StreamSettings(subject=SUBJECT, pool=24, renew=240, aimed=0.4)
# first four times as many slices in 2 mm voxels, which teach what tissue is what, then detail at 1 mm, then coils that scans share
PHASES: tuple[Phase, ...] = (
    ("2 mm", TrainingSettings(steps=700, samples=8, rate=8e-4, seed=SEED), replace(STREAM, voxel=2)),
    ("1 mm", TrainingSettings(steps=2000, seed=SEED + 1), STREAM),
    ("coils", TrainingSettings(steps=800, rate=4e-4, lesions=16, seed=SEED + 2), replace(STREAM, aimed=0.5, coils=1)),
)
GPU = TrainingSettings(samples=16, device="cuda", workers=11, save=500)
GPU_STREAM = replace(STREAM, pool=48, renew=480, stacks=4, aimed=0.5, device="cuda")
GPU_PHASES: tuple[Phase, ...] = (
    ("2 mm", replace(GPU, steps=600, seed=SEED), replace(GPU_STREAM, voxel=2)),
    ("1 mm", replace(GPU, steps=1727, lesions=16, seed=SEED + 1), GPU_STREAM),
    ("coils", replace(GPU, steps=1775, rate=4e-4, lesions=24, seed=SEED + 2), replace(GPU_STREAM, coils=1)),
)
# the contrast of lesions against what surrounds them, on the contrast in which readers look for them
LESIONS: tuple[Phase, ...] = (
    (
        "lesions",
        TrainingSettings(steps=900, rate=3e-4, warm_up=50, decay=0.99, lesions=24, contrast=1, seed=SEED + 31),
        replace(STREAM, pool=14, renew=90, aimed=0.7, coils=1, flair=15),
    ),
)


@dataclass(frozen=True)
class Plan:
    """One way to train.

    Parameters
    ----------
    phases : tuple of (name, TrainingSettings, StreamSettings)
        What is trained, and on what.
    first : float
        Share in the result, 0 to 1, of the weights that training starts with.
    seed : int
        Which endless stream it trains on.
    """

    phases: tuple[Phase, ...]
    first: float = 0.0
    seed: int = SEED


PLANS = {"processor": Plan(PHASES), "gpu": Plan(GPU_PHASES, first=0.5), "lesions": Plan(LESIONS, first=0.25, seed=SEED + 777)}
AHEAD = 2
"""Processes that make subjects for those that simulate."""
KEYS_SEED = 20261126
"""Of the training keys: the look asked for by default stays what it was before the last training."""


def main(folder: Path, plan: Plan = PLANS["processor"], start: str = "") -> ShuffleUNet:
    """Train phase after phase, each from the moving average of the one before, and return the mean of the last two averages.

    Parameters
    ----------
    folder : Path
        Where checkpoints and log go.
    plan : Plan
        What is trained, and on what.
    start : str
        Name or folder of a package whose weights are the first ones.
    """
    torch.manual_seed(SEED)  # the network's first weights
    network: nn.Module = ShuffleUNet(NETWORK)
    if start:
        take_weights(network, load(start).load_network().state_dict())
    pool: dict[int, Tensor] = {}
    averages = [{name: value.clone() for name, value in network.state_dict().items()}]
    for name, settings, stream in plan.phases:
        logger.info("phase %s: %d steps", name, settings.steps)
        checkpoint = folder / f"{name.replace(' ', '')}.pt"
        with _source(Stream(stream, plan.seed, pool), settings, folder) as pairs:
            network = finish(train(network.requires_grad_(), bridge(PATH), pairs, settings, checkpoint), _Listener(time.monotonic()))
        averages.append({name: value.detach().cpu().clone() for name, value in network.state_dict().items()})
    network = network.cpu()
    if not isinstance(network, ShuffleUNet):
        raise TypeError(f"the training job gave back a {type(network).__name__}")
    # the last phase alone gains decibels and loses lesions; half way between it has most of both
    made = between(averages[-2], averages[-1], 0.5) if len(plan.phases) > 1 else averages[-1]
    network.load_state_dict(between(averages[0], made, 1 - plan.first) if start else made)
    return network


def between(one: Mapping[str, Tensor], other: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights between two of one network, with this share of the second."""
    return {name: torch.lerp(value, other[name], share) for name, value in one.items()}


@contextlib.contextmanager
def _source(stream: Stream, training: TrainingSettings, folder: Path) -> Iterator[Stream]:
    """Stream of pairs; where other processes simulate, they find its subjects in a folder, made ahead of them."""
    if not training.workers:
        yield stream
        return
    kept, settings, seed = folder / "subjects", stream.settings, stream.seed
    kept.mkdir(parents=True, exist_ok=True)
    last = training.steps * training.samples // settings.renew + settings.pool
    with subjects_ahead(Stream(replace(settings, device="auto"), seed, kept=kept), last, AHEAD):
        yield Stream(settings, seed, kept=kept)


def take_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Start from the weights of a package, made before or after the branch at full resolution was added.

    Parameters
    ----------
    network : nn.Module
        Changed in place; a branch that the package lacks begins at zero, which changes nothing.
    weights : mapping of str to Tensor
        What the package holds.

    Raises
    ------
    TrainingError
        The package is of another network.
    """
    missing, unknown = network.load_state_dict(weights, strict=False)
    if unknown or any(not name.startswith("fine.") for name in missing):
        raise TrainingError(
            "Training goes on from a package of the built-in model's network",
            f"the package lacks {', '.join(missing) or 'nothing'} and has {', '.join(unknown) or 'nothing'} besides",
            "Name a package that this command has written",
        )


class _Listener:
    """Writes a job's notes to the log."""

    def __init__(self, began: float) -> None:
        self.began = began

    def __call__(self, event: Event) -> None:
        if isinstance(event, Note):
            logger.info("%s, %.0f s", event.text, time.monotonic() - self.began)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="Make the built-in model.")
    asked.add_argument("folder", type=Path, help="where checkpoints, log and package go")
    asked.add_argument("package", nargs="?", default="", help="name or folder of a package to start from")
    asked.add_argument("--plan", choices=tuple(PLANS), default="processor", help="where it trains, and how long")
    told = asked.parse_args()
    told.folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[logging.FileHandler(told.folder / "log.txt"), logging.StreamHandler()]
    )
    trained = main(told.folder, PLANS[told.plan], told.package)
    keys = training_keys(STREAM, KEYS_SEED, subjects=24, looks=4)
    write_package(told.folder / "any-to-t1", trained, recipe(NETWORK, PATH, keys, STREAM))
