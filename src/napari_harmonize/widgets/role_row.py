"""One volume of the pair: what it is, where it can come from, and what contrast it is said to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QHBoxLayout, QMenu, QPushButton, QWidget

from napari_harmonize.session import Role
from napari_harmonize.volumes import Meaning
from napari_harmonize.widgets.dock import heading, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_harmonize.volumes import Volume

UNSAID = "not said"
CONTRASTS = ("T1", "T2", "FLAIR", "PD", "CT", "TOF-MRA", "CTA")
_TITLES = {Role.SOURCE: "Source", Role.TRUTH: "Ground truth (optional)", Role.MASK: "Brain mask (optional)"}
_MEANINGS = {Meaning.UNKNOWN: "unit not stated", Meaning.ARBITRARY: "arbitrary unit", Meaning.UNIT: "scaled 0 to 1"}
_EMPTY = {
    Role.SOURCE: "Nothing open: choose a file, a DICOM folder or a layer.",
    Role.TRUTH: "None. With it the result can be measured.",
    Role.MASK: "None. The foreground is used instead.",
}


class RoleRow(QWidget):
    """Shows one volume of the pair.

    Parameters
    ----------
    role : Role
        Which.
    parent : QWidget, optional
        Qt parent.

    Attributes
    ----------
    file_requested, folder_requested, clear_requested : Signal()
        A button was pressed.
    layer_requested : Signal(str)
        A layer was picked, by name.
    modality_requested : Signal(str)
        A contrast was picked.
    """

    file_requested = Signal()
    folder_requested = Signal()
    clear_requested = Signal()
    layer_requested = Signal(str)
    modality_requested = Signal(str)

    def __init__(self, role: Role, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._role = role
        self.text = sentence(_EMPTY[role], self)
        self.file_button = self._push("File…", "Open a NIfTI, MGH, NRRD, MetaImage or DICOM file")
        self.file_button.clicked.connect(lambda: self.file_requested.emit())
        self.folder_button = self._push("DICOM folder…", "Open a folder of DICOM slices")
        self.folder_button.clicked.connect(lambda: self.folder_requested.emit())
        self.layer_button = self._push("Layer", "Take a layer that is open in napari")
        self.layer_menu = QMenu(self)
        self.layer_button.setMenu(self.layer_menu)
        self.clear_button = self._push("×", f"Take the {role.value} out of the pair")
        self.clear_button.setFixedWidth(24)
        self.clear_button.clicked.connect(lambda: self.clear_requested.emit())
        self.modality = QComboBox(self)
        self.modality.addItems((UNSAID, *CONTRASTS))
        self.modality.setToolTip("What contrast this is. A NIfTI file does not say; a DICOM file does.")
        self.modality.textActivated.connect(lambda text: self.modality_requested.emit("" if text == UNSAID else text))
        self._lay_out()
        self.show_volume(None)

    def show_volume(self, volume: Volume | None) -> None:
        """Show a volume's facts, or that there is none."""
        self.text.setText(_EMPTY[self._role] if volume is None else _facts(volume, self._role))
        self.clear_button.setVisible(volume is not None)
        self.modality.setVisible(volume is not None and self._role is not Role.MASK)
        if volume is not None:
            self._show_modality(volume.modality or UNSAID)

    def show_layers(self, names: Sequence[str]) -> None:
        """Offer layers."""
        self.layer_menu.clear()
        for name in names:
            self.layer_menu.addAction(name, lambda chosen=name: self.layer_requested.emit(chosen))
        self.layer_button.setEnabled(bool(names))

    def _show_modality(self, name: str) -> None:
        if self.modality.findText(name) < 0:
            self.modality.addItem(name)
        self.modality.setCurrentText(name)

    def _push(self, text: str, tip: str) -> QPushButton:
        made = QPushButton(text, self)
        made.setToolTip(tip)
        return made

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 4)
        grid.addWidget(heading(_TITLES[self._role], self), 0, 0, 1, 2)
        grid.addWidget(self.modality, 0, 2)
        grid.addWidget(self.clear_button, 0, 3)
        grid.addWidget(self.text, 1, 0, 1, 4)
        buttons = QHBoxLayout()
        for widget in (self.file_button, self.folder_button, self.layer_button):
            buttons.addWidget(widget, 1)
        grid.addLayout(buttons, 2, 0, 1, 4)
        grid.setColumnStretch(1, 1)


def _facts(volume: Volume, role: Role) -> str:
    shape = " × ".join(str(length) for length in volume.shape)
    spacing = " × ".join(f"{side:.3g}" for side in volume.spacing)
    meaning = "" if role is Role.MASK else f", {_MEANINGS.get(volume.meaning, volume.meaning.value)}"
    notes = "".join(f"\n• {note}" for note in volume.notes)
    return f"{volume.name}\n{shape} voxels of {spacing} mm{meaning}{notes}"
