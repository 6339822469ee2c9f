"""``train``: a recipe's network on pairs of one's own or on simulated ones, from random weights or from a model at hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_harmonize.cli import screen
from napari_harmonize.cli.options import Terminal, given, options
from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import from_json
from napari_harmonize.simulate.settings import SimulationSettings
from napari_harmonize.training.asked import Asked, opened
from napari_harmonize.training.asked import train as run
from napari_harmonize.training.folder import rank
from napari_harmonize.training.settings import FitSettings

if TYPE_CHECKING:
    from napari_harmonize.translation import ModelPackage

TERMINAL = Terminal()
FitOptions = options(FitSettings, "Training", about="What is not given keeps its default.")
UNASKED = FitOptions()
SimulationOptions = options(
    SimulationSettings,
    "Simulated pairs",
    only=("first", "source", "target", "voxel", "head", "clean", "validation", "subject", "acquisition"),
    about="Only with --simulate; seed and threads are those of the training.",
    short=("anatomies",),
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
    source_contrast: str = "",
    target_contrast: str = "",
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
    source_contrast
        Contrast of the sources, for the card ("FLAIR"); that of the model of --from where not given.
    target_contrast
        Contrast of the targets, for the card.
    folds
        Train that many times, with another part of the patients held out each time, and write a table of what was reached.
    stratify
        Column of the table whose values every fold should hold in equal shares.
    """
    settings = from_json(FitSettings, given(chosen))
    table = _table(pairs, simulate, given(simulated), settings, out, terminal)
    asked = Asked(recipe, start, str(table), title, source_contrast, target_contrast, settings)
    if folds:
        return _folds(asked, out, folds, stratify, terminal)
    made = screen.run(run(asked, out), terminal)
    if rank() == 0:
        screen.tell(str(made.path))
    return 0


def _folds(asked: Asked, out: Path, count: int, stratify: str, terminal: Terminal) -> int:
    """Train once for every fold; a fold's splits are not those of the table, so its folder does not say what was asked."""
    from napari_harmonize.training.fit import fit
    from napari_harmonize.training.pairs import folds, read_table

    if asked.fit.devices > 1:
        raise SettingsError("Folds train on one device, one after another", f"{asked.fit.devices} were asked for", "Set devices to 1")
    table, rows = read_table(asked.table), []
    recipe, card, package = opened(asked)
    for number, part in enumerate(folds(table, count, by=stratify, seed=asked.fit.seed), 1):
        made = screen.run(fit(recipe, card, part, asked.fit, out / f"fold-{number}", start=package), terminal)
        held = sum(pair.split == "validation" for pair in part)
        rows.append((str(number), str(held), _reached(made)))
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


def _reached(made: "ModelPackage") -> str:
    return next((f"{name} {value:g}" for _, name, value in made.card.metrics[-1:]), "not validated")
