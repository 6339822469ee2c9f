"""The Pair dock: what is translated, what it is compared with, and whether it fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QInputDialog

from napari_harmonize.session import Role
from napari_harmonize.widgets import layers
from napari_harmonize.widgets.dock import Dock, button, heading, sentence
from napari_harmonize.widgets.findings_view import FindingsView
from napari_harmonize.widgets.role_row import RoleRow
from napari_harmonize.widgets.runner import call

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

    from napari_harmonize.session import Pair
    from napari_harmonize.volumes import Series, Volume

_SUFFIXES = "Volumes (*.nii *.nii.gz *.mgh *.mgz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"


class PairDock(Dock):
    """Opens source, truth and mask, shows them as layers, and says what pre-flight found.

    Parameters
    ----------
    viewer : Viewer
        Gets the layers.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._layers: dict[Role, tuple[Layer, Volume]] = {}
        self.samples = QComboBox(self)
        self.sample_button = button("Open sample", self._open_sample, "Open a built-in simulated pair with its ground truth")
        self.rows = {role: RoleRow(role, self) for role in Role}
        self.findings = FindingsView(self)
        self._verdict = sentence("", self)
        self._lay_out()
        self._connect()
        self._show_pair(self.session.pair.value)
        self._show_findings(self.session.pair.findings, self.session.pair.ticked)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.samples, 1)
        row.addWidget(self.sample_button)
        self.body.addWidget(heading("Try a sample pair", self))
        self.body.addLayout(row)
        for part in self.rows.values():
            self.body.addWidget(part)
        self.body.addWidget(heading("Pre-flight", self))
        self.body.addWidget(self._verdict)
        self.body.addWidget(self.findings)
        self.body.addStretch(1)

    def _connect(self) -> None:
        pair = self.session.pair
        self.samples.addItems(pair.samples())
        self.sample_button.setEnabled(self.samples.count() > 0)
        for role, row in self.rows.items():
            row.file_requested.connect(lambda role=role: self._choose_file(role))
            row.folder_requested.connect(lambda role=role: self._choose_folder(role))
            row.layer_requested.connect(lambda name, role=role: self._take_layer(role, name))
            row.clear_requested.connect(lambda role=role: self.attempt(pair.clear, role))
            row.modality_requested.connect(lambda name, role=role: self.attempt(pair.state_modality, role, name))
            row.layer_menu.aboutToShow.connect(self._offer_layers)
        self.findings.remedy_requested.connect(lambda code, _remedy: self.attempt(pair.remedy, code))
        self.findings.ticked.connect(lambda code, on: self.attempt(pair.tick, code, on))
        self.ties.tie(pair.changed, self._show_pair)
        self.ties.tie(pair.findings_changed, self._show_findings)
        self.ties.tie(self.session.desk.changed, self._show_busy)
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            self.ties.tie(event, self._offer_layers)
        self._offer_layers()

    # -- opening

    def open_path(self, role: Role, path: Path) -> None:
        """Open a file or folder; a folder with several series asks which.

        Parameters
        ----------
        role : Role
            What it is in the pair.
        path : Path
            File or DICOM folder.
        """
        if not path.is_dir():
            self.attempt(self.session.pair.load, role, path)
            return
        job = call(lambda: _list_series(path), f"Looking into {path.name}")
        self.session.desk.ask("series", f"Looking into {path.name}", job, lambda found: self._pick_series(role, path, found))

    def _pick_series(self, role: Role, path: Path, found: tuple[Series, ...]) -> None:
        if len(found) < 2:
            self.attempt(self.session.pair.load, role, path)
            return
        dialog = QInputDialog(self)
        dialog.setWindowTitle("Several series")
        dialog.setLabelText(f"{path.name} holds {len(found)} series. Which one is the {role.value}?")
        labels = {f"{number}. {series.label} ({series.slices} slices)": series.uid for number, series in enumerate(found, 1)}
        dialog.setComboBoxItems(list(labels))
        dialog.textValueSelected.connect(lambda label: self.attempt(self.session.pair.load, role, path, series=labels[label]))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _choose_file(self, role: Role) -> None:
        name, _ = QFileDialog.getOpenFileName(self, f"Open the {role.value}", "", _SUFFIXES)
        if name:
            self.open_path(role, Path(name))

    def _choose_folder(self, role: Role) -> None:
        name = QFileDialog.getExistingDirectory(self, f"Open the {role.value}: a DICOM folder")
        if name:
            self.open_path(role, Path(name))

    def _open_sample(self) -> None:
        self.attempt(self.session.pair.open_sample, self.samples.currentText())

    def _take_layer(self, role: Role, name: str) -> None:
        self.attempt(self._load_layer, role, name)

    def _load_layer(self, role: Role, name: str) -> None:
        layer = self.viewer.layers[name]
        volume = layers.from_layer(layer)
        if not layers.is_ours(layer):
            layer.visible = False
        self.session.pair.load(role, volume)

    # -- showing

    def _offer_layers(self, _: Any = None) -> None:
        names = [layer.name for layer in self.viewer.layers if layer.ndim == 3 and type(layer).__name__ in ("Image", "Labels")]
        for row in self.rows.values():
            row.show_layers(names)

    def _show_pair(self, pair: Pair) -> None:
        for role, row in self.rows.items():
            volume = pair.volume(role)
            row.show_volume(volume)
            self._show_layer(role, volume)
        if pair.source is not None:
            self._show_sample(pair.source.name)

    def _show_sample(self, source: str) -> None:
        """Let the list name the sample that is open, whoever opened it."""
        for row in range(self.samples.count()):
            if source.startswith(f"{self.samples.itemText(row)}_"):
                self.samples.setCurrentIndex(row)

    def _show_layer(self, role: Role, volume: Volume | None) -> None:
        layer, shown = self._layers.get(role, (None, None))
        if shown is not None and volume is not None and _same_picture(shown, volume):
            return
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)
        self._layers.pop(role, None)
        if volume is not None:
            self._layers[role] = self._add_layer(role, volume), volume

    def _add_layer(self, role: Role, volume: Volume) -> Layer:
        kind = "labels" if role is Role.MASK else "image"
        layer = layers.to_layer(volume, name=f"{role.value}: {volume.name}", kind=kind)
        layer.visible = role is Role.SOURCE
        first = not len(self.viewer.layers)
        self.viewer.add_layer(layer)
        if first:
            layers.arrange(self.viewer, self.session.display.value.convention)
        if role is not Role.SOURCE and Role.SOURCE in self._layers:
            self.viewer.layers.selection.active = self._layers[Role.SOURCE][0]
        return layer

    def _show_findings(self, findings: tuple[Any, ...], ticked: frozenset[Any]) -> None:
        self.findings.show_findings(findings, {finding.code: finding in ticked for finding in findings})
        self._show_busy()

    def _show_busy(self) -> None:
        busy = self.session.desk.busy
        doing = "Opening…" if busy & {"load", "series"} else "Preparing…" if "remedy" in busy else "Checking…" if "check" in busy else ""
        self._verdict.setText(doing or _verdict(self.session.pair.value.source is not None, self.session.state))


def _verdict(source: bool, state: Any) -> str:
    if not source:
        return "Open a source to have it checked."
    if state.blocking:
        return "This pair cannot be translated as it is:"
    if state.waiting:
        return "Tick what you have checked yourself:"
    return "This pair can be translated."


def _same_picture(one: Volume, other: Volume) -> bool:
    same_array = one.data.__array_interface__["data"] == other.data.__array_interface__["data"] and one.shape == other.shape
    return same_array and one.name == other.name and bool((one.affine == other.affine).all())


def _list_series(path: Path) -> tuple[Series, ...]:
    from napari_harmonize.volumes import list_series

    return list_series(path)
