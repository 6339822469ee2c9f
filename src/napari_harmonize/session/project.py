"""The project folder: settings, audit log, decisions, and the results that were made."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_harmonize import __version__
from napari_harmonize.errors import SessionError
from napari_harmonize.session import lines

KIND, VERSION = "napari-harmonize.audit", 1


class Project:
    """A folder a session keeps its records in.

    Parameters
    ----------
    folder : Path
        Made where it is absent; a folder with other files in it is used beside them.

    Attributes
    ----------
    folder : Path
        The folder.
    notes : list of str
        One sentence for every line of the audit log that could not be read.

    Raises
    ------
    SessionError
        The folder cannot be made or written to.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        try:
            self.results.mkdir(parents=True, exist_ok=True)
            self._log.touch()
        except OSError as error:
            raise SessionError("A project is a folder that can be written to", f"{self.folder.name}: {error.strerror}") from error
        self.records, self.notes = lines.read(self._log)

    @property
    def results(self) -> Path:
        """Where results are kept for the next time."""
        return self.folder / "results"

    @property
    def settings_file(self) -> Path:
        """Where the settings of the last run are written; the command line reads it."""
        return self.folder / "settings.json"

    @property
    def _log(self) -> Path:
        return self.folder / "audit.jsonl"

    def review_file(self, rater: str) -> Path:
        """Decisions of one rater; two raters never share a file."""
        safe = re.sub(r"[^A-Za-z0-9]+", "-", rater).strip("-") or "rater"
        # names that differ in other letters, or in case only, must not meet in one file
        return self.folder / f"review-{safe}-{hashlib.sha256(rater.encode()).hexdigest()[:6]}.jsonl"

    def sole_rater(self) -> str:
        """Name of the rater, where decisions of exactly one are kept here; else empty."""
        files = sorted(self.folder.glob("review-*.jsonl"))
        found = lines.read(files[0])[0] if len(files) == 1 else []
        return str(found[-1].get("rater", "")) if found else ""

    def audit(self, event: str, **facts: Any) -> None:
        """Add one line to the audit log; it is on the disk when this returns.

        Parameters
        ----------
        event : str
            "load", "run", "style", "decision", "export", "tick", "remedy", "open", "mark".
        **facts
            JSON values with hashes; no path, no patient text.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"kind": KIND, "version": VERSION, "at": at, "tool": __version__, "event": event, **facts}
        lines.append(self._log, record)
        self.records.append(record)
