"""``models`` and ``import``: the models at hand, their cards, and published checkpoints turned into models."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from napari_harmonize.cli import inputs, screen
from napari_harmonize.cli.options import Terminal, answers, describe
from napari_harmonize.settings import declarations, to_json

if TYPE_CHECKING:
    from napari_harmonize.settings import Settings
    from napari_harmonize.translation import ModelPackage

TERMINAL = Terminal()

app = App("models", help="List models and show their cards.")


@app.command(name="list")
def list_models(*, terminal: Terminal = TERMINAL) -> int:
    """List the built-in models and the baselines."""
    from napari_harmonize.translation import BASELINES, built_in, load
    from napari_harmonize.translation.package import default_model

    packages = [load(name) for name in built_in()]
    default = default_model() if packages else ""
    rows = [(package.name, _from_to(package), package.card.title + " (default)" * (package.name == default)) for package in packages]
    rows += [(f"{inputs.BASELINE}{name}", "any to any", row.help) for name, row in BASELINES.items()]
    screen.tell(screen.table(rows, ("model", "translates", "what it is")))
    return 0


@app.command
def show(model: str, /, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False, terminal: Terminal = TERMINAL) -> int:
    """Show a model's card: what it is for, what it was made from, where it fails.

    Parameters
    ----------
    model
        Name of a built-in model, or folder or .zip of a model package.
    as_json
        Print card and recipe as JSON.
    """
    package = inputs.open_model(model)
    if as_json:
        screen.tell(json.dumps({"name": package.name, "hash": package.hash, "card": to_json(package.card)}, indent=1, ensure_ascii=False))
        return 0
    recipe = package.recipe
    known = "no training keys" if recipe.training is None else f"{len(recipe.training.keys)} training keys"
    rows = [("name", package.name), ("hash", package.hash), *_card_rows(package)]
    rows += [("network", recipe.network), ("path", f"{recipe.path}, predicts {recipe.objective}"), ("style", known)]
    screen.tell(screen.table(rows))
    return 0


@app.command
def recipes(name: str = "", /, *, terminal: Terminal = TERMINAL) -> int:
    """List the recipes that come with the plugin, or print one as JSON, to be joined with weights of your own.

    Parameters
    ----------
    name
        The recipe to print.
    """
    from napari_harmonize.translation.recipes import read_recipe, shipped

    if name:
        screen.tell(json.dumps(read_recipe(name).to_json(), indent=1, ensure_ascii=False))
        return 0
    screen.tell(screen.table(list(shipped().items()), ("recipe", "what it is")))
    return 0


def import_model(
    checkpoint: Path,
    /,
    *,
    out: Path | None = None,
    system: str = "",
    answer: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    questions: Annotated[bool, Parameter(negative=())] = False,
    terminal: Terminal = TERMINAL,
) -> int:
    """Turn a published checkpoint into a model package; only tensors are read, never code.

    Parameters
    ----------
    checkpoint
        The file the authors' code wrote.
    out
        New folder for the model package; the checkpoint's name without its ending where not given.
    system
        The system it comes from; recognised from the file where not given.
    answer
        NAME=VALUE for what the file cannot tell; what is not answered takes the published value and is marked as assumed.
        May be repeated.
    questions
        Only list what can be answered.
    """
    from napari_harmonize.translation import IMPORTERS, import_checkpoint, recognise

    asked = IMPORTERS[system or recognise(checkpoint)].questions() if system in ("", *IMPORTERS) else None
    if questions and asked is not None:
        screen.tell(screen.table(_questions(asked), ("name", "what is asked")))
        return 0
    said = {} if asked is None else answers(asked, answer)
    folder = checkpoint.with_suffix("") if out is None else out
    package = screen.run(import_checkpoint(checkpoint, folder, system=system, **said), terminal)
    screen.tell(str(package.path))
    return 0


def _questions(asked: "type[Settings]") -> list[tuple[str, str]]:
    found = declarations(asked).values()
    choices = {item.name: f" One of: {', '.join(item.allowed())}." if item.allowed() else "" for item in found}
    return [(item.name, describe(item) + choices[item.name]) for item in found]


def _from_to(package: "ModelPackage") -> str:
    card = package.card
    return f"{' or '.join(card.from_contrasts) or 'unknown'} to {' or '.join(card.to_contrasts) or 'unknown'}"


def _card_rows(package: "ModelPackage") -> list[tuple[str, str]]:
    card = package.card
    rows = []
    for declared in declarations(type(card)).values():
        value = getattr(card, declared.name)
        lines = [_cell(item) for item in value] if isinstance(value, tuple) and declared.unit == "" else [_cell(value)]
        text = [f"{line} {declared.unit}".strip() for line in lines if line]
        rows += [(declared.name.replace("_", " ") if place == 0 else "", line) for place, line in enumerate(text)]
    return rows


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " x ".join(map(str, value)) if all(isinstance(item, float) for item in value) else ", ".join(map(str, value))
    return "unknown" if value is None else ("no", "yes")[value] if isinstance(value, bool) else str(value)
