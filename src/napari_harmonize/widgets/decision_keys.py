"""Accept, query and reject by one key, inside our own widgets only and never while somebody types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QLineEdit, QPlainTextEdit, QTextEdit, QWidget

from napari_harmonize.session import KEYS, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPING = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox)


class DecisionKeys(QObject):
    """Binds the keys of the verdicts to a widget and what is inside it.

    Parameters
    ----------
    widget : QWidget
        Where the keys work.
    decide : callable
        Given the verdict.
    """

    def __init__(self, widget: QWidget, decide: Callable[[Verdict], None]) -> None:
        super().__init__(widget)
        self._decide = decide
        for key, verdict in KEYS.items():
            shortcut = QShortcut(QKeySequence(key), widget)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setAutoRepeat(False)
            shortcut.activated.connect(lambda verdict=verdict: self._pressed(verdict))

    def _pressed(self, verdict: Verdict) -> None:
        if not typing():
            self._decide(verdict)


def typing() -> bool:
    """Whether the focus is where text goes."""
    focus = QApplication.focusWidget()
    return isinstance(focus, _TYPING) or (isinstance(focus, QComboBox) and focus.isEditable())
