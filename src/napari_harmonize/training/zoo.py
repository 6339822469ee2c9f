"""The models that come with the plugin beside the default one, as data, and the job that trains them.

``models/zoo/NAME.json`` holds card, fit settings and recipe of one model and the task it is trained on; ``models/zoo/tasks.json``
the tasks, which are settings of the simulator, how many subjects are scanned, and in which order the models are trained.
"""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.device import choose_device
from napari_harmonize.errors import ModelError
from napari_harmonize.events import Job, Note, finish
from napari_harmonize.metrics import evaluate
from napari_harmonize.settings import from_json, replace
from napari_harmonize.simulate.kept import keep_pairs
from napari_harmonize.simulate.settings import SimulationSettings
from napari_harmonize.training.examples import read_case
from napari_harmonize.training.fit import fit
from napari_harmonize.training.folder import LOG, RESULT
from napari_harmonize.training.pairs import read_table
from napari_harmonize.training.settings import FitSettings
from napari_harmonize.training.validation import METRICS
from napari_harmonize.translation import Card, Recipe, load
from napari_harmonize.translation.baselines import translate_baseline
from napari_harmonize.translation.package import build_network
from napari_harmonize.translation.without_triton import weightless

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_harmonize.events import Event
    from napari_harmonize.training.pairs import Pair
    from napari_harmonize.translation import ModelPackage

FOLDER = Path(__file__).parent.parent / "models" / "zoo"
TASKS, PAIRS, FACTS = "tasks.json", "pairs", "facts.json"
LARGEST = 3_500_000
"""Bytes of a package's weights."""


@dataclass(frozen=True)
class ZooModel:
    """One model of the zoo.

    Parameters
    ----------
    name, task : str
        What it is called, and whose pairs it is trained on.
    card : Card
        What is known before training.
    fit : FitSettings
        How it is trained.
    recipe : Recipe
        What is trained.
    """

    name: str
    task: str
    card: Card
    fit: FitSettings
    recipe: Recipe

    @property
    def parameters(self) -> int:
        """Numbers its network holds."""
        with weightless():
            return sum(part.numel() for part in build_network(self.recipe).parameters())


@dataclass(frozen=True)
class Facts:
    """What came out of a training.

    Parameters
    ----------
    name : str
        The model.
    parameters, steps : int
        Size and length.
    minutes : float
        Processor time of the training, its validations included, over all threads.
    psnr, ssim : float
        Of the weights that were kept, mean over the validation pairs that were translated.
    untouched_psnr, untouched_ssim : float
        Of the same pairs' sources.
    pairs : int
        How many were translated.
    device : str
        Where it was trained.
    """

    name: str
    parameters: int
    steps: int
    minutes: float
    psnr: float
    ssim: float
    untouched_psnr: float
    untouched_ssim: float
    pairs: int
    device: str = "cpu"

    @property
    def learnt(self) -> bool:
        """Whether it beats the source it was given; one that does not is not shipped."""
        return self.ssim > self.untouched_ssim


def names() -> tuple[str, ...]:
    """Models of the zoo, in the order in which they are trained."""
    return tuple(_values(FOLDER / TASKS)["models"])


def subjects() -> int:
    """Subjects that are scanned for every task, those for validation among them."""
    return int(_values(FOLDER / TASKS)["subjects"])


def tasks() -> dict[str, SimulationSettings]:
    """Tasks by name, as settings of the simulator."""
    return {name: from_json(SimulationSettings, values) for name, values in _values(FOLDER / TASKS)["tasks"].items()}


def zoo_model(name: str) -> ZooModel:
    """Read a model's definition.

    Raises
    ------
    ModelError
        There is none of that name.
    SettingsError
        A value of it is unknown or wrong.
    """
    if name not in names():
        raise ModelError("A model of the zoo is one of its list", f"{name!r} arrived", f"Known: {', '.join(names())}")
    values = _values(FOLDER / f"{name}.json")
    fit_settings, card = from_json(FitSettings, values["fit"]), from_json(Card, values["card"])
    return ZooModel(name, values["task"], card, fit_settings, Recipe.from_json(values["recipe"]))


def make_zoo(out: Path, chosen: Sequence[str] = (), device: str = "") -> Job[tuple[str, ...]]:
    """Make the pairs that are missing and train the models that are not trained.

    Parameters
    ----------
    out : Path
        Folder of pairs and runs; a stopped run goes on from there.
    chosen : sequence of str
        Models to train; all where empty.
    device : str
        Where to train and to simulate; where each model's definition says, the processor, if empty.

    Yields
    ------
    Event
        Those of the simulation and of each training.

    Returns
    -------
    tuple of str
        Names of the models that are trained now; their packages are ``out/NAME/model``.

    Raises
    ------
    ModelError
        A name is not known.
    """
    models = [zoo_model(name) for name in chosen or names()]
    settings = tasks()
    if device:
        models = [dataclasses.replace(model, fit=replace(model.fit, device=device)) for model in models]
        settings = {name: replace(task, device=device) for name, task in settings.items()}
    wanted = {out / PAIRS / task: settings[task] for task in dict.fromkeys(model.task for model in models)}
    tables = yield from keep_pairs(wanted, subjects())
    pairs = {folder.name: read_table(table) for folder, table in zip(wanted, tables, strict=True)}
    for model in models:
        if not (out / model.name / FACTS).exists():
            yield from _train(model, pairs[model.task], out / model.name)
    return tuple(model.name for model in models)


def read_facts(path: Path) -> Facts:
    """Read what came out of a training."""
    return Facts(**_values(path))


def package_of(out: Path, name: str) -> ModelPackage:
    """Package of a trained model, its card completed by what came out.

    Parameters
    ----------
    out : Path
        Folder of :func:`make_zoo`.
    name : str
        A trained model.
    """
    facts, package = read_facts(out / name / FACTS), load(out / name / RESULT)
    told = (
        ("validation pairs", "SSIM", round(facts.ssim, 4)),
        ("validation pairs", "PSNR in dB", round(facts.psnr, 2)),
        ("validation pairs, untouched", "SSIM", round(facts.untouched_ssim, 4)),
        ("validation pairs, untouched", "PSNR in dB", round(facts.untouched_psnr, 2)),
    )
    where = "" if facts.device == "cpu" else f" with a graphics card ({facts.device})"
    data = f"{package.card.data} {facts.minutes:.1f} minutes of one processor core{where}."
    card = replace(package.card, data=data, metrics=told, failures=zoo_model(name).card.failures)
    return type(package)(name, package.recipe, card, package.path)


def _train(model: ZooModel, pairs: Sequence[Pair], folder: Path) -> Generator[Event, None, None]:
    """Train one model and write down what came out."""
    yield Note(f"{model.name}: {model.parameters} parameters, {model.fit.steps} steps")
    before = _spent(folder)
    if not (folder / RESULT).exists():
        job, began = fit(model.recipe, model.card, pairs, model.fit, folder), time.process_time()
        for event in job:
            yield event
            if isinstance(event, Note):
                _spend(folder, before + time.process_time() - began)
    held = [pair for pair in pairs if pair.split == "validation"][: model.fit.cases]
    reached, untouched = _reached(folder), _untouched(held, model.recipe)
    minutes = round(_spent(folder) / 60, 2)
    facts = Facts(
        model.name,
        model.parameters,
        model.fit.steps,
        minutes,
        reached["psnr"],
        reached["ssim"],
        untouched["psnr"],
        untouched["ssim"],
        len(held),
        choose_device(model.fit.device).type,
    )
    (folder / FACTS).write_text(json.dumps(vars(facts), indent=1) + "\n", encoding="utf-8")
    yield Note(f"{model.name}: SSIM {facts.ssim:.4f}, untouched {facts.untouched_ssim:.4f}, {facts.minutes:.1f} minutes")


def _reached(folder: Path) -> dict[str, float]:
    """PSNR and SSIM of the best validation in the log."""
    lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines[1:]]
    best = max((row for row in rows if row["ssim"]), key=lambda row: float(row["ssim"]))
    return {name: float(best[name]) for name in METRICS}


def _untouched(pairs: Sequence[Pair], recipe: Recipe) -> dict[str, float]:
    """Mean PSNR and SSIM of the sources themselves."""
    found = []
    for pair in pairs:
        case = read_case(pair, recipe)
        data = finish(translate_baseline("identity", case)).volume.data
        inside = None if case.mask is None else case.mask.data > 0
        truth = case.truth.data if case.truth is not None else data
        scores = evaluate(data, truth, mask=inside, metrics=METRICS)
        found.append([next(score.value for score in scores if score.name == name) for name in METRICS])
    return dict(zip(METRICS, np.mean(found, axis=0).tolist(), strict=True))


def _spent(folder: Path) -> float:
    """Seconds of processor time that a run has taken so far."""
    told = folder / "seconds.txt"
    return float(told.read_text(encoding="utf-8")) if told.exists() else 0.0


def _spend(folder: Path, seconds: float) -> None:
    (folder / "seconds.txt").write_text(f"{seconds:.1f}\n", encoding="utf-8")


def _values(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
