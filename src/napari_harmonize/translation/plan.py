"""What a translation will do, and whether it can: settings against a recipe, before any network is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_harmonize.diffusion import PATHS, SAMPLERS, SPACINGS
from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import from_json
from napari_harmonize.translation.settings import OWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.diffusion.path import Path
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.recipe import Recipe
    from napari_harmonize.translation.settings import TranslationSettings


def refusal(settings: TranslationSettings, recipe: Recipe) -> str:
    """Say in one sentence why settings do not suit a model; empty where they do.

    Parameters
    ----------
    settings : TranslationSettings
        What was asked.
    recipe : Recipe
        The model's.
    """
    return next((sentence for rule in _RULES if (sentence := rule(settings, recipe))), "")


def check(settings: TranslationSettings, recipe: Recipe) -> None:
    """Refuse settings that do not suit a model.

    Raises
    ------
    SettingsError
        With the sentence of :func:`refusal`.
    """
    reason = refusal(settings, recipe)
    if reason:
        raise SettingsError("Sampler and settings suit the model and the number of steps", reason, "Choose another sampler or setting")


def path_of(recipe: Recipe, settings: TranslationSettings | None = None) -> Path:
    """Build the path a recipe names, with another schedule where settings ask for one."""
    row, schedule = PATHS[recipe.path], OWN if settings is None else settings.schedule
    changes = {} if schedule == OWN else {"schedule": schedule}
    path: Path = row.load()(from_json(row.settings, {**recipe.path_settings, **changes}))
    return path


def evaluations(settings: TranslationSettings, recipe: Recipe) -> int:
    """Count how often the whole state is put to the network, exactly."""
    row, guided = SAMPLERS[settings.sampler], settings.guidance > 0
    return row.cost(path_of(recipe, settings), settings.steps, settings.corrections, guided, spacing=settings.time_list)


def stacks(settings: TranslationSettings, package: ModelPackage, shape: tuple[int, ...]) -> int:
    """Count the stacks of slices, or patches, one evaluation of a whole state takes.

    Parameters
    ----------
    settings : TranslationSettings
        Whether three planes are asked for.
    package : ModelPackage
        The model.
    shape : (3,) int
        Slices, rows and columns that are sampled.
    """
    recipe = package.recipe
    if recipe.dimensions == 3:
        from napari_harmonize.diffusion.patches import boxes

        return len(boxes(shape, recipe.patch, recipe.overlap))
    return accepted(shape[0], package) + sum(shape[1:]) if settings.three_planes else shape[0]


def accepted(size: int, package: ModelPackage) -> int:
    """Give the next size that a model's network accepts as a side."""
    return -(-max(size, package.least) // package.multiple) * package.multiple


def _sampler(settings: TranslationSettings, recipe: Recipe) -> str:
    row, path = SAMPLERS[settings.sampler], PATHS[recipe.path]
    return (
        row.refusal(path.kind, settings.steps, learns_variance=recipe.learns_variance)
        or SPACINGS[settings.time_list or row.spacing].refusal(path.kind, indexed=path.indexed)
        or _too_many(settings, recipe)
    )


def _too_many(settings: TranslationSettings, recipe: Recipe) -> str:
    """Say what a path says of a number of steps it cannot be walked in."""
    try:
        SAMPLERS[settings.sampler].grid(path_of(recipe), settings.steps, settings.time_list)
    except SettingsError as error:
        return str(error)
    return ""


def _schedule(settings: TranslationSettings, recipe: Recipe) -> str:
    if settings.schedule == OWN or (not PATHS[recipe.path].indexed and PATHS[recipe.path].kind == "diffusion"):
        return ""
    return "A schedule is exchanged where time is continuous; this model's times are those it was trained with."


def _guidance(settings: TranslationSettings, recipe: Recipe) -> str:
    if not settings.guidance or recipe.dropped:
        return ""
    return "Guidance needs a network trained with dropped conditions; this model's was not, so the weight must be 0."


def _planes(settings: TranslationSettings, recipe: Recipe) -> str:
    if not settings.three_planes:
        return ""
    if recipe.dimensions == 3 or recipe.radius:
        return "Three planes are asked of a network that sees single slices; this model's sees several at once."
    spacing = dict(recipe.steps).get("resample", {}).get("spacing", ())
    if len(set(spacing)) != 1:
        return "Three planes need voxels of equal size along all axes; this model does not resample to such."
    return ""


def _consistency(settings: TranslationSettings, recipe: Recipe) -> str:
    if recipe.dimensions == 3 and settings.consistency == "none":
        return "Patches of a network of three dimensions are always averaged where they overlap: choose co-prediction."
    if settings.corrects and PATHS[recipe.path].kind == "direct":
        return "The correction follows the score of a path from noise; a network that answers in one pass has none."
    if settings.corrects and settings.correction.score == "centre" and (recipe.dimensions == 3 or settings.three_planes):
        return "A score from the centres of stacks needs stacks of slices; choose the average."
    return ""


_RULES: tuple[Callable[[TranslationSettings, Recipe], str], ...] = (_schedule, _sampler, _guidance, _planes, _consistency)
