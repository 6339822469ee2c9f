"""``train``: a recipe's network on pairs of one's own or on simulated ones, from random weights or from a model at hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_harmonize.cli import inputs, screen
from napari_harmonize.cli.options import Terminal, given, options
from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import from_json
from napari_harmonize.simulate.settings import SimulationSettings
from napari_harmonize.training.settings import FitSettings

if TYPE_CHECKING:
    from napari_harmonize.training.pairs import Pair
    from napari_harmonize.translation import Card, ModelPackage, Recipe

TERMINAL = Terminal()
FitOptions = options(FitSettings, "Training", about="What is not given keeps its default.")
UNASKED = FitOptions()
SimulationOptions = options(
    SimulationSettings,
    "Simulated pairs",
    only=("first", "source", "target", "voxel", "head", "clean", "validation", "subject", "acquisition"),
    about="Only with --simulate; seed and threads are those of the training.",
)
UNSIMULATED = SimulationOptions()
PAIRS = "pairs"


def train(
    recipe: str = "",
    /,
    *,
    pairs: Path | None = None,
    simulate: int = 0,
    out: Path,
    start: Annotated[str, Parameter(name="--from")] = "",
    title: str = "",
    folds: int = 0,
    stratify: str = "",
    chosen: Annotated[FitOptions, Parameter(name="*")] = UNASKED,  # type: ignore[valid-type]
    simulated: Annotated[SimulationOptions, Parameter(name="*")] = UNSIMULATED,  # type: ignore[valid-type]
    terminal: Terminal = TERMINAL,
) -> int:
    """Train on a table of pairs, or on simulated ones, and write a model package; a run that was stopped goes on where it was.

    Parameters
    ----------
    recipe
        A recipe that comes with the plugin (see "models recipes") or a recipe file; that of the model of --from where not given.
    pairs
        CSV table with the columns patient, source and target, and where wanted mask, split (train, validation, test) and more.
    simulate
        Number of pairs to simulate and train on, in place of a table; they are kept in the run's folder "pairs".
    out
        Folder of the run: checkpoint, log, and the finished model package.
    start
        A model whose weights training begins with, for fine-tuning.
    title
        What the model's card is to be called.
    folds
        Train that many times, with another part of the patients held out each time, and write a table of what was reached.
    stratify
        Column of the table whose values every fold should hold in equal shares.
    """
    from napari_harmonize.training.pairs import folds as divide
    from napari_harmonize.training.pairs import read_table

    settings = from_json(FitSettings, given(chosen))
    table = read_table(_table(pairs, simulate, given(simulated), settings, out, terminal))
    how, card, package = _model(recipe, start, title)
    if not folds:
        made = _one(how, card, table, settings, out, package, terminal)
        screen.tell(str(made.path))
        return 0
    rows = []
    for number, part in enumerate(divide(table, folds, by=stratify, seed=settings.seed), 1):
        made = _one(how, card, part, settings, out / f"fold-{number}", package, terminal)
        held = sum(pair.split == "validation" for pair in part)
        reached = [f"{name} {value:g}" for _, name, value in made.card.metrics[-1:]]
        rows.append((str(number), str(held), *(reached or ["not validated"])))
    screen.tell(screen.table(rows, ("fold", "pairs held out", "reached")))
    return 0


def _table(pairs: Path | None, simulate: int, simulated: dict[str, Any], settings: FitSettings, out: Path, terminal: Terminal) -> Path:
    """Table that was named, or that of the pairs that are simulated now."""
    if (pairs is None) != (simulate > 0):
        arrived = "neither was given" if pairs is None else "both were given"
        raise SettingsError(
            "A run has a table of pairs or simulates some", arrived, "Name a table with --pairs, or a number with --simulate"
        )
    if pairs is not None:
        if simulated:
            raise SettingsError("Options of the simulator go with --simulate", f"{', '.join(simulated)} arrived with --pairs")
        return pairs
    from napari_harmonize.simulate.kept import keep_pairs

    how = from_json(SimulationSettings, {"seed": settings.seed, "threads": settings.threads, **simulated})
    return screen.run(keep_pairs({out / PAIRS: how}, simulate), terminal)[0]


def _model(recipe: str, start: str, title: str) -> "tuple[Recipe, Card, ModelPackage | None]":
    """Recipe, card and first weights, as far as they were named."""
    from napari_harmonize.settings import replace
    from napari_harmonize.translation import Card
    from napari_harmonize.translation.recipes import read_recipe

    package = inputs.open_model(start) if start else None
    if package is None and not recipe:
        raise SettingsError("A run has a recipe or a model to begin with", "neither was named", "Name a recipe, or a model with --from")
    how = read_recipe(recipe) if recipe or package is None else package.recipe
    if package is None:
        return how, Card(title=title or f"Trained by {Path(recipe).stem}", data="Pairs of its user."), None
    tuned = replace(package.card, title=title or f"{package.card.title}, fine-tuned", data=f"{package.card.data} Then pairs of its user.")
    return how, tuned, package


def _one(
    recipe: "Recipe",
    card: "Card",
    pairs: "tuple[Pair, ...]",
    settings: FitSettings,
    out: Path,
    start: "ModelPackage | None",
    terminal: Terminal,
) -> "ModelPackage":
    from napari_harmonize.training.fit import fit

    return screen.run(fit(recipe, card, pairs, settings, out, start=start), terminal)
