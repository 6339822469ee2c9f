"""What a training run is asked for: written into its folder, so that it can be gone on with from the terminal and from the window.

Nothing here needs torch before the run begins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_harmonize.errors import SettingsError, TrainingError
from napari_harmonize.settings import Settings, from_json, replace, setting, to_json
from napari_harmonize.training.settings import FitSettings

if TYPE_CHECKING:
    from napari_harmonize.events import Job
    from napari_harmonize.translation import Card, ModelPackage, Recipe

ASKED = "asked.json"
# what may differ between a run and its continuation: it changes the card only
ON_THE_CARD = ("title", "source", "target")


@dataclass(frozen=True)
class Asked(Settings):
    """What is to be trained, on what, and how."""

    recipe: str = setting("", help="A recipe that comes with the plugin, or a recipe file; that of the model begun with where empty.")
    start: str = setting("", help="Model whose weights training begins with, for fine-tuning; random ones where empty.")
    table: str = setting("", help="CSV table of the pairs, with the columns patient, source and target, and where wanted mask and split.")
    title: str = setting("", help="What the model's card is to be called.")
    source: str = setting("", help='Contrast of the sources ("CT", "FLAIR", ...), for the card.')
    target: str = setting("", help="Contrast of the targets, for the card.")
    fit: FitSettings = setting(FitSettings, help="How it is trained.")

    def same_run(self, other: Asked) -> bool:
        """Whether one may go on where the other stopped."""
        unnamed = dict.fromkeys(ON_THE_CARD, "")
        return replace(self, **unnamed) == replace(other, **unnamed)


def absolute(name: str) -> str:
    """Name a file from anywhere; what is no file (a name of the plugin's own) stays as it is."""
    return str(Path(name).resolve()) if name and Path(name).exists() else name


def read_asked(folder: Path) -> Asked | None:
    """Read what the run of a folder was asked for; nothing where it does not say.

    Raises
    ------
    TrainingError
        The file cannot be read.
    """
    path = folder / ASKED
    if not path.is_file():
        return None
    try:
        return from_json(Asked, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, SettingsError) as error:
        raise TrainingError(f"{ASKED} in the folder of a run says what was asked for", str(error), "Choose another folder") from error


def opened(asked: Asked) -> tuple[Recipe, Card, ModelPackage | None]:
    """Recipe, card and first weights.

    Raises
    ------
    SettingsError
        Neither a recipe nor a model was named.
    ModelError
        There is no such recipe or model.
    """
    from napari_harmonize.translation import Card, load
    from napari_harmonize.translation.recipes import read_recipe

    if not asked.recipe and not asked.start:
        raise SettingsError("A run has a recipe or a model to begin with", "neither was named", "Name a recipe, or a model to begin with")
    package = load(asked.start) if asked.start else None
    how = read_recipe(asked.recipe) if asked.recipe or package is None else package.recipe
    contrasts = {"from_contrasts": asked.source, "to_contrasts": asked.target}
    named = {name: (contrast,) for name, contrast in contrasts.items() if contrast}
    if package is None:
        return how, replace(Card(title=asked.title or f"Trained by {Path(asked.recipe).stem}", data="Pairs of its user."), **named), None
    title = asked.title or f"{package.card.title}, fine-tuned"
    return how, replace(package.card, title=title, data=f"{package.card.data} Then pairs of its user.", **named), package


def train(asked: Asked, folder: Path) -> Job[ModelPackage]:
    """Train as asked, or go on where the run of the folder stopped.

    Parameters
    ----------
    asked : Asked
        What, on what, and how.
    folder : Path
        Of the run.

    Raises
    ------
    TrainingError
        The folder holds a run that was asked for something else, or what :func:`~napari_harmonize.training.fit.fit` refuses.
    """
    from napari_harmonize.training.fit import fit
    from napari_harmonize.training.pairs import read_table

    pairs = read_table(asked.table)
    recipe, card, package = opened(asked)
    asked = replace(asked, **{name: absolute(getattr(asked, name)) for name in ("recipe", "start", "table")})
    before = read_asked(folder)
    if before is not None and not before.same_run(asked):
        raise TrainingError(
            "A run goes on with what it was first asked for", f"{ASKED} in {folder.name} says something else", "Choose another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ASKED).write_text(json.dumps(to_json(asked), indent=2), encoding="utf-8")
    return (yield from fit(recipe, card, pairs, asked.fit, folder, start=package))
