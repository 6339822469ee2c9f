"""What the hyper-parameters of a spine-system checkpoint tell, wherever they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_harmonize.errors import ModelError
from napari_harmonize.translation.importers.files import Options, load_options

CONTRASTS = {"CT": "CT", "T1": "T1", "T1W": "T1", "MRI": "T1", "T2": "T2", "T2W": "T2", "T1GD": "T1GD", "FLAIR": "FLAIR"}
RAMP = "linespace"
WRONG_KINDS = (TypeError, ValueError, LookupError, AttributeError)


@dataclass(frozen=True)
class Told:
    """What hyper-parameters tell.

    Parameters
    ----------
    facts : mapping of str
        Under the names of the importer's answers.
    fold : int
        Pixels along each side of the blocks folded into channels.
    dropout : float
        Share a generator dropped while training.
    where : str
        Where they stood; empty where there were none.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    fold: int = 1
    dropout: float = 0.0
    where: str = ""


def told_by(found: Mapping[str, Any], path: Path, named: str = "") -> Told:
    """Read hyper-parameters: from the file named, else in the checkpoint, else from the .yaml file beside it.

    Parameters
    ----------
    found : mapping
        What the checkpoint holds.
    path : Path
        Where it lies.
    named : str
        A .yaml file; empty for none.

    Raises
    ------
    ModelError
        They are not of the kinds the authors' code gives them, or of a model that cannot be used here.
    """
    said, where = _found(found, path, named)
    try:
        return replace(_told(said), where=where)
    except WRONG_KINDS as error:
        reason = f"{where}: {error}"
        raise ModelError(
            "Hyper-parameters are of the kinds the authors' code gives them", reason, "Name a .yaml file with the right ones"
        ) from error


def _found(found: Mapping[str, Any], path: Path, named: str) -> tuple[Mapping[str, Any], str]:
    if named:
        return load_options(Path(named)), Path(named).name
    hyper = found.get("hyper_parameters")
    bag = hyper.get("opt") if isinstance(hyper, Mapping) else None
    if isinstance(bag, Options | Mapping):
        return bag if isinstance(bag, Mapping) else vars(bag), "the checkpoint"
    beside = [path.with_suffix(suffix) for suffix in (".yaml", ".yml") if path.with_suffix(suffix).is_file()]
    return (load_options(beside[0]), beside[0].name) if beside else ({}, "")


def _told(said: Mapping[str, Any]) -> Told:
    _refuse_normalisation(said.get("normalize"))
    facts: dict[str, Any] = {}
    if "image_mode" in said:
        facts["objective"] = "clean" if said["image_mode"] else "noise"
    if "linear" in said:
        facts["schedule"] = "linear" if said["linear"] else "cosine"
    if "timesteps" in said:
        facts["timesteps"] = int(said["timesteps"])
    if "image_dropout" in said:
        facts["dropped"] = float(said["image_dropout"] or 0) > 0
    patch = said.get("target_shape3D") or said.get("target_patch_shape")
    if patch:
        facts["patch"] = tuple(int(size) for size in patch)
    return Told(facts | _contrasts(said), int(said.get("patch_size") or 1), float(said.get("net_G_drop_out") or 0))


def _contrasts(said: Mapping[str, Any]) -> dict[str, str]:
    """From the list of contrasts, the target first; one entry alone is the condition of a CT."""
    listed = [str(one) for one in said.get("condition_types") or ()]
    if said.get("input_rows") and said.get("output_rows"):
        listed = [str(said["output_rows"][0]), str(said["input_rows"][0])]
    target, *conditions = listed if len(listed) > 1 else ["CT", *listed]
    source = [one for one in conditions if one != RAMP][:1]
    pairs = zip(("to_contrast", "from_contrast"), [target, *source], strict=False)
    return {name: CONTRASTS.get(one.upper(), one) for name, one in pairs} if source else {}


def _refuse_normalisation(found: Any) -> None:
    """Refuse intensities that are not brought from 0..1 to -1..1.

    Raises
    ------
    ModelError
        Mean or standard deviation is not a half.
    """
    parts = list(found.values()) if isinstance(found, Mapping) else []
    numbers = [part for part in parts if not isinstance(part, Mapping)]
    for part in parts:
        if isinstance(part, Mapping):
            _refuse_normalisation(part)
    if numbers and not all(np.allclose(part, 0.5) for part in numbers):
        raise ModelError(
            "Intensities go in as 2 x - 1", f"this model was trained with {found}", "Models of colour images cannot be used here"
        )
