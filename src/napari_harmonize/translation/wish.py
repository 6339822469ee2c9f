"""Which style key a translation is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_harmonize.errors import ModelError, StyleError

if TYPE_CHECKING:
    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation.case import Case
    from napari_harmonize.translation.package import ModelPackage


def choose_key(case: Case, package: ModelPackage) -> StyleKey | None:
    """Give the case's key, else the model's training average; None where the model takes no key.

    The ground truth is not looked at.

    Raises
    ------
    ModelError
        The model takes a key, none was given and none came with it.
    StyleError
        The key has another number of bins.
    """
    recipe = package.recipe
    if "style" not in recipe.conditioning:
        return None
    key = case.key or (recipe.training.average if recipe.training else None)
    if key is None:
        raise ModelError(
            f"{package.name} translates towards a style key",
            "none was given and none came with the model",
            "Make one from a reference volume",
        )
    if key.bins != recipe.bins:
        raise StyleError(
            f"{package.name} takes style keys of {recipe.bins} bins", f"{key.label or 'the key'} has {key.bins}", "Compute it anew"
        )
    return key
