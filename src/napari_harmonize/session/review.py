"""The worklist and what was decided about it."""

from __future__ import annotations

import dataclasses
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_harmonize import __version__
from napari_harmonize.errors import SessionError
from napari_harmonize.session import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KIND, VERSION = "napari-harmonize.decision", 1

TAGS = (
    "anatomy changed",
    "lesion lost",
    "lesion invented",
    "slice jumps",
    "striping",
    "wrong contrast or style",
    "boundary or skull error",
    "intensity or HU wrong",
    "misaligned with source",
    "source artefact",
    "cropped",
    "other",
)


class Verdict(StrEnum):
    """What can be decided about a result."""

    ACCEPT = "accept"
    QUERY = "query"
    REJECT = "reject"


KEYS: dict[str, Verdict] = {"A": Verdict.ACCEPT, "Q": Verdict.QUERY, "R": Verdict.REJECT}


class Tag(StrEnum):
    """State of a reason tag."""

    PRESENT = "present"
    ABSENT = "absent"
    NOT_STATED = "not stated"


@dataclass(frozen=True)
class Item:
    """One result to be looked at.

    Parameters
    ----------
    run : str
        Id of the run.
    case : str
        Base name of the source.
    model : str
        Title of the model.
    source_sha256, result_sha256 : str
        What was translated, and to what.
    """

    run: str
    case: str
    model: str
    source_sha256: str
    result_sha256: str


@dataclass(frozen=True)
class Draft:
    """What the reviewer has stated before deciding.

    Parameters
    ----------
    comment : str
        Compulsory unless accepted.
    tags : mapping of str to Tag
        Tags not named are not stated.
    confidence : int, optional
        1 (guess) to 5 (certain).
    """

    comment: str = ""
    tags: Mapping[str, Tag] = field(default_factory=lambda: MappingProxyType({}))
    confidence: int | None = None


@dataclass(frozen=True)
class Decision:
    """One decision, as it stands in the file.

    Parameters
    ----------
    item : Item
        What it is about.
    verdict : Verdict
        What was decided.
    draft : Draft
        Comment, tags and confidence.
    rater : str
        Who.
    crosshair : tuple of three float
        RAS+ mm, where the reviewer was looking.
    windows : mapping of str to (width, level)
        How.
    seconds : float
        Time on the case.
    blinded : bool
        Whether model and run were hidden.
    at : str
        ISO 8601 time, UTC.
    tool : str
        Version of this package.
    """

    item: Item
    verdict: Verdict
    draft: Draft
    rater: str
    crosshair: tuple[float, float, float]
    windows: Mapping[str, tuple[float, float]]
    seconds: float
    blinded: bool
    at: str
    tool: str = __version__

    def to_json(self) -> dict[str, Any]:
        """Write as one JSON line's object."""
        stated = {name: state.value for name, state in self.draft.tags.items() if state is not Tag.NOT_STATED}
        return {
            "kind": KIND,
            "version": VERSION,
            "item": dataclasses.asdict(self.item),
            "verdict": self.verdict.value,
            "comment": self.draft.comment,
            "tags": stated,
            "confidence": self.draft.confidence,
            "rater": self.rater,
            "crosshair_mm": list(self.crosshair),
            "windows": {role: list(window) for role, window in self.windows.items()},
            "seconds": round(self.seconds, 1),
            "blinded": self.blinded,
            "at": self.at,
            "tool": self.tool,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Decision:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        SessionError
            Another kind or version of record.
        """
        if (record.get("kind"), record.get("version")) != (KIND, VERSION):
            raise SessionError(f"A decision is of kind {KIND} version {VERSION}", f"{record.get('kind')} {record.get('version')} arrived")
        tags = {name: Tag(state) for name, state in record["tags"].items()}
        x, y, z = record["crosshair_mm"]
        return cls(
            Item(**record["item"]),
            Verdict(record["verdict"]),
            Draft(record["comment"], MappingProxyType(tags), record["confidence"]),
            record["rater"],
            (x, y, z),
            {role: (width, level) for role, (width, level) in record["windows"].items()},
            record["seconds"],
            record["blinded"],
            record["at"],
            record["tool"],
        )


class ReviewPart:
    """Holds the worklist, the decisions and the draft of the next one.

    Attributes
    ----------
    items : tuple of Item
        In the order of the runs.
    current : str, optional
        Run id of the item in front.
    draft : Draft
        What is stated so far about it.
    decisions : tuple of Decision
        Everything ever decided, oldest first; the last one about an item counts.
    rater : str
        Who decides.
    file : Path, optional
        Where decisions go; None keeps them in memory only.
    changed : Signal()
        Any of this changed.
    decided : Signal(Decision)
        A decision was made and saved.
    rater_changed : Signal(str)
        Somebody else decides.
    """

    changed = Signal()
    rater_changed = Signal(str)
    decided = Signal(object)

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.items: tuple[Item, ...] = ()
        self.current: str | None = None
        self.draft = Draft()
        self.decisions: tuple[Decision, ...] = ()
        self.rater = ""
        self.file: Path | None = None
        self._began = 0.0

    def add(self, item: Item) -> None:
        """Put a result on the worklist and in front."""
        self.items = (*(kept for kept in self.items if kept.run != item.run), item)
        self.open(item.run)

    def remove(self, run_id: str) -> None:
        """Take a result off the worklist; its decisions stay."""
        self.items = tuple(item for item in self.items if item.run != run_id)
        self.open(None if self.current == run_id else self.current)

    def open(self, run_id: str | None) -> None:
        """Put an item in front; its draft begins with what was decided last."""
        last = self.latest(run_id)
        self.current, self._began = run_id, self._clock()
        self.draft = last.draft if last is not None else Draft()
        self.changed.emit()

    def step(self, by: int, *, seed: int | None = None) -> str | None:
        """Go to the next (+1) or previous (-1) item; stays at either end."""
        order = [item.run for item in self.order(seed)]
        if not order:
            return None
        here = order.index(self.current) if self.current in order else -by if by > 0 else 0
        self.open(order[min(max(here + by, 0), len(order) - 1)])
        return self.current

    def next_open(self, seed: int | None = None) -> str | None:
        """Go to the next item after the one in front that nobody has decided on, if there is one; ``seed`` as in :meth:`order`."""
        runs = [item.run for item in self.order(seed)]
        here = runs.index(self.current) if self.current in runs else -1
        waiting = next((run for run in (*runs[here + 1 :], *runs[: here + 1]) if self.latest(run) is None), None)
        if waiting is not None:
            self.open(waiting)
        return waiting

    def order(self, seed: int | None = None) -> tuple[Item, ...]:
        """List the worklist, shuffled where a seed is given (blinded mode)."""
        items = list(self.items)
        if seed is not None:
            random.Random(seed).shuffle(items)
        return tuple(items)

    def latest(self, run_id: str | None) -> Decision | None:
        """Give the decision that counts for an item."""
        return next((made for made in reversed(self.decisions) if made.item.run == run_id), None)

    def set_draft(self, **changes: Any) -> None:
        """State comment, tags or confidence before deciding."""
        draft = dataclasses.replace(self.draft, **changes)
        _check(draft)
        if draft != self.draft:
            self.draft = draft
            self.changed.emit()

    def set_rater(self, name: str) -> None:
        """Say who decides; decisions of the former rater stay in that rater's file."""
        if name.strip() != self.rater:
            self.rater = name.strip()
            self.rater_changed.emit(self.rater)
            self.changed.emit()

    def decide(
        self,
        verdict: Verdict | str,
        *,
        crosshair: tuple[float, float, float],
        windows: Mapping[str, tuple[float, float]],
        blinded: bool = False,
    ) -> Decision:
        """Decide about the item in front, with the draft as it is; a change of mind is another record.

        Raises
        ------
        SessionError
            No item, no rater, or no comment where one is compulsory.
        """
        item = next((item for item in self.items if item.run == self.current), None)
        if item is None:
            raise SessionError("A decision is about a result", "none is in front", "Open one from the worklist")
        if not self.rater:
            raise SessionError("A decision has a rater", "no name is given", "Enter your name or initials in the Review dock")
        if Verdict(verdict) is not Verdict.ACCEPT and not self.draft.comment.strip():
            raise SessionError("A comment is compulsory unless the result is accepted", "the comment is empty", "Say in a few words why")
        at = datetime.now(UTC).isoformat(timespec="seconds")
        seconds = self._clock() - self._began
        made = Decision(item, Verdict(verdict), self.draft, self.rater, crosshair, dict(windows), seconds, blinded, at)
        if self.file is not None:
            lines.append(self.file, made.to_json())
        self.decisions = (*self.decisions, made)
        self.decided.emit(made)
        self.changed.emit()
        return made

    def keep_in(self, file: Path | None) -> list[str]:
        """Keep decisions in a file: what it holds is read, what was decided before is added.

        Returns
        -------
        list of str
            A sentence for every line that could not be read.
        """
        records, notes = ([], []) if file is None else lines.read(file)
        unsaved = self.decisions if self.file is None else ()
        kept, broken = _read(records)
        if file is not None:
            for made in unsaved:
                lines.append(file, made.to_json())
        self.file, self.decisions = file, (*kept, *unsaved)
        self.changed.emit()
        return notes + broken


def _read(records: list[dict[str, Any]]) -> tuple[list[Decision], list[str]]:
    decisions, notes = [], []
    for record in records:
        try:
            decisions.append(Decision.from_json(record))
        except (KeyError, TypeError, ValueError, SessionError) as error:
            notes.append(f"A record of the review file was left out: {type(error).__name__} {error}")
    return decisions, notes


def _check(draft: Draft) -> None:
    unknown = set(draft.tags) - set(TAGS)
    if unknown:
        raise SessionError("A reason tag has a known name", f"{', '.join(sorted(unknown))} arrived", f"Known are: {', '.join(TAGS)}")
    if draft.confidence is not None and draft.confidence not in range(1, 6):
        raise SessionError("Confidence is a whole number from 1 (guess) to 5 (certain)", f"{draft.confidence!r} arrived")
