"""What all docks have in common: a scrolling middle, a foot, a line for messages, and ties to the session that are cut in time."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractButton,
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_harmonize.errors import HarmonizeError
from napari_harmonize.widgets.session_of import enter

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer
    from psygnal import SignalInstance
    from qtpy.QtCore import QSize
    from qtpy.QtGui import QResizeEvent

    from napari_harmonize.session import Action, Request, State

# kinds of work that only the user begins
FRESH = frozenset({"load", "series", "translate", "export", "recognise", "import", "train"})
_MARKS = {"info": "", "warning": "⚠ ", "error": "✖ "}


class Ties(QObject):
    """Connections from the session, the viewer and layers to a dock, cut when the dock goes."""

    def __init__(self, owner: QObject) -> None:
        super().__init__()
        self._held: list[tuple[Any, weakref.WeakMethod[Any]]] = []
        owner.destroyed.connect(self.cut)

    def tie(self, signal: SignalInstance, slot: Callable[..., Any]) -> None:
        """Connect a bound method to a signal of psygnal or an event of napari."""
        signal.connect(slot)
        self._held.append((signal, weakref.WeakMethod(slot)))

    def cut(self) -> None:
        """Disconnect everything."""
        while self._held:
            signal, weak = self._held.pop()
            slot = weak()
            if slot is not None:
                _disconnect(signal, slot)


def _disconnect(signal: Any, slot: Callable[..., Any]) -> None:
    try:
        signal.disconnect(slot)
    except (ValueError, RuntimeError):  # the session or viewer went first and cut it already
        return


class MessageLine(QWidget):
    """Shows the last sentence meant for the user until it is dismissed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.label = QLabel(self)
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self._close = QPushButton("×", self)
        self._close.setFixedWidth(24)
        self._close.setToolTip("Dismiss this message")
        self._close.clicked.connect(self.hide)
        row.addWidget(self.label, 1)
        row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def show_message(self, text: str, level: str = "info") -> None:
        """Show a sentence; its level is "info", "warning" or "error"."""
        self.label.setText(f"{_MARKS.get(level, '')}{text}")
        self.show()


class Dock(QWidget):
    """Base of the docks.

    Parameters
    ----------
    viewer : Viewer
        Gives the session.
    scroll : bool
        Whether the middle scrolls where it is taller than the dock.
    hears : bool
        Whether it shows the session's messages; its own it shows always.
    """

    def __init__(self, viewer: Viewer, *, scroll: bool = True, hears: bool = True) -> None:
        super().__init__()
        # weak, so that a dock somebody holds on to does not keep a closed viewer
        self._viewer = weakref.ref(getattr(viewer, "__wrapped__", viewer))
        # in this order: when the dock is destroyed its ties are cut before the session hears of it
        self.ties = Ties(self)
        self.session = enter(viewer, self)
        self._docked = False
        self._buttons: dict[Action, list[tuple[QAbstractButton, str]]] = {}
        # the dock itself has no layout: a new text inside it then lays out the dock, not the whole window with all others
        self._inside = QWidget(self)
        self.column = outer = QVBoxLayout(self._inside)
        outer.setContentsMargins(6, 6, 6, 6)
        self.body = QVBoxLayout()
        if scroll:
            outer.addWidget(_scrolling(self.body, self._inside), 1)
        else:
            outer.addLayout(self.body, 1)
        self.messages = MessageLine(self._inside)
        outer.addWidget(self.messages)
        self.foot = QHBoxLayout()
        outer.addLayout(self.foot)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        if hears:
            self.ties.tie(self.session.desk.message, self.messages.show_message)
            self.ties.tie(self.session.desk.requested, self._forget)
        self.ties.tie(self.session.state_changed, self._show_state)

    @property
    def viewer(self) -> Viewer:
        """The viewer the dock belongs to."""
        viewer = self._viewer()
        assert viewer is not None, "the viewer outlives its docks"
        return viewer

    # -- helpers for subclasses

    def attempt(self, act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do what the user asked for; a refusal becomes a message."""
        try:
            return act(*args, **kwargs)
        except HarmonizeError as error:
            self.messages.show_message(str(error), "error")
            return None

    def allow(self, action: Action, button: QAbstractButton) -> None:
        """Keep a button enabled exactly while an action is permitted; otherwise its tooltip says why not."""
        self._buttons.setdefault(action, []).append((button, button.toolTip()))
        self._permit(action)

    def _forget(self, request: Request) -> None:
        """What was said about something else is out of the way when the user asks for something new."""
        if request.kind in FRESH:
            self.messages.hide()

    def later(self, act: Callable[[], None]) -> None:
        """Call something once the window has nothing else to do."""
        QTimer.singleShot(0, act)

    def _show_state(self, state: State) -> None:
        for action in self._buttons:
            self._permit(action)
        self.show_state(state)

    def _permit(self, action: Action) -> None:
        permission = self.session.state[action]
        for button, tip in self._buttons[action]:
            button.setEnabled(bool(permission))
            button.setToolTip(permission.reason or tip)

    def show_state(self, state: State) -> None:
        """Show what may be done; for subclasses."""

    def seen(self) -> bool:
        """Whether any of it is on the screen; a dock behind another tab counts as visible for Qt."""
        return not self.visibleRegion().isEmpty()

    def came_forward(self) -> None:
        """React to coming to the front of its tabs; for subclasses."""

    def _watch(self, parent: Any) -> None:
        if isinstance(parent, QDockWidget):
            parent.visibilityChanged.connect(self._seen_changed)

    def _seen_changed(self, seen: bool) -> None:
        if seen:
            self.came_forward()

    def retire(self) -> None:
        """Cut all ties and go; happens by itself when napari takes the dock off the window."""
        self.ties.cut()
        self.deleteLater()

    def minimumSizeHint(self) -> QSize:
        """Size of what is inside."""
        return self._inside.minimumSizeHint()

    def sizeHint(self) -> QSize:
        """Size of what is inside."""
        return self._inside.sizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give what is inside all the room there is."""
        self._inside.setGeometry(self.rect())
        super().resizeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Notice being taken off the window, as napari does on "close this panel"."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
                self._watch(self.parent())
            elif self._docked:
                self._docked = False
                self.retire()
        return bool(super().event(event))


def _scrolling(body: QVBoxLayout, parent: QWidget) -> QScrollArea:
    area = QScrollArea(parent)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    inner = QWidget(area)
    body.setContentsMargins(0, 0, 6, 0)
    inner.setLayout(body)
    area.setWidget(inner)
    return area


def heading(text: str, parent: QWidget | None = None) -> QLabel:
    """Make a heading inside a dock."""
    label = QLabel(text, parent)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def sentence(text: str = "", parent: QWidget | None = None) -> QLabel:
    """Make a line of text that wraps."""
    label = QLabel(text, parent)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setMinimumWidth(1)
    return label


def button(text: str, act: Callable[..., Any], tip: str = "") -> QPushButton:
    """Make a push button; ``act`` is called without arguments."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.clicked.connect(lambda _checked=False: act())
    return made
