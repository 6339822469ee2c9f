"""The Inspect dock: source, result, truth and difference in three planes, the slice-consistency instrument, and the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSettings, Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QSplitter, QTabWidget, QVBoxLayout, QWidget

from napari_harmonize.metrics import METRICS
from napari_harmonize.session import Action, Measured
from napari_harmonize.volumes import Meaning, geometry
from napari_harmonize.widgets import layers, letters
from napari_harmonize.widgets.crosshair_tie import CrosshairTie
from napari_harmonize.widgets.decision_keys import DecisionKeys
from napari_harmonize.widgets.dock import Dock, button
from napari_harmonize.widgets.inspect_bar import InspectBar
from napari_harmonize.widgets.orthogonal_view import Column, OrthogonalView
from napari_harmonize.widgets.presets import preset_windows
from napari_harmonize.widgets.profile_view import Profile, ProfileView
from napari_harmonize.widgets.table_view import TableView

if TYPE_CHECKING:
    import napari.viewer

    from napari_harmonize.session import Display, Pair, Run, Window
    from napari_harmonize.volumes import Volume

_TITLES = {"source": "Source", "result": "Result", "truth": "Ground truth", "other": "Result B", "difference": "Difference"}
