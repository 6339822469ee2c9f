"""Reason tags with three states: not stated, present, absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QSizePolicy, QWidget

from napari_harmonize.session import TAGS, Tag

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARKS = {Tag.NOT_STATED: "–", Tag.PRESENT: "✓", Tag.ABSENT: "✗"}
_NEXT = {Tag.NOT_STATED: Tag.PRESENT, Tag.PRESENT: Tag.ABSENT, Tag.ABSENT: Tag.NOT_STATED}


class TagButton(QPushButton):
    """One tag; a press goes to its next state.

    Parameters
    ----------
    name : str
        The tag.
    parent : QWidget, optional
        Qt parent.
    """

    stated = Signal(str, object)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = name
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(90)
        self.show_state(Tag.NOT_STATED)
        self.clicked.connect(self._press)

    def show_state(self, state: Tag) -> None:
        """Show a state; nothing is emitted."""
        self._state = state
        self.setText(f"{_MARKS[state]} {self._name}")
        self.setToolTip(f"{self._name}: {state.value}. Press for {_NEXT[state].value}.")
        self.setAccessibleName(f"{self._name}: {state.value}")

    def _press(self) -> None:
        self.show_state(_NEXT[self._state])
        self.stated.emit(self._name, self._state)


class TagGrid(QWidget):
    """All reason tags: a form over a mapping from tag to state.

    Attributes
    ----------
    valueChanged : Signal(object)
        The mapping, after the user pressed a tag.
    """

    valueChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        self._value: dict[str, Tag] = {}
        self.buttons: dict[str, TagButton] = {}
        for place, name in enumerate(TAGS):
            made = self.buttons[name] = TagButton(name, self)
            made.stated.connect(self._stated)
            grid.addWidget(made, place // 2, place % 2)

    def value(self) -> dict[str, Tag]:
        """States of the tags that were stated."""
        return dict(self._value)

    def setValue(self, tags: Mapping[str, Tag]) -> None:
        """Show states; nothing is emitted."""
        self._value = {name: state for name, state in tags.items() if state is not Tag.NOT_STATED}
        for name, made in self.buttons.items():
            made.show_state(self._value.get(name, Tag.NOT_STATED))

    def _stated(self, name: str, state: Tag) -> None:
        self._value = {**self._value, name: state}
        if state is Tag.NOT_STATED:
            del self._value[name]
        self.valueChanged.emit(self.value())
