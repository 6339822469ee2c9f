"""A form for any settings class, made from its declarations."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QGroupBox, QLabel, QVBoxLayout, QWidget

from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import Declaration, Settings, declarations
from napari_harmonize.widgets.editors import ChoiceEditor, Editor, OptionalEditor, TextEditor, make_editor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Form(QWidget):
    """Edits one frozen settings value.

    Parameters
    ----------
    subject : type or Settings
        The settings class, or a value of it to start from.
    parent : QWidget, optional
        Qt parent.
    only : sequence of str
        Fields to show; the others keep what :meth:`setValue` gave them. Empty shows all.

    Attributes
    ----------
    valueChanged : Signal(Settings)
        The new value, after the user changed it; never after :meth:`setValue`, never an equal one twice.
    refused : Signal(str)
        What stands in the rows does not go together; the sentence says why. An empty string says it is well again.
    """

    valueChanged = Signal(object)
    refused = Signal(str)

    def __init__(self, subject: type[Settings] | Settings, parent: QWidget | None = None, *, only: Sequence[str] = ()) -> None:
        super().__init__(parent)
        self._value = subject() if isinstance(subject, type) else subject
        known = declarations(type(self._value))
        self._rows = {name: declared for name, declared in known.items() if not only or name in only}
        self._editors: dict[str, Editor] = {}
        self._labels: dict[str, QLabel] = {}
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for declared in self._rows.values():
            self._add(declared)
        self._complaint = QLabel(self)
        self._complaint.setWordWrap(True)
        self._complaint.setVisible(False)
        self._layout.addRow(self._complaint)
        self.setValue(self._value)

    def _add(self, declared: Declaration) -> None:
        nested = issubclass(declared.kind, Settings)
        editor = GroupEditor(declared, self) if nested else make_editor(declared, self)
        editor.setToolTip(declared.help)
        editor.valueChanged.connect(self._edited)
        self._editors[declared.name] = editor
        if nested:
            self._layout.addRow(editor)
            return
        label = QLabel(_words(declared), self)
        label.setToolTip(declared.help)
        label.setBuddy(editor)
        self._labels[declared.name] = label
        editor.setAccessibleName(label.text())
        self._layout.addRow(label, editor)

    def value(self) -> Any:
        """The last value whose parts went together."""
        return self._value

    def setValue(self, value: Settings) -> None:
        """Show a value; nothing is emitted.

        Raises
        ------
        SettingsError
            The value is of another class.
        """
        if type(value) is not type(self._value):
            raise SettingsError(f"This form edits {type(self._value).__name__}", f"a {type(value).__name__} arrived")
        for name, editor in self._editors.items():
            editor.setValue(getattr(value, name))
        self._value = value
        self._complain("")

    def _edited(self) -> None:
        try:
            value = dataclasses.replace(self._value, **{name: editor.value() for name, editor in self._editors.items()})
        except SettingsError as error:
            self._complain(str(error))
            return
        self._complain("")
        if value != self._value:
            self._value = value
            self.valueChanged.emit(value)

    def _complain(self, sentence: str) -> None:
        if sentence != self._complaint.text():
            self._complaint.setText(sentence)
            self._complaint.setVisible(bool(sentence))
            self.refused.emit(sentence)

    def editor(self, name: str) -> Editor:
        """Editor of a row; ``"correction.scale"`` reaches into a group."""
        first, _, rest = name.partition(".")
        if first not in self._editors:
            raise SettingsError(f"This form has the rows {', '.join(self._editors)}", f"{name!r} was asked for")
        found = self._editors[first]
        return found.form.editor(rest) if rest and isinstance(found, GroupEditor) else found

    def disable(self, name: str, sentence: str) -> None:
        """Grey out a row and say why in its tooltip."""
        self._allow(name, False, sentence)

    def enable(self, name: str) -> None:
        """Undo :meth:`disable`."""
        self._allow(name, True, "")

    def enable_only(self, reasons: Mapping[str, str]) -> None:
        """Disable exactly the named rows, each with its sentence.

        Parameters
        ----------
        reasons : mapping of str to str
            Row name to the sentence that says why it has no effect.
        """
        for name in self._all_names():
            if name in reasons:
                self.disable(name, reasons[name])
            else:
                self.enable(name)

    def refresh_choices(self) -> None:
        """Read choices that are made by a function again."""
        for editor in self._editors.values():
            inner = editor.inner if isinstance(editor, OptionalEditor) else editor
            if isinstance(inner, ChoiceEditor):
                inner.refresh()
            elif isinstance(inner, GroupEditor):
                inner.form.refresh_choices()

    def commit(self) -> None:
        """Take over what is being typed, as if Enter had been pressed."""
        for editor in self._editors.values():
            inner = editor.inner if isinstance(editor, OptionalEditor) else editor
            if isinstance(inner, TextEditor):
                inner.box.editingFinished.emit()

    def _all_names(self) -> list[str]:
        names = []
        for name, editor in self._editors.items():
            names.append(name)
            if isinstance(editor, GroupEditor):
                names += [f"{name}.{inner}" for inner in editor.form._all_names()]
        return names

    def _allow(self, name: str, allowed: bool, sentence: str) -> None:
        first, _, rest = name.partition(".")
        editor = self.editor(first)
        if rest and isinstance(editor, GroupEditor):
            editor.form._allow(rest, allowed, sentence)
            return
        for widget in (editor, self._labels.get(first)):
            if widget is not None:
                widget.setEnabled(allowed)
                widget.setToolTip(sentence or self._rows[first].help)


class GroupEditor(Editor):
    """Settings inside settings: a titled box with a form of its own; a tick in the title where ``None`` is allowed."""

    def __init__(self, declared: Declaration, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._optional = declared.optional
        self.box = QGroupBox(_words(declared), self)
        self.box.setCheckable(self._optional)
        self.box.setLayout(QVBoxLayout())
        self._row.addWidget(self.box)
        self._show(declared.default if declared.default is not None else declared.kind())
        if self._optional:
            self.box.toggled.connect(self.valueChanged)

    def _show(self, value: Settings) -> None:
        self.form = Form(value, self.box)
        self.box.layout().addWidget(self.form)
        self.form.valueChanged.connect(self._pass_on)

    def _pass_on(self, value: Settings) -> None:
        self.valueChanged.emit()

    def value(self) -> Any:
        """Value of the inner form, ``None`` without the tick."""
        return None if self._optional and not self.box.isChecked() else self.form.value()

    def setValue(self, value: Any) -> None:
        """Show a value; one of another class gets a form of its own."""
        was = self.box.blockSignals(True)
        self.box.setChecked(value is not None)
        self.box.blockSignals(was)
        if value is None:
            return
        if type(value) is not type(self.form.value()):
            old = self.form
            self.box.layout().removeWidget(old)
            old.deleteLater()
            self._show(value)
        self.form.setValue(value)


def _words(declared: Declaration) -> str:
    text = declared.name.replace("_", " ")
    shown_in_box = declared.kind in (int, float)
    return text[:1].upper() + text[1:] + (f" ({declared.unit})" if declared.unit and not shown_in_box else "")
