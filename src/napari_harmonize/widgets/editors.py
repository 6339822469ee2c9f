"""One row of a form: an editor for each kind of setting.

An editor is a widget with ``value()``, ``setValue()`` and ``valueChanged``. What was set comes back exactly, also where the
picture shows fewer digits. :func:`make_editor` picks the editor for a declaration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QLocale, QObject, Qt, Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QDoubleSpinBox, QHBoxLayout, QLineEdit, QSizePolicy, QWidget

from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from napari_harmonize.settings import Declaration

# beyond this a double no longer holds every whole number
_WHOLE = 2.0**53
_WIDE = 1e15


class _QuietWheel(QObject):
    """Keeps the wheel from changing a value that has not been clicked first."""

    def eventFilter(self, watched: Any, event: Any) -> bool:
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def _quiet(widget: QWidget) -> None:
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_QuietWheel(widget))


class NumberBox(QDoubleSpinBox):
    """Spin box that shows numbers in their shortest form ("0.5", "1e-05", "12").

    Parameters
    ----------
    declaration : Declaration
        Limits, unit and kind (``int`` or ``float``).
    parent : QWidget, optional
        Qt parent.
    """

    def __init__(self, declaration: Declaration, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = declaration.kind
        wide = _WHOLE if self._kind is int else _WIDE
        self.setLocale(QLocale.c())
        self.setDecimals(0 if self._kind is int else 15)
        self.setRange(-wide if declaration.low is None else declaration.low, wide if declaration.high is None else declaration.high)
        self.setStepType(
            QAbstractSpinBox.StepType.DefaultStepType if self._kind is int else QAbstractSpinBox.StepType.AdaptiveDecimalStepType
        )
        self.setKeyboardTracking(False)
        if declaration.unit:
            self.setSuffix(f" {declaration.unit}")
        self.setMinimumWidth(self.fontMetrics().horizontalAdvance("-0.0000 " + self.suffix()) + 32)
        _quiet(self)

    def minimumSizeHint(self) -> Any:
        """Room for what is usual; the hint of the widest possible number would fill the dock."""
        hint = super().minimumSizeHint()
        hint.setWidth(self.minimumWidth())
        return hint

    sizeHint = minimumSizeHint

    def textFromValue(self, value: float) -> str:
        """Shortest text that reads back as the same number."""
        return str(round(value)) if self._kind is int else f"{value:.12g}"

    def _bare(self, text: str) -> str:
        return text.removesuffix(self.suffix()).strip()

    def valueFromText(self, text: str) -> float:
        """Number in a text with or without its unit."""
        return float(self._bare(text))

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Accept what Python reads as a number within the limits; let anything that may become one be typed."""
        bare = self._bare(text)
        try:
            inside = self.minimum() <= float(bare) <= self.maximum()
        except ValueError:
            typed = set(bare) <= set("+-.eE0123456789")
            return QValidator.State.Intermediate if typed else QValidator.State.Invalid, text, position
        whole = self._kind is float or float(bare).is_integer()
        return QValidator.State.Acceptable if inside and whole else QValidator.State.Intermediate, text, position


class Editor(QWidget):
    """Base of all editors: one widget inside a row.

    Attributes
    ----------
    valueChanged : Signal
        Something may have changed; ask :meth:`value`.
    """

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)

    if TYPE_CHECKING:

        def value(self) -> Any:
            """What stands in the row."""

        def setValue(self, value: Any) -> None:
            """Show a value without telling anybody."""

    def _hold(self, widget: QWidget) -> None:
        self._row.addWidget(widget)
        self.setFocusProxy(widget)


class NumberEditor(Editor):
    """Whole and real numbers."""

    def __init__(self, declaration: Declaration, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind = declaration.kind
        self.box = NumberBox(declaration, self)
        self._exact: float = declaration.default if declaration.default is not None else declaration.low or 0
        self._hold(self.box)
        self.box.valueChanged.connect(self._edited)

    def _edited(self) -> None:
        self._exact = self._kind(self.box.value())
        self.valueChanged.emit()

    def value(self) -> Any:
        """The number, with all its digits."""
        return self._exact

    def setValue(self, value: Any) -> None:
        """Show a number."""
        was = self.box.blockSignals(True)
        self.box.setValue(float(value))
        self.box.blockSignals(was)
        self._exact = value


class CheckEditor(Editor):
    """Yes or no."""

    def __init__(self, declaration: Declaration, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QCheckBox(self)
        self._hold(self.box)
        self.box.toggled.connect(self.valueChanged)

    def value(self) -> bool:
        """Whether it is ticked."""
        return self.box.isChecked()

    def setValue(self, value: Any) -> None:
        """Tick or untick."""
        was = self.box.blockSignals(True)
        self.box.setChecked(value)
        self.box.blockSignals(was)


class ChoiceEditor(Editor):
    """One name out of several."""

    def __init__(self, declaration: Declaration, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._declaration = declaration
        self._names: tuple[Any, ...] = ()
        self.box = QComboBox(self)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(8)
        _quiet(self.box)
        self._hold(self.box)
        self.refresh()
        self.box.currentIndexChanged.connect(self.valueChanged)

    def _allowed(self) -> tuple[Any, ...]:
        if self._declaration.choices is None and issubclass(self._declaration.kind, Enum):
            return tuple(self._declaration.kind)
        return self._declaration.allowed()

    def refresh(self) -> None:
        """Read the choices again and keep what is chosen where it is still allowed."""
        names = self._allowed()
        if names == self._names:
            return
        chosen = self.value()
        self._names = names
        was = self.box.blockSignals(True)
        self.box.clear()
        self.box.addItems([str(name.value if isinstance(name, Enum) else name) for name in names])
        self.box.setCurrentIndex(names.index(chosen) if chosen in names else min(0, len(names) - 1))
        self.box.blockSignals(was)

    def value(self) -> Any:
        """The chosen name."""
        # not the box's own data: PySide6 turns an enumerated string into a plain one there
        return self._names[self.box.currentIndex()] if self.box.currentIndex() >= 0 else None

    def setValue(self, value: Any) -> None:
        """Choose a name."""
        self.refresh()
        if value not in self._names:
            raise SettingsError(f"{self._declaration.name} must be one of {', '.join(map(str, self._names))}", f"{value!r} arrived")
        was = self.box.blockSignals(True)
        self.box.setCurrentIndex(self._names.index(value))
        self.box.blockSignals(was)


class TextEditor(Editor):
    """Any text; the base of what is typed as text."""

    def __init__(self, declaration: Declaration, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._declaration = declaration
        self.box = QLineEdit(self)
        self._value: Any = declaration.default
        self._hold(self.box)
        self.box.editingFinished.connect(self._edited)

    def _edited(self) -> None:
        if self.box.text() != self._write(self._value):
            self._value = self._read(self.box.text())
            self.valueChanged.emit()

    def _read(self, text: str) -> Any:
        return text

    def _write(self, value: Any) -> str:
        return value or ""

    def value(self) -> Any:
        """The text."""
        return self._value

    def setValue(self, value: Any) -> None:
        """Show a text."""
        self._value = value
        self.box.setText(self._write(value))
        self.box.setCursorPosition(0)


class ListEditor(TextEditor):
    """Numbers or names separated by commas; inner lists in square brackets."""

    def __init__(self, declaration: Declaration, parent: QWidget | None = None) -> None:
        super().__init__(declaration, parent)
        self.box.setPlaceholderText("separated by commas")

    def _read(self, text: str) -> Any:
        try:
            return _tuples(json.loads(f"[{text}]"))
        except json.JSONDecodeError:
            return tuple(part.strip() for part in text.split(",") if part.strip())

    def _write(self, value: Any) -> str:
        if all(isinstance(item, str) and "," not in item and item for item in value or ()) and not _like_json(value or ()):
            return ", ".join(value or ())
        return json.dumps(value)[1:-1]


class MappingEditor(TextEditor):
    """Named values as a JSON object."""

    def _read(self, text: str) -> Any:
        try:
            return json.loads(text or "{}")
        except json.JSONDecodeError:
            return text

    def _write(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(dict(value or {}))


class OptionalEditor(Editor):
    """A tick box before another editor: without the tick the value is ``None``."""

    def __init__(self, inner: Editor, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.inner = inner
        self.tick = QCheckBox(self)
        self.tick.setToolTip("Without a tick this is left open.")
        self._row.addWidget(self.tick)
        self._row.addWidget(inner, 1)
        inner.setEnabled(False)
        self.tick.toggled.connect(inner.setEnabled)
        self.tick.toggled.connect(self.valueChanged)
        inner.valueChanged.connect(self.valueChanged)

    def value(self) -> Any:
        """``None`` without the tick."""
        return self.inner.value() if self.tick.isChecked() else None

    def setValue(self, value: Any) -> None:
        """Show a value, or ``None``."""
        if value is not None:
            self.inner.setValue(value)
        was = self.tick.blockSignals(True)
        self.tick.setChecked(value is not None)
        self.tick.blockSignals(was)
        self.inner.setEnabled(value is not None)


def _like_json(names: tuple[str, ...]) -> bool:
    """Whether plain names would be read back as something else than names."""
    try:
        return bool(names) and bool(json.loads(f"[{', '.join(names)}]"))
    except json.JSONDecodeError:
        return False


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


EDITORS: dict[type, Callable[[Declaration, QWidget | None], Editor]] = {
    bool: CheckEditor,
    int: NumberEditor,
    float: NumberEditor,
    str: TextEditor,
    tuple: ListEditor,
    dict: MappingEditor,
    Mapping: MappingEditor,
}


def make_editor(declaration: Declaration, parent: QWidget | None = None) -> Editor:
    """Make the editor for a setting that is not itself a group of settings.

    Raises
    ------
    SettingsError
        No editor is known for this kind of value.
    """
    if declaration.choices is not None or issubclass(declaration.kind, Enum):
        editor: Editor = ChoiceEditor(declaration, parent)
    elif declaration.kind in EDITORS:
        editor = EDITORS[declaration.kind](declaration, parent)
    else:
        raise SettingsError("A form knows no editor for this kind of setting", f"{declaration.name} is a {declaration.kind.__name__}")
    return OptionalEditor(editor, parent) if declaration.optional else editor
