"""Append-only files of JSON lines that survive a crash in the middle of a line."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add one record and make sure that it is on the disk before returning.

    Parameters
    ----------
    path : Path
        The file; made where it is absent. A broken last line is ended first, so that it cannot swallow this one.
    record : mapping
        JSON values.
    """
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, allow_nan=False)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        file.write(f"{text}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read every record that is whole.

    Parameters
    ----------
    path : Path
        The file; absent is the same as empty.

    Returns
    -------
    records : list of dict
        In the order written.
    notes : list of str
        One sentence for every line that could not be read.
    """
    records, notes = [], []
    raw = path.read_bytes().split(b"\n") if path.exists() else []
    for number, line in enumerate(raw, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            notes.append(f"Line {number} of {path.name} is broken and was left out; every other line was read")
    return records, notes
