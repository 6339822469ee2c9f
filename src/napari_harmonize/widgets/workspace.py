"""All docks at their places: napari's lists on the left, Inspect or Training in the middle, one working dock at a time on the right."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

from napari_harmonize.widgets import DOCKS
from napari_harmonize.widgets.notice import greet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import napari.viewer

    from napari_harmonize.widgets.inspect_dock import InspectDock

PLUGIN = "napari-harmonize"
MIDDLE = ("Inspect", "Training")
RIGHT = tuple(name for name in DOCKS if name not in MIDDLE)
NARROW = 1500
SIDE, NARROW_SIDE, LISTS = 430, 390, 260
# narrower than this the working docks would be cut off at the right
LEAST_SIDE = 370


def open_workspace(viewer: napari.viewer.Viewer | None = None) -> Workspace:
    """Open all docks and arrange them; docks that are open already are kept.

    Parameters
    ----------
    viewer : Viewer, optional
        The current one unless given.

    Returns
    -------
    Workspace
        A child of the window, which keeps it.
    """
    import napari

    found = viewer if viewer is not None else napari.current_viewer()
    if found is None:
        found = napari.Viewer(title=PLUGIN)
    docks = {name: _open(found, name) for name in (*RIGHT, *MIDDLE)}
    window = docks["Inspect"].parent()
    assert isinstance(window, QMainWindow)
    workspace = window.findChild(Workspace) or Workspace(window)
    window.setUpdatesEnabled(False)
    try:
        workspace.arrange(docks)
    finally:
        window.setUpdatesEnabled(True)
    greet(window)
    return workspace


def _open(viewer: napari.viewer.Viewer, name: str) -> QDockWidget:
    """Open a dock under the name that napari's own menu gives it, so that both mean the same one."""
    full = f"{name} ({PLUGIN})"
    if full not in viewer.window.dock_widgets:
        module, _, attribute = DOCKS[name].partition(":")
        widget = getattr(importlib.import_module(module), attribute)(viewer)
        viewer.window.add_dock_widget(widget, name=full, area="right")
    dock = viewer.window.dock_widgets[full].parent()
    assert isinstance(dock, QDockWidget)
    return dock


@contextmanager
def _one_move_each(docks: Collection[QDockWidget]) -> Iterator[None]:
    """Keep docks from telling every step of being moved: napari writes its settings file each time it hears of one."""
    places = {dock: _area(dock) for dock in docks}
    blocked = [QSignalBlocker(dock) for dock in docks]
    try:
        yield
    finally:
        for blocker in blocked:
            blocker.unblock()
    for dock, before in places.items():
        if _area(dock) != before:
            dock.dockLocationChanged.emit(_area(dock))


def _area(dock: QDockWidget) -> Qt.DockWidgetArea:
    window = dock.parent()
    assert isinstance(window, QMainWindow)
    return window.dockWidgetArea(dock)


class Workspace(QObject):
    """Keeps the arrangement of a window.

    Parameters
    ----------
    window : QMainWindow
        napari's window.
    """

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self.docks: dict[str, QDockWidget] = {}
        self._narrow: bool | None = None
        window.installEventFilter(self)

    @property
    def window(self) -> QMainWindow:
        """The window it belongs to."""
        found = self.parent()
        assert isinstance(found, QMainWindow)
        return found

    def arrange(self, docks: dict[str, QDockWidget]) -> None:
        """Put the docks at their places; called again it puts them back.

        Parameters
        ----------
        docks : dict of str to QDockWidget
            By the names of :data:`DOCKS`.
        """
        window, fresh = self.window, docks != self.docks
        self.docks = docks
        inspect = docks["Inspect"]
        right, middle = ([docks[name] for name in names] for names in (RIGHT, MIDDLE))
        window.setTabPosition(Qt.DockWidgetArea.RightDockWidgetArea, QTabWidget.TabPosition.North)
        with _one_move_each(docks.values()):
            for dock in (*middle, *right):
                if dock.isFloating():
                    dock.setFloating(False)
                window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
                dock.show()
            window.splitDockWidget(inspect, right[0], Qt.Orientation.Horizontal)
            for first, *others in (middle, right):
                for dock in others:
                    window.tabifyDockWidget(first, dock)
                    window.layout().activate()  # else Qt forgets to hide the tab bar of the group as it was before this dock
        for dock in right:
            dock.setMinimumWidth(LEAST_SIDE)
        for name, dock in docks.items():
            dock.setWindowTitle(name)
        for first in (inspect, right[0]):
            first.raise_()
        if fresh:
            self._inspect().canvas_requested.connect(self.show_canvas)
            inspect.visibilityChanged.connect(self._inspect_seen)
        self.show_canvas(False)
        self.fit()

    def fit(self) -> None:
        """Give the columns their widths; a narrow window folds the lists and the curves."""
        width = self.window.width()
        self._narrow = narrow = width < NARROW
        for dock in self._lists():
            dock.setVisible(not narrow)
        side = NARROW_SIDE if narrow else SIDE
        left = 0 if narrow else LISTS
        inspect, first = self.docks["Inspect"], self.docks[RIGHT[0]]
        self.window.resizeDocks([inspect, first], [max(width - left - side, 400), side], Qt.Orientation.Horizontal)
        if not narrow:
            self.window.resizeDocks(self._lists(), [LISTS] * len(self._lists()), Qt.Orientation.Horizontal)
        self._inspect().fold(narrow)
        # what was folded no longer keeps the window from becoming smaller
        self.window.layout().invalidate()
        self.window.layout().activate()

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Fold and unfold when the window becomes narrow or wide."""
        if event.type() == QEvent.Type.Resize and self._narrow is not None and self._narrow != (event.size().width() < NARROW):
            self._narrow = None
            QTimer.singleShot(0, self._fit_again)
        return False

    def _fit_again(self) -> None:
        if all(isalive(dock) for dock in self.docks.values()):
            self.fit()

    def show_canvas(self, shown: bool) -> None:
        """Show or hide napari's own canvas; hidden, Inspect has the whole middle."""
        canvas = self.window.centralWidget()
        if canvas is not None:
            canvas.setVisible(shown)
        self._inspect().bar.show_canvas(shown)
        if shown:
            half = (self.window.width() - self.docks[RIGHT[0]].width()) // 2
            self.window.resizeDocks([self.docks["Inspect"]], [half], Qt.Orientation.Horizontal)

    def _inspect(self) -> InspectDock:
        dock: InspectDock = self.docks["Inspect"].widget()
        return dock

    def _lists(self) -> list[QDockWidget]:
        """Napari's own docks on the left."""
        ours = set(self.docks.values())
        area = Qt.DockWidgetArea.LeftDockWidgetArea
        found = [dock for dock in self.window.findChildren(QDockWidget) if dock not in ours]
        return [
            dock for dock in found if self.window.dockWidgetArea(dock) == area and dock.objectName() in ("layer list", "layer controls")
        ]

    def _inspect_seen(self, seen: bool) -> None:
        """Bring the canvas back where Inspect was closed, so that the window is never empty."""
        if not seen and self.docks["Inspect"].isHidden() and self.window.isVisible():
            canvas: QWidget | None = self.window.centralWidget()
            if canvas is not None:
                canvas.setVisible(True)
