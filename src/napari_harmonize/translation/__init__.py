"""Model packages, importers, baselines, the translation job, and export and report of its result.

Everything public is loaded on first use: importing this folder loads neither torch nor Qt. The job itself lives in
``translation.job``, which loads torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_harmonize.translation.baselines import BASELINES, translate_baseline
    from napari_harmonize.translation.card import Card
    from napari_harmonize.translation.case import Case, Result, Run, SlicePreview
    from napari_harmonize.translation.cost import Estimate, estimate
    from napari_harmonize.translation.engine import Engine, load_engine
    from napari_harmonize.translation.importers import IMPORTERS, Imported, import_checkpoint, recognise
    from napari_harmonize.translation.job import preview, translate
    from napari_harmonize.translation.package import ModelPackage, built_in, load, save
    from napari_harmonize.translation.preflight import Finding
    from napari_harmonize.translation.prepared import Prepared, prepare_case
    from napari_harmonize.translation.recipe import Recipe, Target
    from napari_harmonize.translation.settings import CONSISTENCY, Correction, Defaults, TranslationSettings

_HOMES = {
    "baselines": ("BASELINES", "translate_baseline"),
    "card": ("Card",),
    "case": ("Case", "Result", "Run", "SlicePreview"),
    "cost": ("Estimate", "estimate"),
    "engine": ("Engine", "load_engine"),
    "importers": ("IMPORTERS", "Imported", "import_checkpoint", "recognise"),
    "job": ("preview", "translate"),
    "package": ("ModelPackage", "built_in", "load", "save"),
    "preflight": ("Finding",),
    "prepared": ("Prepared", "prepare_case"),
    "recipe": ("Recipe", "Target"),
    "settings": ("CONSISTENCY", "Correction", "Defaults", "TranslationSettings"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BASELINES",
    "CONSISTENCY",
    "IMPORTERS",
    "Card",
    "Case",
    "Correction",
    "Defaults",
    "Engine",
    "Estimate",
    "Finding",
    "Imported",
    "ModelPackage",
    "Prepared",
    "Recipe",
    "Result",
    "Run",
    "SlicePreview",
    "Target",
    "TranslationSettings",
    "built_in",
    "estimate",
    "import_checkpoint",
    "load",
    "load_engine",
    "prepare_case",
    "preview",
    "recognise",
    "save",
    "translate",
    "translate_baseline",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
