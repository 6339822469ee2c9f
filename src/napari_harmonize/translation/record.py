"""Writing down how a result was made."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import napari_harmonize
from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.settings import to_json
from napari_harmonize.style import key_to_json
from napari_harmonize.translation.case import Run
from napari_harmonize.volumes import discreet, public_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation.case import Case
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.prepared import Prepared
    from napari_harmonize.translation.settings import TranslationSettings
    from napari_harmonize.volumes import Volume


def facts(
    case: Case, prepared: Prepared, package: ModelPackage, settings: TranslationSettings, key: StyleKey | None, notes: Sequence[str]
) -> dict[str, Any]:
    """List what is known before the network runs; see :class:`~napari_harmonize.translation.case.Run`."""
    return {
        **common(case, notes, peeking(key)),
        "model": _model(package),
        "settings": _settings(settings),
        "sampling": _sampling(package, settings),
        "style": style_facts(key),
        "preparation": {
            "orientation": {"from": prepared.reorientation.native, "to": prepared.reorientation.canonical},
            "axis": package.recipe.axis,
            "slices": [prepared.first, prepared.last],
            "steps": discreet([step.to_json() for step in prepared.records], case.source, case.mask),
        },
        "target": {**to_json(package.recipe.target), "outside": package.recipe.target.low},
    }


def peeking(key: StyleKey | None) -> str | None:
    """Say that a key knows the ground truth, where it does."""
    return "The style key knows the ground truth." if key is not None and key.peeks else None


def style_facts(key: StyleKey | None) -> dict[str, Any] | None:
    """Give a style key as JSON values."""
    return None if key is None else {**key_to_json(key), "curves": key.curves.tolist()}


def common(case: Case, notes: Sequence[str], peeks: str | None) -> dict[str, Any]:
    """List what every result says, a baseline's too."""
    return {
        "tool": {"name": "napari-harmonize", "version": napari_harmonize.__version__},
        "synthetic": True,
        "source": volume_facts(case.source),
        "mask": None if case.mask is None else volume_facts(case.mask),
        "peeks": peeks,
        "notes": discreet([*notes, *case.source.notes], case.source, case.truth, case.mask),
    }


def volume_facts(volume: Volume) -> dict[str, Any]:
    """Public name, hash and grid of a volume, as JSON values."""
    return {
        "name": public_name(volume),
        "sha256": volume.sha256,
        "shape": list(volume.shape),
        "spacing": [round(value, 6) for value in volume.spacing],
        "meaning": volume.meaning.value,
        "modality": volume.modality,
    }


def run(facts: Mapping[str, Any], volume: Volume | None, started: str, seconds: float) -> Run:
    """Close the record of a run.

    Parameters
    ----------
    facts : mapping
        What is the same whenever the same is done again.
    volume : Volume, optional
        The result; its bytes are named by their hash.
    started : str
        When, ISO 8601.
    seconds : float
        How long.
    """
    made = None if volume is None else {"sha256": hashlib.sha256(volume.data.tobytes()).hexdigest(), "shape": list(volume.shape)}
    return Run({**facts, "result": made}, {"started": started, "seconds": round(seconds, 3)})


def _model(package: ModelPackage) -> dict[str, Any]:
    card = package.card
    return {
        "name": package.name,
        "title": card.title,
        "hash": package.hash,
        "licence": card.licence,
        "trained_on": card.data,
        "anatomy": card.anatomy,
        "from_contrasts": list(card.from_contrasts),
        "to_contrasts": list(card.to_contrasts),
        "citation": card.citation,
        "assumed": list(card.assumed),
    }


def _settings(settings: TranslationSettings) -> dict[str, Any]:
    """As asked; a model named by a path is named by its last part, which holds no folder names."""
    name = settings.model.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return {**to_json(settings), "model": name}


def _sampling(package: ModelPackage, settings: TranslationSettings) -> dict[str, Any]:
    correction = to_json(settings.correction) if settings.consistency == "co-prediction+correction" else None
    return {
        "network": package.recipe.network,
        "path": package.recipe.path,
        "objective": package.recipe.objective,
        "sampler": settings.sampler,
        "steps": settings.steps,
        "eta": settings.eta,
        "guidance": settings.guidance,
        "schedule": settings.schedule,
        "seed": settings.seed,
        "seed_matters": SAMPLERS[settings.sampler].seed_matters(settings.eta),
        "consistency": settings.consistency,
        "correction": correction,
        "clip": settings.clip,
    }
