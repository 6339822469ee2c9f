"""Recipes that come with the plugin: methods that are a choice of network, path and objective, waiting for weights.

They are data, ``models/recipes/NAME.json``. A recipe with a title of its own tells what it follows; joined with weights by
:func:`napari_harmonize.translation.save` it is a model package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_harmonize.errors import HarmonizeError, ModelError

if TYPE_CHECKING:
    from napari_harmonize.translation.recipe import Recipe

ABOUT = "about"
FOLDER = Path(__file__).parent.parent / "models" / "recipes"


def shipped() -> dict[str, str]:
    """Names of the recipes that come with the plugin, and one sentence about each."""
    return {path.stem: str(_values(path).get(ABOUT, "")) for path in sorted(FOLDER.glob("*.json"))}


def read_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe that comes with the plugin, or a recipe file.

    Parameters
    ----------
    name_or_path : str or path
        A name :func:`shipped` lists, or a .json file.

    Raises
    ------
    ModelError
        There is none, or it is no recipe.
    """
    from napari_harmonize.translation.recipe import Recipe  # the Training dock lists recipes, and what a recipe needs takes half a second

    shelf = FOLDER / f"{name_or_path}.json"
    path = shelf if shelf.is_file() else Path(name_or_path)
    if not path.is_file():
        raise ModelError(
            "A recipe comes with the plugin or is a .json file", f"there is no {path.name!r}", f"Known: {', '.join(shipped())}"
        )
    values = {name: value for name, value in _values(path).items() if name != ABOUT}
    try:
        return Recipe.from_json(values)
    except ModelError:
        raise
    except HarmonizeError as error:
        raise ModelError(f"The recipe {path.name} can be read", str(error)) from error


def _values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError("A recipe is a JSON object", f"{path.name}: {error}") from error
    return values if isinstance(values, dict) else {}
