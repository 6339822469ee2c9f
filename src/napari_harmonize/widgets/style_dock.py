"""The Style key dock: the wished look beside three slices that follow it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QInputDialog, QMenu, QPushButton, QWidget

from napari_harmonize.session import Action, State
from napari_harmonize.style import Edit, Origin
from napari_harmonize.widgets import layers
from napari_harmonize.widgets.dock import Dock, button, heading, sentence
from napari_harmonize.widgets.edit_sliders import EditSliders, Slide
from napari_harmonize.widgets.frames import canonical_spacing, pixel_aspect
from napari_harmonize.widgets.histogram_view import HistogramView

if TYPE_CHECKING:
    import napari.viewer

    from napari_harmonize.session import Look, Pair, Rendered
    from napari_harmonize.style import StyleKey
    from napari_harmonize.volumes import Volume

# long enough for a drag to send one request, short enough to feel like one movement
DEBOUNCE_MS = 120
NOBODY = "none"


class StyleDock(Dock):
    """Edits the style key and re-renders three slices while it is edited.

    Parameters
    ----------
    viewer : Viewer
        Its layers can be reference volumes.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._keys: dict[str, StyleKey | None] = {"source": None, "truth": None}
        self._asked: dict[str, Volume | None] = {"source": None, "truth": None}
        self.first, self.second = QComboBox(self), QComboBox(self)
        self.blend = Slide(0.0, 1.0, 0.0, tip="Share of key B; the blend goes along the intensities, not the counts", parent=self)
        self.sliders = EditSliders(self)
        self.histogram = HistogramView(self)
        self.oracle = sentence("", self)
        self.more = QPushButton("Other keys", self)
        self.undo_button = button("Undo", lambda: self.attempt(self.session.style.undo), "One step back")
        self.redo_button = button("Redo", lambda: self.attempt(self.session.style.redo), "One step forward again")
        self.reset_button = button("Reset", lambda: self.attempt(self.session.style.reset), "Take edit and blend back to nothing")
        self.save_button = button("Save…", self._save, "Save the wished key under a name")
        self.live = button("Render slices", self._render, "Render the three slices around the crosshair now")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._lay_out()
        self._connect()
        self._show_everything()

    def _lay_out(self) -> None:
        rows = QFormLayout()
        rows.addRow("Key A", _line(self.first, self.more))
        rows.addRow("Key B", self.second)
        rows.addRow("Blend A–B", self.blend)
        self.body.addWidget(heading("Wished look", self))
        self.body.addLayout(rows)
        self.body.addWidget(self.oracle)
        self.body.addWidget(self.histogram, 1)
        self.body.addWidget(self.sliders)
        for widget in (self.undo_button, self.redo_button, self.reset_button, self.save_button):
            self.foot.addWidget(widget)
        self.body.addWidget(self.live)
        self.histogram.setMinimumHeight(380)
        self.histogram.strip.setMaximumHeight(190)
        self.more.setMenu(self._menu())

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        self._truth_action = menu.addAction("From the ground truth (oracle: it peeks)", self._from_truth)
        self._similar_action = menu.addAction("Most similar training subject", self._from_similar)
        menu.addAction("From a reference volume…", self._from_reference)
        self._layer_menu = menu.addMenu("From a layer")
        self._layer_menu.aboutToShow.connect(self._offer_layers)
        menu.addAction("From a file of keys…", self._from_file)
        return menu

    def _connect(self) -> None:
        style = self.session.style
        for action, widget in ((Action.UNDO, self.undo_button), (Action.REDO, self.redo_button), (Action.SAVE_KEY, self.save_button)):
            self.allow(action, widget)
        self.allow(Action.PREVIEW_STYLE, self.live)
        self.first.textActivated.connect(lambda name: self.attempt(style.choose, name))
        self.second.textActivated.connect(lambda name: self.attempt(style.choose_other, None if name == NOBODY else name))
        self.blend.moved.connect(lambda share: self.attempt(style.set, keep=False, weight=share))
        self.blend.released.connect(lambda: self.attempt(style.keep))
        self.sliders.valueChanged.connect(self._edit)
        self.sliders.released.connect(lambda: self.attempt(style.keep))
        self.histogram.edit_requested.connect(self._edit)
        self.histogram.edit_finished.connect(self._finish)
        self._timer.timeout.connect(self._render)
        self.ties.tie(style.changed, self._show_look)
        self.ties.tie(style.presets_changed, self._show_presets)
        self.ties.tie(style.preview_changed, self._show_rendered)
        self.ties.tie(self.session.pair.changed, self._show_pair)
        self.ties.tie(self.session.display.crosshair_changed, self._moved)

    def _show_everything(self) -> None:
        style = self.session.style
        self._show_presets(style.presets)
        self._show_look(style.value)
        self._show_rendered(style.rendered)
        self._show_pair(self.session.pair.value)
        self.show_state(self.session.state)

    # -- what the user does

    def _edit(self, edit: Edit) -> None:
        self.attempt(self.session.style.set, keep=False, edit=edit)

    def _finish(self, edit: Edit) -> None:
        self._edit(edit)
        self.attempt(self.session.style.keep)

    def _from_truth(self) -> None:
        pair = self.session.pair.value
        truth = pair.truth_on_source or pair.truth
        mask = pair.mask_on_source if pair.truth_on_source is not None else None
        if truth is not None:
            self.attempt(self.session.style.compute, truth, Origin.ORACLE, mask)

    def _from_similar(self) -> None:
        pair = self.session.pair.value
        truth = pair.truth_on_source or pair.truth
        mask = pair.mask_on_source if pair.truth_on_source is not None else None
        if truth is not None:
            self.attempt(self.session.style.find_similar, truth, mask)

    def _from_reference(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a reference volume", "", "All files (*)")
        if name:
            self.use_reference(Path(name))

    def use_reference(self, path: Path) -> None:
        """Read a volume and put its key among the presets.

        Parameters
        ----------
        path : Path
            A volume whose look is wished for.
        """
        from napari_harmonize.widgets.runner import call

        title = f"Reading {path.name}"
        work = call(lambda: self.session.backend.read(path), title)
        self.session.desk.ask("reference", title, work, self._compute)

    def _compute(self, volume: Volume) -> None:
        self.session.style.compute(volume, Origin.REFERENCE)

    def _offer_layers(self) -> None:
        self._layer_menu.clear()
        for layer in self.viewer.layers:
            if type(layer).__name__ == "Image" and layer.ndim == 3:
                self._layer_menu.addAction(layer.name, lambda layer=layer: self.attempt(self._from_layer, layer))

    def _from_layer(self, layer: Any) -> None:
        self._compute(layers.from_layer(layer))

    def _from_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open style keys", "", "Style keys (*.json);;All files (*)")
        if name:
            self.attempt(self.session.style.load, Path(name))

    def _save(self) -> None:
        dialog = QInputDialog(self)
        dialog.setWindowTitle("Save the key")
        dialog.setLabelText("Name of this look")
        dialog.textValueSelected.connect(self._save_named)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _save_named(self, name: str) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the key", f"{name or 'style key'}.json", "Style keys (*.json)")
        if path:
            self.attempt(self.session.style.save, Path(path), name)

    def _render(self) -> None:
        self._timer.stop()
        if self.session.state[Action.PREVIEW_STYLE]:
            self.attempt(self.session.request_style_preview)

    def _moved(self, _: Any) -> None:
        if self.seen() and self.session.style.rendered is not None:
            self._timer.start()

    # -- what is shown

    def show_state(self, state: State) -> None:
        """Say what the model and the pair allow."""
        self._truth_action.setEnabled(bool(state[Action.COMPUTE_TRUTH_KEY]))
        self._similar_action.setEnabled(bool(state[Action.FIND_SIMILAR]))
        for widget in (self.first, self.second, self.blend, self.sliders, self.more, self.reset_button):
            widget.setEnabled(bool(state.style))
            widget.setToolTip(state.style.reason)
        self.blend.setEnabled(bool(state.style) and self.session.style.value.other is not None)

    def _show_presets(self, presets: dict[str, StyleKey]) -> None:
        look = self.session.style.value
        _fill(self.first, list(presets), _name_of(look.key, presets))
        _fill(self.second, [NOBODY, *presets], _name_of(look.other, presets) or NOBODY)
        self._show_keys()

    def _show_look(self, look: Look) -> None:
        style = self.session.style
        _choose(self.first, _name_of(look.key, style.presets))
        _choose(self.second, _name_of(look.other, style.presets) or NOBODY)
        if not self.blend.slider.isSliderDown():
            self.blend.setValue(look.weight)
        self.blend.setEnabled(look.other is not None)
        self.sliders.setValue(look.edit)
        self.histogram.set_edit(look.edit)
        self.histogram.set_warning(str(style.warning) if style.warning is not None else "")
        peeking = (look.key is not None and look.key.peeks) or (look.other is not None and look.other.peeks and look.weight > 0)
        self.oracle.setText("This key peeks at the ground truth: the result is an oracle, not a prediction." if peeking else "")
        self.oracle.setVisible(bool(peeking))
        self._show_keys()
        self._show_rendered(style.rendered)
        if self.seen():
            self._timer.start()

    def _show_keys(self) -> None:
        look = self.session.style.value
        wished = look.wished()
        base = None if look.key is None else type(look)(look.key, look.other, look.weight).wished()
        self.histogram.show_keys(wished, self._keys["source"], self._keys["truth"], base)

    def _show_rendered(self, rendered: Rendered | None) -> None:
        if rendered is None:
            self.histogram.show_slices(())
            return
        self._frame_slices()
        images = sorted(rendered.preview.slices.items())
        self.histogram.show_slices(images, stale=rendered.look != self.session.style.value)

    def _frame_slices(self) -> None:
        package, source = self.session.model.package, self.session.pair.value.source
        if package is not None and source is not None:
            axis = package.recipe.axis
            self.histogram.strip.set_frame(axis, self.session.display.value.convention, pixel_aspect(axis, canonical_spacing(source)))

    def _show_pair(self, pair: Pair) -> None:
        self._measure("source", pair.source, pair.mask_on_source)
        self._measure("truth", pair.truth_on_source, pair.mask_on_source)
        if pair.source is not None and self.seen():
            self._timer.start()

    def _measure(self, role: str, volume: Volume | None, mask: Volume | None) -> None:
        """Compute the key of a volume of the pair for the drawing only; it is no preset and is never run with."""
        if volume is self._asked[role]:
            return
        self._asked[role], self._keys[role] = volume, None
        if volume is not None:
            work = _curves(self.session.backend, volume, mask, role, self._bins())
            self.session.desk.ask(
                "histogram",
                f"Histogram of the {role}",
                work,
                lambda key: self._measured(role, key),
                slot=f"histogram {role}",
                refuse=lambda _: None,  # a volume with nothing in it has no curve; pre-flight says so
            )

    def _bins(self) -> int | None:
        training = self.session.style.training
        return None if training is None else training.average.bins

    def _measured(self, role: str, key: StyleKey) -> None:
        self._keys[role] = key
        self._show_keys()

    def came_forward(self) -> None:
        """Render when the dock comes to the front."""
        self._timer.start()


def _curves(backend: Any, volume: Volume, mask: Volume | None, role: str, bins: int | None) -> Any:
    from napari_harmonize import style
    from napari_harmonize.events import Stage

    yield Stage(f"Histogram of the {role}")
    inside = None if mask is None else mask.data > 0
    origin = Origin.ORACLE if role == "truth" else Origin.REFERENCE
    return style.compute(backend.unit(volume, inside), bins=bins or style.BINS, mask=inside, label=role, origin=origin)


def _name_of(key: StyleKey | None, presets: dict[str, StyleKey]) -> str:
    return "" if key is None else next((name for name, preset in presets.items() if preset is key or preset.same_as(key)), "")


def _fill(box: QComboBox, names: list[str], chosen: str) -> None:
    box.clear()
    box.addItems(names)
    _choose(box, chosen)


def _choose(box: QComboBox, name: str) -> None:
    if name and box.findText(name) < 0:
        box.addItem(name)
    box.setCurrentIndex(box.findText(name) if name else -1)


def _line(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(widgets[0], 1)
    for widget in widgets[1:]:
        row.addWidget(widget)
    return row
