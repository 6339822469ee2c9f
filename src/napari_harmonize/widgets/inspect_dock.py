"""The Inspect dock: source, result, truth and difference in three planes, the slice-consistency instrument, and the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QSplitter, QTabWidget, QVBoxLayout, QWidget

from napari_harmonize.session import Action, Measured, Window
from napari_harmonize.volumes import Meaning, Volume, geometry
from napari_harmonize.widgets import layers
from napari_harmonize.widgets.crosshair_tie import CrosshairTie
from napari_harmonize.widgets.decision_keys import DecisionKeys
from napari_harmonize.widgets.dock import Dock, button
from napari_harmonize.widgets.inspect_bar import InspectBar
from napari_harmonize.widgets.letters import PLANES, layout
from napari_harmonize.widgets.orthogonal_view import Column, OrthogonalView
from napari_harmonize.widgets.profile_view import Profile, ProfileView
from napari_harmonize.widgets.score_rows import HEADERS, score_rows
from napari_harmonize.widgets.table_view import TableView

if TYPE_CHECKING:
    import napari.viewer

    from napari_harmonize.session import Display, Run, Verdict

TITLES = {"source": "Source", "result": "Result", "truth": "Ground truth", "other": "Result B", "difference": "Difference"}


class InspectDock(Dock):
    """Shows what a translation did, where, and in numbers.

    Parameters
    ----------
    viewer : Viewer
        Its slice position follows the crosshair, and the other way round.

    Attributes
    ----------
    canvas_requested : Signal(bool)
        napari's own canvas is to be shown beside, or hidden.
    """

    canvas_requested = Signal(bool)

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer, scroll=False, hears=False)
        self._tie = CrosshairTie(self.viewer, self.session, self.ties)
        self._columns: tuple[Any, ...] = ()
        self.bar = InspectBar(self)
        self.view = OrthogonalView(self)
        self.profile = ProfileView(self)
        self.table = TableView(self)
        self.measured = QLabel(self)
        self.measure_button = button("Measure again", lambda: self.attempt(self.session.evaluate), "Compute every metric that applies")
        self.copy_button = button("Copy table", self._copy, "Copy as tab-separated text")
        self.tabs = QTabWidget(self)
        self.keys = DecisionKeys(self, self._decide)
        self._lay_out()
        self._connect()
        self.bar.show_display(self.session.display.value)
        if self.session.pair.value.source is not None:
            self._show_display(self.session.display.value)
            self._show_measured(self.session.measure.value)
        self._show_scores()

    def _lay_out(self) -> None:
        self.tabs.addTab(self.profile, "Slice consistency")
        self.tabs.addTab(self._numbers(), "Numbers")
        self.splitter = QSplitter(Qt.Orientation.Vertical, self)
        self.splitter.addWidget(self.view)
        self.splitter.addWidget(self.tabs)
        self.splitter.setStretchFactor(0, 4)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([640, 280])
        self.body.addWidget(self.bar)
        self.body.addWidget(self.splitter, 1)

    def _numbers(self) -> QWidget:
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.addWidget(self.table, 1)
        row = QHBoxLayout()
        row.addWidget(self.measured, 1)
        row.addWidget(self.copy_button)
        row.addWidget(self.measure_button)
        column.addLayout(row)
        return page

    def _connect(self) -> None:
        session = self.session
        self.allow(Action.EVALUATE, self.measure_button)
        self.view.crosshair_requested.connect(session.display.move)
        self.view.window_requested.connect(self._keep_window)
        self.view.display_requested.connect(lambda changes: self.attempt(session.display.set, **changes))
        self.view.comparison_requested.connect(self.bar.comparison.setCurrentText)
        self.bar.comparison_requested.connect(self.view.set_comparison)
        self.bar.flicker_requested.connect(self.view.set_flicker)
        self.bar.display_requested.connect(lambda changes: self.attempt(session.display.set, **changes))
        self.bar.window_requested.connect(self._use_preset)
        self.bar.reset_requested.connect(self.view.reset_windows)
        self.bar.picture_requested.connect(self._save_picture)
        self.bar.curves_requested.connect(self._show_curves)
        self.bar.canvas_requested.connect(self._show_canvas)
        self.profile.slice_requested.connect(self._jump)
        self.ties.tie(session.measure.changed, self._show_measured)
        self.ties.tie(session.pair.changed, self._show_volumes)
        self.ties.tie(session.runs.shown_changed, self._show_runs)
        self.ties.tie(session.runs.changed, self._show_scores)
        self.ties.tie(session.display.changed, self._show_display)
        self.ties.tie(session.display.crosshair_changed, self._show_crosshair)

    def fold(self, folded: bool) -> None:
        """Hide or show the curves and numbers under the pictures.

        Parameters
        ----------
        folded : bool
            True hides them.
        """
        self.bar.curves.setChecked(not folded)

    # -- what the user does

    def _show_curves(self, shown: bool) -> None:
        self.tabs.setVisible(shown)
        self.updateGeometry()

    def _decide(self, verdict: Verdict) -> None:
        self.attempt(self.session.decide, verdict)

    def _keep_window(self, group: str, window: Window) -> None:
        role = "result" if group == "other" else group
        self.session.display.set_window(role, window)

    def _use_preset(self, name: str) -> None:
        source = next((column for column in self._columns if column.key == "source"), None)
        if source is not None and name in source.presets:
            self.view.set_window(source.window_group, source.presets[name])
            self._keep_window(source.window_group, source.presets[name])

    def _show_canvas(self, shown: bool) -> None:
        self.canvas_requested.emit(shown)
        if shown:  # its size was unknown while it was hidden
            self.later(self.viewer.fit_to_view)

    def _jump(self, axis: int, position: int) -> None:
        source = self.session.pair.value.source
        if source is None:
            return
        ijk = list(self.view.index())
        ijk[axis] = position
        x, y, z = geometry.world(source.affine, ijk).tolist()
        self.session.display.move((x, y, z))

    def _save_picture(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save what is shown", "inspect.png", "Pictures (*.png)")
        if name:
            self.view.screenshot().save(name)

    def _copy(self) -> None:
        from qtpy.QtGui import QGuiApplication

        QGuiApplication.clipboard().setText(self.table.text())

    # -- what is shown

    def _show_runs(self, *_: Any) -> None:
        self._show_volumes()
        self._show_scores()

    def _show_volumes(self, _: Any = None) -> None:
        """Show the volumes as they are until they have been brought to one unit."""
        self._show_measured(self.session.measure.value)

    def _show_measured(self, measured: Measured) -> None:
        source = self.session.pair.value.source
        had, self._columns = bool(self._columns), self._make_columns(measured)
        if source is None or not self._columns:
            if had:
                self.view.show_columns((), np.eye(4))
                self.profile.show_profiles(())
            return
        if not had:
            self.view.set_display(self.session.display.value)
        self.view.show_columns(self._columns, source.affine)
        for column in self._columns:
            if column.key in ("source", "result", "truth", "difference"):
                self.session.display.set_window(column.key, self.view.window(column.window_group))
        self.bar.show_windows(list(self._columns[0].presets))
        self.profile.show_profiles(_profiles(source, measured))
        self._show_crosshair(self.session.display.value.crosshair)

    def _make_columns(self, measured: Measured) -> tuple[Any, ...]:
        runs, shown = self.session.runs, self._current(measured)
        other = runs.get(runs.compared)
        if other is not None and other.result is not None and "result" in shown and other.result.volume.shape == shown["result"].shape:
            shown = self._two_runs(shown, other)
        return tuple(_column(role, volume, shared=_one_unit(shown)) for role, volume in shown.items())

    def _current(self, measured: Measured) -> dict[str, Volume]:
        """Volumes in one unit where they have been measured, else as they came; never those of a former pair."""
        pair, run = self.session.pair.value, self.session.runs.get(self.session.runs.shown)
        result = None if run is None or run.result is None else run.result.volume
        plain = {"source": pair.source, "result": result, "truth": pair.truth_on_source}
        there = {
            role: volume
            for role, volume in plain.items()
            if volume is not None and pair.source is not None and volume.shape == pair.source.shape
        }
        fresh = measured.compared.get("source") is pair.source and set(there) <= set(measured.compared)
        order = ("source", "result", "truth", "difference")
        return {role: measured.compared[role] for role in order if role in measured.compared} if fresh else there

    def _two_runs(self, shown: dict[str, Volume], other: Run) -> dict[str, Volume]:
        run = self.session.runs.get(self.session.runs.shown)
        assert run is not None
        assert run.result is not None
        assert other.result is not None
        first, second = run.result.volume, other.result.volume
        difference = np.subtract(first.data, second.data, dtype=np.float32)
        return {
            "source": shown["source"],
            "result": first,
            "other": second,
            "difference": first.replace(data=difference, name="result - result B"),
        }

    def _show_crosshair(self, xyz: tuple[float, float, float]) -> None:
        source = self.session.pair.value.source
        if source is None or not self._columns:
            return
        self.view.set_crosshair(xyz)
        for axis, position in enumerate(self.view.index()):
            self.profile.set_slice(axis, position)

    def _show_display(self, display: Display) -> None:
        self.bar.show_display(display)
        if self._columns:
            self.view.set_display(display)
        if any(layers.is_ours(layer) for layer in self.viewer.layers):
            layers.arrange(self.viewer, display.convention)

    def _show_scores(self, _: Any = None) -> None:
        runs = self.session.runs
        first, second = runs.get(runs.shown), runs.get(runs.compared)
        self.table.show_rows(HEADERS, score_rows(first, second))
        self.table.setColumnHidden(HEADERS.index("Result B"), second is None)
        if "evaluate" in self.session.desk.busy:
            self.measured.setText("Measuring…")
        else:
            self.measured.setText("" if first is not None and first.scores else "Nothing measured yet.")


def _one_unit(shown: dict[str, Volume]) -> bool:
    return (
        "truth" in shown
        and "result" in shown
        and shown["truth"].meaning is shown["result"].meaning
        and shown["result"].meaning is not Meaning.UNKNOWN
    )


def _column(role: str, volume: Volume, *, shared: bool) -> Column:
    group = "result" if role == "other" or (role == "truth" and shared) else role
    return Column(
        key=role,
        title=TITLES[role],
        data=volume.data,
        group=group,
        meaning=volume.meaning,
        synthetic=role in ("result", "other", "difference"),
        diverging=role == "difference",
    )


def _profiles(source: Volume, measured: Measured) -> tuple[Profile, ...]:
    if "source" not in measured.curves or measured.compared.get("source") is not source:
        return ()
    found = []
    for plane in PLANES:
        axis = layout(source.affine, plane).through
        curves = {role: measured.curves[role][axis] for role in measured.curves}
        outliers = measured.outliers[axis]
        found.append(Profile(plane, axis, curves.get("source"), curves.get("result"), curves.get("truth"), outliers))
    return tuple(found)
