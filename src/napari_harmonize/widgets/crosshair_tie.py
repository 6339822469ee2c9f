"""The crosshair of the views and the slice position of napari, each following the other."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.widgets import layers

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_harmonize.session import Session
    from napari_harmonize.widgets.dock import Ties


class CrosshairTie:
    """Keeps ``viewer.dims`` and the session's crosshair together.

    Parameters
    ----------
    viewer : Viewer
        Whose slice position.
    session : Session
        Whose crosshair.
    ties : Ties
        Of the dock that holds this object.
    """

    def __init__(self, viewer: Viewer, session: Session, ties: Ties) -> None:
        self._weak, self._session = weakref.ref(viewer), session
        self._moving = False
        ties.tie(session.display.crosshair_changed, self._to_viewer)
        ties.tie(viewer.dims.events.point, self._from_viewer)
        ties.tie(viewer.layers.events.inserted, self._to_viewer)

    @property
    def _viewer(self) -> Viewer:
        viewer = self._weak()
        assert viewer is not None, "the viewer outlives its docks"
        return viewer

    def _anchor(self) -> Layer | None:
        """First of our layers; all of one examination give the same answer."""
        return next((layer for layer in self._viewer.layers if layers.is_ours(layer) and layer.ndim == 3), None)

    def _to_viewer(self, _: Any = None) -> None:
        layer = self._anchor()
        if layer is None or self._moving or self._viewer.dims.ndim != 3:
            return
        self._moving = True
        try:
            self._viewer.dims.set_point((0, 1, 2), layers.viewer_point(layer, self._session.display.value.crosshair))
        finally:
            self._moving = False

    def _from_viewer(self, _: Any = None) -> None:
        layer = self._anchor()
        if layer is None or self._moving or self._viewer.dims.ndim != 3:
            return
        wanted = np.array(layers.world_point(layer, self._viewer.dims.point))
        # napari snaps the point to its slices; a shift below half a voxel is that, not the user
        near = np.abs(wanted - self._session.display.value.crosshair) <= 0.5 * np.max(np.abs(layer.scale))
        if near.all():
            return
        self._moving = True
        try:
            x, y, z = wanted.tolist()
            self._session.display.move((x, y, z))
        finally:
            self._moving = False
