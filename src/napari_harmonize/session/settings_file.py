"""The settings file: what the window writes and the command line reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_harmonize import style
from napari_harmonize.errors import SettingsError, StyleError
from napari_harmonize.session.style import Look
from napari_harmonize.settings import from_json, to_json
from napari_harmonize.style import Edit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_harmonize.translation import TranslationSettings

KIND, VERSION = "napari-harmonize.settings", 1


@dataclass(frozen=True)
class SettingsFile:
    """How cases are to be translated.

    Parameters
    ----------
    translation : TranslationSettings
        Model, sampler, steps and the rest.
    look : Look
        Keys with their curves and origin, blend and edit; a look without key A is the model's training average.
    """

    translation: TranslationSettings
    look: Look = field(default_factory=Look)


def write(path: Path, settings: SettingsFile) -> Path:
    """Write the file anew.

    Parameters
    ----------
    path : Path
        Ends in .json.
    settings : SettingsFile
        What to write.
    """
    look = settings.look
    record = {
        "kind": KIND,
        "version": VERSION,
        "translation": to_json(settings.translation),
        "style": {
            "key": None if look.key is None else style.key_to_json(look.key),
            "other": None if look.other is None else style.key_to_json(look.other),
            "weight": look.weight,
            "edit": to_json(look.edit),
        },
    }
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def read(path: Path) -> SettingsFile:
    """Read the file strictly.

    Raises
    ------
    SettingsError
        It is no settings file, of another version, or a value in it is wrong.
    """
    from napari_harmonize.translation import TranslationSettings

    record = _record(path)
    known = {"kind", "version", "translation", "style"}
    if set(record) - known:
        raise SettingsError(
            f"A settings file holds {', '.join(sorted(known))}", f"{path.name} also holds {', '.join(sorted(set(record) - known))}"
        )
    translation = from_json(TranslationSettings, record.get("translation", {}))
    return SettingsFile(translation, _look(path, record.get("style") or {}))


def _record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError("A settings file can be read", f"{path.name}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError("A settings file is JSON", f"{path.name}: {error}") from error
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise SettingsError(f"A settings file is of kind {KIND}", f"{path.name} is not")
    if record.get("version") != VERSION:
        raise SettingsError(f"A settings file is of version {VERSION}", f"{path.name} is of version {record.get('version')}")
    return record


def _look(path: Path, record: Mapping[str, Any]) -> Look:
    try:
        key, other = (None if record.get(name) is None else style.key_from_json(record[name]) for name in ("key", "other"))
        return Look(key, other, float(record.get("weight", 0.0)), from_json(Edit, record.get("edit", {})))
    except (StyleError, TypeError, ValueError) as error:
        raise SettingsError("The style of a settings file is a key, another, a weight and an edit", f"{path.name}: {error}") from error
