"""The training job on pairs: a generator of events that ends in a model package.

Every step draws from a generator seeded by its own number, so a run that was killed and goes on ends with the same weights, byte
for byte on a processor. What is kept is the moving average of the weights that did best on the validation pairs, translated exactly
as they will be later.
"""

from __future__ import annotations

import contextlib
import copy
import csv
import dataclasses
import math
import shutil
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_harmonize.condition import Condition
from napari_harmonize.errors import TrainingError
from napari_harmonize.events import Job, Note, Point, Progress, Stage, Written, finish
from napari_harmonize.settings import replace, to_json
from napari_harmonize.simulate.anatomy import generator
from napari_harmonize.style import Training
from napari_harmonize.training.adapters import attach, merged
from napari_harmonize.training.adversary import BETAS, Adversary
from napari_harmonize.training.criterion import Criterion
from napari_harmonize.training.curves import draw_curves
from napari_harmonize.training.examples import Batch, Example, Examples, load_example
from napari_harmonize.training.folder import CHECKPOINT, CURVES, LOG, RESULT, alone, rank, trial, work
from napari_harmonize.training.pairs import counts, refuse_straddling
from napari_harmonize.training.validation import validate
from napari_harmonize.translation import Card, ModelPackage, Recipe, load, save
from napari_harmonize.translation.engine import threads
from napari_harmonize.translation.package import build_network

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor, nn

    from napari_harmonize.events import Event
    from napari_harmonize.training.pairs import Pair
    from napari_harmonize.training.settings import FitSettings

FACTS = ("asked", "step", "judged_by", "best", "best_step", "kept")
COLUMNS = ("step", "loss", "rate", "psnr", "ssim", "seconds")
WAITING = timedelta(days=1)


@dataclass
class State:
    """Everything a killed run needs to go on."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    adversary: Adversary | None
    asked: dict[str, Any]
    step: int = 0
    judged_by: str = "ssim"
    best: float = float("-inf")
    best_step: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a checkpoint; the old one is replaced only when the new one is whole."""
        parts: dict[str, Any] = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        if self.adversary is not None:
            parts["adversary"] = self.adversary.state_dict()
        facts = {name: getattr(self, name) for name in FACTS}
        part = path.with_suffix(".part")
        torch.save({**parts, **facts}, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        TrainingError
            It is of a run that was asked something else.
        """
        saved = torch.load(path, weights_only=True)
        if saved["asked"] != self.asked:
            raise TrainingError(
                "A run goes on with the recipe and settings it began with", f"those of {path.parent.name} differ", "Choose another folder"
            )
        for name in ("network", "average", "optimiser"):
            getattr(self, name).load_state_dict(saved[name])
        if self.adversary is not None:
            self.adversary.load_state_dict(saved["adversary"])
        for name in FACTS:
            setattr(self, name, saved[name])


def fit(
    recipe: Recipe, card: Card, pairs: Sequence[Pair], settings: FitSettings, folder: str | Path, *, start: ModelPackage | None = None
) -> Job[ModelPackage]:
    """Train a recipe's network on pairs.

    Parameters
    ----------
    recipe : Recipe
        What is trained; where it takes style keys, those of the training targets become its training keys.
    card : Card
        What is known of it; what was trained on and what it reached is filled in.
    pairs : sequence of Pair
        Those to train on and those to validate with.
    settings : FitSettings
        How.
    folder : path
        Where checkpoint, log, curves, pictures of the validations and the finished package (``model``) go; a run goes on from there.
    start : ModelPackage, optional
        A model with the recipe's network, whose weights training begins with; random weights of the seed where absent.

    Yields
    ------
    Event
        Stages, progress in steps, a note and the points of the curves at every report and validation, files worth looking at.

    Returns
    -------
    ModelPackage
        With the best moving average.

    Raises
    ------
    TrainingError
        There is nothing to train on, recipe and settings contradict each other, or another process trains in the folder.

    Notes
    -----
    With several devices the running script is started again for each of them, up to this call, and only the first process yields,
    validates and writes.
    """
    job = _fitted(recipe, card, pairs, settings, Path(folder), start)
    return (yield from job) if rank() == 0 else finish(job)


def _fitted(
    recipe: Recipe, card: Card, pairs: Sequence[Pair], settings: FitSettings, folder: Path, start: ModelPackage | None
) -> Job[ModelPackage]:
    if (folder / RESULT).exists():
        raise TrainingError("A run writes its model once", f"{folder.name} holds one already", "Choose another folder")
    refuse_straddling(pairs)
    folder.mkdir(parents=True, exist_ok=True)
    if settings.adapters and start is None:
        raise TrainingError("Adapters adapt a trained model", "none was named", "Name a model to begin with, or set adapters to 0")
    criterion = Criterion(recipe, settings)
    with alone(folder), threads(settings.threads):
        weights = _random(recipe, settings.seed) if start is None else start.load_network().state_dict()
        examples, recipe, package = yield from _prepared(recipe, card, pairs, weights, folder)
        cut = Examples(examples, recipe, settings.augmentation, package.multiple)
        fabric = _fabric(settings)
        state = yield from _trained(fabric, criterion, cut, pairs, package, settings, folder)
        yield Stage("Writing the model package", RESULT)
        if fabric.is_global_zero:
            save(folder / RESULT, recipe, _card(card, pairs, state, settings), state.kept or merged(state.average))
        fabric.barrier()
    shutil.rmtree(work(folder))
    return load(folder / RESULT)


def _prepared(
    recipe: Recipe, card: Card, pairs: Sequence[Pair], weights: Mapping[str, Tensor], folder: Path
) -> Generator[Event, None, tuple[list[Example], Recipe, ModelPackage]]:
    """Prepare the training pairs with a package of the first weights, and take its keys from them."""
    yield Stage("Preparing pairs", ", ".join(f"{number} for {split}" for split, number in counts(pairs).items()))
    package = _package(folder, recipe, card, weights)
    chosen = [pair for pair in pairs if pair.split == "train"]
    examples = []
    for number, pair in enumerate(chosen, 1):
        examples.append(load_example(pair, package))
        yield Progress(number, len(chosen), "pairs")
    keys = [example.style for example in examples if example.style is not None]
    if len(keys) > 1:
        recipe = dataclasses.replace(recipe, training=Training.of(keys))
    return examples, recipe, _package(folder, recipe, card, weights)


def _random(recipe: Recipe, seed: int) -> dict[str, Tensor]:
    """The first weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(recipe).state_dict()


def _package(folder: Path, recipe: Recipe, card: Card, weights: Mapping[str, Tensor]) -> ModelPackage:
    """Write weights where validation translates with them, in place of those before."""
    home = work(folder)
    if home.exists():
        shutil.rmtree(home)
    save(home, recipe, card, weights)
    return load(home)


def _fabric(settings: FitSettings) -> Any:
    """The devices that are trained on; several are given a process each."""
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    if settings.adversary.kind != "none" and settings.devices > 1:
        raise TrainingError("Adversaries train on one graphics card", f"{settings.devices} were asked for", "Set devices to 1")
    # the others wait while the first validates
    strategy = DDPStrategy(timeout=WAITING) if settings.devices > 1 else "auto"
    fabric = Fabric(accelerator=settings.device, strategy=strategy, devices=settings.devices, precision=settings.precision)
    if settings.devices > 1:
        fabric.launch()
    return fabric


def _trained(
    fabric: Any,
    criterion: Criterion,
    examples: Examples,
    pairs: Sequence[Pair],
    package: ModelPackage,
    settings: FitSettings,
    folder: Path,
) -> Generator[Event, None, State]:
    judged = settings.adversary.kind != "none"
    network = package.load_network().requires_grad_(True).train()
    if settings.adapters:
        attach(network, settings.adapters, settings.seed)
    average = copy.deepcopy(network).requires_grad_(False).eval()
    free = [part for part in network.parameters() if part.requires_grad]
    optimiser = torch.optim.AdamW(free, weight_decay=0.0, betas=BETAS if judged else (0.9, 0.999))
    adversary = Adversary(package.recipe, settings.adversary, network, settings.rate, settings.seed).to(fabric.device) if judged else None
    state = State(network, average, optimiser, adversary, {"recipe": package.recipe.to_json(), "settings": to_json(settings)})
    if (folder / CHECKPOINT).exists():
        state.load(folder / CHECKPOINT)
    model, optimiser = fabric.setup(network, optimiser)
    average.to(fabric.device)
    yield from _learn(fabric, model, state, criterion, examples, pairs, package, settings, folder)
    return state


def _learn(
    fabric: Any,
    model: Any,
    state: State,
    criterion: Criterion,
    examples: Examples,
    pairs: Sequence[Pair],
    package: ModelPackage,
    settings: FitSettings,
    folder: Path,
) -> Generator[Event, None, None]:
    """Take the steps that are left; whoever stops it may go on from the last of them."""
    log = _Log(folder)
    try:
        yield _stage(state, fabric.device)
        if state.step:  # it may have been stopped in its validation, which can be repeated: it says the same again
            yield from _recorded(fabric, state, log, pairs, package, settings)
        while state.step < settings.steps:
            log.losses.append(_step(fabric, model, state, criterion, examples, settings))
            state.step += 1
            yield Progress(state.step, settings.steps)
            yield from _recorded(fabric, state, log, pairs, package, settings)
            if (state.step % settings.save == 0 or state.step == settings.steps) and fabric.is_global_zero:
                state.save(folder / CHECKPOINT)
    except GeneratorExit:
        if fabric.is_global_zero:
            state.save(folder / CHECKPOINT)
        raise


def _recorded(
    fabric: Any, state: State, log: _Log, pairs: Sequence[Pair], package: ModelPackage, settings: FitSettings
) -> Generator[Event, None, None]:
    """Report and validate where this step is due for it, and say so in the log; the first of several processes does."""
    if not fabric.is_global_zero:
        log.losses.clear()
        return
    last = state.step == settings.steps
    line: dict[str, Any] = {}
    if log.losses and (state.step % settings.report == 0 or last):
        line = {"loss": sum(log.losses) / len(log.losses), "rate": settings.rate_at(state.step)}
        log.losses.clear()
        yield Point("loss", state.step, line["loss"])
        yield Note(f"step {state.step}: loss {line['loss']:.5f}")
    if settings.cases and (state.step % settings.validate == 0 or last):
        line |= yield from _validated(state, pairs, package, settings, log.folder)
        yield _stage(state, fabric.device)
    if line:
        log.write(state.step, line)


def _stage(state: State, device: Any) -> Stage:
    return Stage("Training", f"{sum(part.numel() for part in state.network.parameters())} parameters on {device}")


@dataclass
class _Log:
    """What is written down of a run."""

    folder: Path
    losses: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def write(self, step: int, line: dict[str, Any]) -> None:
        """Append a line, under its heading where it is the first, and draw the curves."""
        path = self.folder / LOG
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            if fresh:
                writer.writeheader()
            writer.writerow({"step": step, **line, "seconds": round(time.monotonic() - self.began, 1)})
        draw_curves(path, self.folder / CURVES)


def _step(fabric: Any, model: Any, state: State, criterion: Criterion, examples: Examples, settings: FitSettings) -> float:
    """One optimiser step; returns the loss. Each of several cards draws its own share of the batch."""
    rng = generator(settings.seed, state.step, fabric.global_rank)
    batch = examples.batch(settings.batch, rng)
    batch = _moved(batch if state.adversary is None else batch.varied(), fabric)
    with _seeded(fabric.device, settings.seed, state.step, fabric.global_rank):
        loss, made = criterion(model, batch, rng)
        if state.adversary is not None:
            loss = state.adversary.generator_loss(model, batch, made, loss, rng)
    for group in state.optimiser.param_groups:
        group["lr"] = settings.rate_at(state.step)
    state.optimiser.zero_grad()
    fabric.backward(loss)
    length = fabric.clip_gradients(model, state.optimiser, max_norm=settings.clip_norm, error_if_nonfinite=False)
    if length is not None and not math.isfinite(length):
        raise TrainingError(
            "Training goes on while its gradients are finite",
            f"those of step {state.step + 1} are not",
            "Begin again in another folder with a lower rate; a checkpoint of earlier steps is kept here",
        )
    state.optimiser.step()
    if state.adversary is not None:
        state.adversary.learn(batch, made, settings.rate_at(state.step))
    decay = min(settings.decay, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for kept, new in zip(state.average.parameters(), state.network.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)
    return float(loss.detach())


@contextlib.contextmanager
def _seeded(device: torch.device, *numbers: int) -> Generator[None, None, None]:
    """Draw what a network drops out from these numbers, for its layers take no generator."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(generator(*numbers, 1).initial_seed())
        yield


def _moved(batch: Batch, fabric: Any) -> Batch:
    moved = (None if part is None else fabric.to_device(part) for part in batch.condition)
    x0, y, inside = (fabric.to_device(part) for part in (batch.x0, batch.y, batch.inside))
    return Batch(x0, y, inside, Condition(*moved))


def _validated(
    state: State, pairs: Sequence[Pair], package: ModelPackage, settings: FitSettings, folder: Path
) -> Generator[Event, None, dict[str, float]]:
    """Translate validation pairs with the moving average; keep it where it is the best so far."""
    held = [pair for pair in pairs if pair.split == "validation"][: settings.cases]
    if not held:
        return {}
    weights = merged(state.average)
    candidate = _package(folder, package.recipe, package.card, weights)
    found = yield from validate(candidate, held, settings.validation_steps, folder, state.step)
    # volumes thinner than its window have no SSIM
    state.judged_by = "ssim" if math.isfinite(found["ssim"]) else "psnr"
    better = found[state.judged_by] > state.best
    if better:
        state.best, state.best_step, state.kept = found[state.judged_by], state.step, weights
    yield Note(
        f"step {state.step}: SSIM {found['ssim']:.4f}, PSNR {found['psnr']:.2f} dB on {len(held)} pairs{', the best' if better else ''}"
    )
    for name, value in found.items():
        if math.isfinite(value):
            yield Point(name, state.step, value)
    yield Written(trial(folder, state.step), state.step)
    return found


def _card(card: Card, pairs: Sequence[Pair], state: State, settings: FitSettings) -> Card:
    number = counts(pairs)
    patients = len({pair.patient for pair in pairs if pair.split == "train"})
    data = f"{number['train']} pairs of {patients} patients, {state.step} steps of {settings.batch}."
    chosen = f" Weights of step {state.best_step}, the best of the validations." if state.kept else " Weights of the last step."
    name = {"ssim": "SSIM", "psnr": "PSNR in dB"}[state.judged_by]
    metrics = (("validation pairs", name, round(state.best, 4)),) if state.kept else ()
    return replace(card, data=f"{card.data} {data}{chosen}".strip(), metrics=(*card.metrics, *metrics))
