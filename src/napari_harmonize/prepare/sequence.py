"""Several steps one after another, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_harmonize.errors import SettingsError
from napari_harmonize.prepare.step import Context, Record, Step, foreground
from napari_harmonize.settings import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from typing import Any

    from napari_harmonize.volumes.volume import Volume


def make(name: str, settings: Mapping[str, Any] | None = None) -> Step:
    """Build a step from its name and its settings as JSON values.

    Raises
    ------
    SettingsError
        There is no such step, or its settings are wrong.
    """
    from napari_harmonize.prepare import STEPS

    if name not in STEPS:
        raise SettingsError(f"A preparation step is one of {', '.join(STEPS)}", f"{name!r} arrived")
    cls = STEPS[name]
    return cls(from_json(cls.Settings, settings or {}))  # type: ignore[attr-defined]


def name_of(step: Step) -> str:
    """Give the name a step has in ``STEPS``."""
    from napari_harmonize.prepare import STEPS

    return next(name for name, cls in STEPS.items() if type(step) is cls)


def preparing(volume: Volume, steps: Sequence[Step], context: Context) -> Generator[str, None, tuple[Volume, tuple[Record, ...]]]:
    """Prepare a volume step by step; yields the name of each step before doing it.

    Without a mask the foreground of ``volume``, as it arrives, is the mask of every step.

    Returns
    -------
    Volume
        The prepared volume.
    tuple of Record
        What was done, in order.
    """
    if context.mask is None:
        context = Context(foreground(volume), context.multiple, context.axis)
    records = []
    for step in steps:
        yield name_of(step)
        params = step.draw(volume, context)
        records.append(Record(name_of(step), to_json(step.settings), params))
        if "skipped" not in params:
            volume = step.apply(volume, params, context)
    return volume, tuple(records)


def prepare(volume: Volume, steps: Sequence[Step], context: Context) -> tuple[Volume, tuple[Record, ...]]:
    """Prepare a volume in one go; see :func:`preparing`."""
    work = preparing(volume, steps, context)
    while True:
        try:
            next(work)
        except StopIteration as end:
            done: tuple[Volume, tuple[Record, ...]] = end.value
            return done


def undo(volume: Volume, records: Sequence[Record]) -> Volume:
    """Take the steps' changes of geometry back, last first.

    Parameters
    ----------
    volume : Volume
        On the grid the last step left.
    records : sequence of Record
        What was done.

    Returns
    -------
    Volume
        On the grid the first step found, shape and affine exactly; what had been cut away is 0.

    Raises
    ------
    GeometryError
        The volume is on another grid.
    """
    for record in reversed(records):
        if "skipped" not in record.params:
            volume = make(record.step, record.settings).undo(volume, record.params)
    return volume
