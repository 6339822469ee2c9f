"""The dialog that turns a checkpoint into a model package: what it was found to be, what it cannot tell, and where the package goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_harmonize.events import Note, Stage
from napari_harmonize.widgets.dock import heading, sentence
from napari_harmonize.widgets.form import Form

if TYPE_CHECKING:
    from napari_harmonize.errors import HarmonizeError
    from napari_harmonize.events import Event
    from napari_harmonize.session import Recognised
    from napari_harmonize.translation import ModelPackage

ASSUMED = "These values are right for this checkpoint"
WHY = "Without the tick, values left as they are stand in the model's card as assumed."


class ImportDialog(QDialog):
    """Asks what a checkpoint cannot tell, and shows how its import gets on.

    Parameters
    ----------
    found : Recognised
        The checkpoint.
    parent : QWidget, optional
        Qt parent.

    Attributes
    ----------
    import_requested : Signal(object, object, bool)
        The answers (Settings), the folder (Path), and whether values left as they are count as stated.
    """

    import_requested = Signal(object, object, bool)

    def __init__(self, found: Recognised, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import a checkpoint")
        self.found = found
        self.form = Form(found.questions, self)
        self.confirmed = QCheckBox(ASSUMED, self)
        self.confirmed.setToolTip(WHY)
        self.folder = QLineEdit(str(found.folder), self)
        self.folder.setToolTip("New folder for the model package: weights.safetensors, recipe.json and card.json")
        self.browse = QPushButton("Folder…", self)
        self.stage = sentence("", self)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 0)
        self.notes = QPlainTextEdit(self)
        self.notes.setReadOnly(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.ok = self.buttons.addButton("Import", QDialogButtonBox.ButtonRole.ActionRole)
        self._lay_out()
        self.ok.clicked.connect(self._ask)
        self.browse.clicked.connect(self._browse)
        self.buttons.rejected.connect(self.reject)
        self.form.refused.connect(lambda said: self.ok.setEnabled(not said))

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.addWidget(heading(self.found.path.name, self))
        column.addWidget(sentence(f"Recognised: {self.found.title}.", self))
        column.addWidget(sentence("What the file cannot tell stands at the published values; change what is different.", self))
        column.addWidget(_scrolling(self.form, self), 1)
        column.addWidget(self.confirmed)
        line = QHBoxLayout()
        line.addWidget(self.folder, 1)
        line.addWidget(self.browse)
        column.addWidget(heading("Model package", self))
        column.addLayout(line)
        for widget in (self.stage, self.bar, self.notes):
            column.addWidget(widget)
            widget.hide()
        self.notes.setMinimumHeight(110)
        column.addWidget(self.buttons)
        self.resize(560, 620)

    def _browse(self) -> None:
        name = QFileDialog.getExistingDirectory(
            self, "Choose a new, empty folder for the model package", str(Path(self.folder.text()).parent)
        )
        if name:
            self.folder.setText(name)

    def _ask(self) -> None:
        self.form.commit()
        self._work(True)
        self.notes.clear()
        self.import_requested.emit(self.form.value(), Path(self.folder.text().strip()), self.confirmed.isChecked())

    def _work(self, going_on: bool) -> None:
        for widget in (self.form, self.confirmed, self.folder, self.browse, self.ok):
            widget.setEnabled(not going_on)
        self.bar.setVisible(going_on)
        self.stage.show()

    def receive(self, event: Event) -> None:
        """Show what the import says."""
        if isinstance(event, Stage):
            self.stage.setText(f"{event.name}: {event.detail}" if event.detail else event.name)
        elif isinstance(event, Note):
            self.notes.show()
            self.notes.appendPlainText(f"{'⚠ ' if event.level == 'warning' else ''}{event.text}")

    def fail(self, error: HarmonizeError) -> None:
        """Say why it was refused; the answers may be changed and tried again."""
        self._work(False)
        self.stage.setText(f"✖ {error}")

    def finish(self, package: ModelPackage) -> None:
        """Say that the model is there."""
        self._work(False)
        self.ok.hide()
        self.form.setEnabled(False)
        self.buttons.button(QDialogButtonBox.StandardButton.Cancel).setText("Close")
        self.stage.setText(f"✓ {package.card.title} is imported and chosen.")


def _scrolling(form: Form, parent: QWidget) -> QScrollArea:
    area = QScrollArea(parent)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(form)
    return area
