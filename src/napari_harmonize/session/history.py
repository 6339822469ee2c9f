"""Undo and redo of a frozen value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class History(Generic[Value]):
    """A frozen value with what it was before and what was undone.

    Parameters
    ----------
    now : object
        The value; compared with ``==``.
    before, after : tuple
        Oldest first; next to be redone first.
    """

    now: Value
    before: tuple[Value, ...] = ()
    after: tuple[Value, ...] = ()
    limit: int = 200

    def push(self, value: Value) -> History[Value]:
        """Go on to a value; the same value again is no step, and what was undone is forgotten."""
        if value == self.now:
            return self
        return replace(self, now=value, before=(*self.before, self.now)[-self.limit :], after=())

    def undo(self) -> History[Value]:
        """One step back, or the same history at its beginning."""
        if not self.before:
            return self
        return replace(self, now=self.before[-1], before=self.before[:-1], after=(self.now, *self.after))

    def redo(self) -> History[Value]:
        """One step forward again, or the same history at its end."""
        if not self.after:
            return self
        return replace(self, now=self.after[0], before=(*self.before, self.now), after=self.after[1:])
