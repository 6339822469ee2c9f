"""The wished look: two keys, a blend, an edit, their history, and three slices rendered with it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_harmonize import style
from napari_harmonize.errors import SessionError
from napari_harmonize.events import Note, Stage
from napari_harmonize.session.backend import job
from napari_harmonize.session.history import History
from napari_harmonize.style import Edit, Origin, StyleKey
from napari_harmonize.volumes import public_name

if TYPE_CHECKING:
    from pathlib import Path

    from napari_harmonize.events import Job
    from napari_harmonize.session.backend import Backend
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.style import FarFromTraining, Training
    from napari_harmonize.translation import SlicePreview
    from napari_harmonize.volumes import Volume


@dataclass(frozen=True)
class Look:
    """What look is wished for.

    Parameters
    ----------
    key : StyleKey, optional
        Key A. None until a model with keys is chosen.
    other : StyleKey, optional
        Key B.
    weight : float, 0..1
        Share of key B.
    edit : Edit
        Change of the intensity mapping, applied after the blend.
    """

    key: StyleKey | None = None
    other: StyleKey | None = None
    weight: float = 0.0
    edit: Edit = field(default_factory=Edit)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Look):
            return NotImplemented
        same = _same(self.key, other.key) and _same(self.other, other.other)
        return same and self.weight == other.weight and self.edit == other.edit

    __hash__ = None  # type: ignore[assignment]

    def wished(self) -> StyleKey | None:
        """Key the network is given: blend, then edit."""
        if self.key is None:
            return None
        key = self.key
        if self.other is not None and self.weight > 0:
            key = style.blend(key, self.other, self.weight)
        return key if self.edit.changes_nothing else style.apply(self.edit, key)


@dataclass(frozen=True, eq=False)
class Rendered:
    """Slices rendered with a look.

    Parameters
    ----------
    look : Look
        The look they were rendered with.
    preview : SlicePreview
        ``slices`` and ``source``: position along the model's axis (canonical source) to (h, w) float32, 0..1.
    """

    look: Look
    preview: SlicePreview


class StylePart:
    """Holds the style key of a session.

    Attributes
    ----------
    value : Look
        Read it; write through the methods.
    presets : dict of str to StyleKey
        Keys at hand: "training average", "most similar training subject", computed and loaded ones.
    training : Training, optional
        Keys the model was trained with.
    warning : FarFromTraining, optional
        Where the wished key is far from training; ``str`` of it is one sentence.
    rendered : Rendered, optional
        Last preview; None after the model or the source changed.
    changed : Signal(Look)
        The look changed; also while a handle is being dragged.
    kept : Signal(Look)
        A change entered the history (it is also written to the audit log).
    presets_changed : Signal(dict)
        A key came or went.
    preview_changed : Signal(object)
        New slices, or None.
    """

    changed = Signal(object)
    kept = Signal(object)
    presets_changed = Signal(dict)
    preview_changed = Signal(object)

    def __init__(self, desk: Desk, backend: Backend) -> None:
        self._desk, self._backend = desk, backend
        self.value = Look()
        self._history: History[Look] = History(self.value)
        self.presets: dict[str, StyleKey] = {}
        self.training: Training | None = None
        self.warning: FarFromTraining | None = None
        self.rendered: Rendered | None = None

    @property
    def can_undo(self) -> bool:
        """Whether a step can be taken back."""
        return bool(self._history.before)

    @property
    def can_redo(self) -> bool:
        """Whether a step can be taken again."""
        return bool(self._history.after)

    def use_training(self, training: Training | None) -> None:
        """Begin with a model's training keys: the average is chosen, the history is empty."""
        self.training = training
        self.presets = {} if training is None else {Origin.AVERAGE.value: training.average}
        self.value = Look(key=None if training is None else training.average)
        self._history = History(self.value)
        self.forget_preview()
        self.presets_changed.emit(self.presets)
        self._announce()

    def set(self, *, keep: bool = True, **changes: Any) -> None:
        """Change the look.

        Parameters
        ----------
        keep : bool
            Whether this is a step of the history; False while a handle or slider is being dragged, then call :meth:`keep`.
        **changes
            Fields of :class:`Look`.
        """
        look = dataclasses.replace(self.value, **changes)
        look.wished()  # an impossible edit is refused here, before anything changed
        self.value = look
        self._announce()
        if keep:
            self.keep()

    def choose(self, name: str) -> None:
        """Use a preset as key A, without edit and blend."""
        self.set(key=self._preset(name), weight=0.0, edit=Edit())

    def choose_other(self, name: str | None) -> None:
        """Use a preset as key B, or none."""
        self.set(other=None if name is None else self._preset(name), weight=self.value.weight if name else 0.0)

    def reset(self) -> None:
        """Take edit and blend back to nothing, as one step."""
        self.set(weight=0.0, edit=Edit())

    def keep(self) -> None:
        """Make the look as it is now a step of the history."""
        before, self._history = self._history, self._history.push(self.value)
        if before is not self._history:
            self.kept.emit(self.value)
        self._announce()

    def undo(self) -> None:
        """One step back; an unkept drag is taken back first."""
        self._step(History(self._history.now, self._history.before, self._history.after) if self._dragged() else self._history.undo())

    def redo(self) -> None:
        """One step forward again."""
        self._step(self._history.redo())

    def compute(self, volume: Volume, origin: Origin, mask: Volume | None = None) -> Request:
        """Compute the key of a volume and put it among the presets; one of the truth is marked as oracle.

        Parameters
        ----------
        volume : Volume
            Any grid.
        origin : Origin
            REFERENCE, ORACLE, ...
        mask : Volume, optional
            Same grid.
        """
        return self._desk.ask("key", f"Style key of {volume.name}", self._computing(volume, origin, mask), self._add)

    def find_similar(self, volume: Volume, mask: Volume | None = None) -> Request:
        """Find the training key nearest to a volume's own, and put it among the presets."""
        training = self.training
        if training is None:
            raise SessionError("The most similar subject is found among training keys", "this model has none")
        work = job("Most similar training subject", lambda: style.nearest(self._compute(volume, Origin.REFERENCE, mask), training))
        return self._desk.ask("key", "Most similar training subject", work, self._add)

    def save(self, path: Path, name: str) -> None:
        """Save the wished key under a name, and put it among the presets."""
        key = self.value.wished()
        if key is None:
            raise SessionError("There must be a style key to save", "none is chosen")
        named = dataclasses.replace(key, label=name)
        style.save((named,), path)
        self._add(named)

    def load(self, path: Path) -> Request:
        """Put the keys of a file among the presets."""
        return self._desk.ask("key", f"Reading {path.name}", job(f"Reading {path.name}", lambda: style.load(path)), self._add_all)

    def render(self, work: Job[SlicePreview]) -> Request:
        """Ask for slices with the look as it is; an older request is overtaken."""
        look = self.value
        return self._desk.ask("preview", "Style preview", work, lambda preview: self._show(Rendered(look, preview)))

    def forget_preview(self) -> None:
        """Slices of another source or model are not shown any more."""
        if self.rendered is not None:
            self._show(None)

    def _computing(self, volume: Volume, origin: Origin, mask: Volume | None) -> Job[StyleKey]:
        yield Stage(f"Style key of {volume.name}")
        said = self._backend.below_zero(volume, mask, "volume")
        if said:
            yield Note(f"{said} The key counts that as 0.", "warning")
        return self._compute(volume, origin, mask)

    def _compute(self, volume: Volume, origin: Origin, mask: Volume | None) -> StyleKey:
        inside = None if mask is None else mask.data > 0
        bins = style.BINS if self.training is None else self.training.average.bins
        shown = public_name(volume)
        label = f"{origin.value}: {shown}"
        data = self._backend.unit(volume, inside)
        return style.compute(data, bins=bins, mask=inside, label=label, origin=origin, source_name=shown)

    def _preset(self, name: str) -> StyleKey:
        if name not in self.presets:
            raise SessionError("A preset has a known name", f"{name!r} arrived", f"Known are: {', '.join(self.presets) or 'none'}")
        return self.presets[name]

    def _add(self, key: StyleKey) -> None:
        self._add_all((key,))

    def _add_all(self, keys: tuple[StyleKey, ...]) -> None:
        self.presets = {**self.presets, **{key.label or key.origin.value: key for key in keys}}
        self.presets_changed.emit(self.presets)

    def _dragged(self) -> bool:
        return self.value != self._history.now

    def _step(self, history: History[Look]) -> None:
        self._history, self.value = history, history.now
        self._announce()

    def _announce(self) -> None:
        key = self.value.wished()
        self.warning = None if key is None or self.training is None else style.far(key, self.training)
        self.changed.emit(self.value)

    def _show(self, rendered: Rendered | None) -> None:
        self.rendered = rendered
        self.preview_changed.emit(rendered)


def _same(a: StyleKey | None, b: StyleKey | None) -> bool:
    return a is b or (a is not None and b is not None and a.label == b.label and a.same_as(b))
