"""One session per viewer, shared by its docks."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QTimer

from napari_harmonize.session import Session
from napari_harmonize.widgets.crew import Crew

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtCore import QObject


@dataclass(eq=False)
class Office:
    """A session, who does its work, and how many docks show it."""

    session: Session
    crew: Crew
    docks: int = 0
    begun: bool = False


_offices: weakref.WeakKeyDictionary[Viewer, Office] = weakref.WeakKeyDictionary()


def session_of(viewer: Viewer) -> Session:
    """Give the session of a viewer; made at the first call.

    Parameters
    ----------
    viewer : Viewer
        A napari viewer, or napari's proxy of one.
    """
    return _office(viewer).session


def enter(viewer: Viewer, dock: QObject) -> Session:
    """Give a dock the session of its viewer, and count the dock until it is destroyed.

    When the last dock of a viewer is gone its jobs are stopped; the session stays, with what it knows, until the viewer goes.
    """
    office = _office(viewer)
    office.docks += 1
    dock.destroyed.connect(lambda: _leave(office))
    if not office.begun:
        office.begun = True
        _begin_when_idle(office)
    return office.session


def _office(viewer: Viewer) -> Office:
    # napari gives plugins a proxy that hides what is private; the session belongs to the viewer behind it
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _offices:
        session = Session()
        _offices[real] = office = Office(session, Crew(session))
        weakref.finalize(real, _shut, office).atexit = False
    return _offices[real]


def _leave(office: Office) -> None:
    office.docks -= 1
    # the crew is gone already when the whole application ends
    if office.docks == 0 and isalive(office.crew):
        office.session.desk.drop_all()
        office.crew.close(wait=0.5)


def _shut(office: Office) -> None:
    if isalive(office.crew):
        office.session.close()
        office.crew.close(wait=0.0)


def _choose_first(weak: weakref.ref[Session], catalogue: dict[str, object]) -> None:
    """Start with the first model there is."""
    session = weak()
    if session is not None and session.model.package is None and catalogue and "model" not in session.desk.busy:
        session.model.choose(next(iter(catalogue)))


# the window paints its docks first; loading the engine then holds it up for a moment, once
PAUSE_MS = 400


def _begin_when_idle(office: Office) -> None:
    """After the docks are on the screen: read the model cards, then load the engine, both away from the window's thread."""
    weak = weakref.ref(office)

    def begin() -> None:
        living = weak()
        if living is not None and living.docks:
            living.session.model.catalogue_changed.connect(partial(_choose_first, weakref.ref(living.session)))
            living.session.model.list_models()
            living.session.warm_up()

    QTimer.singleShot(PAUSE_MS, begin)
