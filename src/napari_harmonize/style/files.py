"""Style keys as JSON: saved, shared, read strictly."""

from __future__ import annotations

import difflib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_harmonize.errors import StyleError
from napari_harmonize.style.key import Origin, StyleKey, curves_of

KIND = "napari-harmonize.style-keys"
VERSION = 1
FIELDS: dict[str, type] = {"label": str, "origin": str, "source_name": str, "history": list, "peeks": bool, "histogram": list}


def save(keys: Sequence[StyleKey], path: str | os.PathLike[str]) -> None:
    """Save named keys to a JSON file, which is replaced as a whole or not at all.

    Parameters
    ----------
    keys : sequence of StyleKey
        At least one; every label is there and is used once.
    path : path
        The file.

    Raises
    ------
    StyleError
        There is no key, a label is missing or used twice, or the file cannot be written.
    """
    _check_labels([key.label for key in keys], Path(path).name)
    text = json.dumps({"kind": KIND, "version": VERSION, "keys": [key_to_json(key) for key in keys]}, indent=1)
    partial = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.part")
    try:
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StyleError("Style keys are saved to a file that can be written", f"{Path(path).name}: {error.strerror}") from error


def load(path: str | os.PathLike[str]) -> tuple[StyleKey, ...]:
    """Read the keys of a JSON file; where each came from is kept as it was saved.

    Parameters
    ----------
    path : path
        As :func:`save` wrote it.

    Returns
    -------
    tuple of StyleKey
        In the order of the file.

    Raises
    ------
    StyleError
        The file cannot be read, is of another kind or version, or has a field that is unknown, missing or wrong.
    """
    name = Path(path).name
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise StyleError("Style keys are read from a file that is there", f"{name}: {error.strerror}") from error
    except ValueError as error:
        raise StyleError("A file of style keys is JSON text", f"{name}: {error}") from error
    keys = tuple(key_from_json(item) for item in _listed(found, name))
    _check_labels([key.label for key in keys], name)
    return keys


def key_to_json(key: StyleKey) -> dict[str, Any]:
    """Write one key as plain JSON values; the two curves that follow from the histogram are left out.

    Parameters
    ----------
    key : StyleKey
        The key.

    Returns
    -------
    dict
        ``label``, ``origin``, ``source_name``, ``history``, ``peeks`` and ``histogram``, which sums to 10.
    """
    facts = {"label": key.label, "origin": str(key.origin), "source_name": key.source_name}
    return {**facts, "history": list(key.history), "peeks": key.peeks, "histogram": key.histogram.tolist()}


def key_from_json(values: Any) -> StyleKey:
    """Read one key strictly; a key read back is the same to the last bit.

    Parameters
    ----------
    values : mapping
        As :func:`key_to_json` wrote it.

    Returns
    -------
    StyleKey
        The key.

    Raises
    ------
    StyleError
        A field is unknown (the nearest known one is given), missing, of the wrong type, or no valid key.
    """
    _check_fields(values)
    if values["origin"] not in list(Origin):
        raise StyleError(f"The origin of a style key is one of: {', '.join(Origin)}", f"{values['origin']!r} arrived")
    if not all(isinstance(line, str) for line in values["history"]):
        raise StyleError("The history of a style key is a list of sentences", f"that of {values['label']!r} holds other things")
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in values["histogram"]):
        raise StyleError("The histogram of a style key is a list of numbers", f"that of {values['label']!r} holds other things")
    facts = {**values, "origin": Origin(values["origin"]), "history": tuple(values["history"])}
    return StyleKey(curves_of(np.array(facts.pop("histogram"), np.float64)), **facts)


def _listed(found: Any, name: str) -> list[Any]:
    kind = found.get("kind") if isinstance(found, Mapping) else None
    if kind != KIND:
        raise StyleError(f"A file of style keys says that its kind is {KIND!r}", f"{name} says {kind!r}")
    if found.get("version") != VERSION:
        remedy = "A newer release of napari-harmonize may have written it"
        raise StyleError(f"Files of style keys are read in version {VERSION}", f"{name} has version {found.get('version')!r}", remedy)
    unknown = set(found) - {"kind", "version", "keys"}
    if unknown or not isinstance(found.get("keys"), list):
        raise StyleError("A file of style keys holds kind, version and a list of keys", f"{name} holds {', '.join(map(str, found))}")
    return list(found["keys"])


def _check_fields(values: Any) -> None:
    if not isinstance(values, Mapping):
        raise StyleError("A style key is an object of named values", f"a {type(values).__name__} arrived")
    for name in values:
        if name not in FIELDS:
            near = difflib.get_close_matches(str(name), FIELDS, n=1, cutoff=0.0)
            raise StyleError(f"A style key has no field {name!r}", remedy=f"Did you mean {near[0]!r}?")
    for name, kind in FIELDS.items():
        if name not in values:
            raise StyleError(f"A style key has a field {name!r}", "it is missing")
        if not isinstance(values[name], kind):
            raise StyleError(f"The field {name!r} of a style key is a {kind.__name__}", f"{type(values[name]).__name__} arrived")


def _check_labels(labels: list[str], name: str) -> None:
    if not labels:
        raise StyleError("A file of style keys holds at least one", f"{name} would hold none")
    if not all(label.strip() for label in labels):
        raise StyleError("Every style key in a file has a name", f"one in {name} has none")
    label, times = Counter(labels).most_common(1)[0]
    if times > 1:
        raise StyleError("Every style key in a file has a name of its own", f"{times} in {name} are called {label!r}")
