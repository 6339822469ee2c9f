"""The form of a training run: what it begins with, the table of pairs, the card's words, and how it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QSizePolicy, QWidget
from superqt import QCollapsible

from napari_harmonize.settings import declarations, replace
from napari_harmonize.training.asked import Asked
from napari_harmonize.training.settings import FitSettings
from napari_harmonize.widgets.dock import sentence
from napari_harmonize.widgets.form import Form
from napari_harmonize.widgets.role_row import CONTRASTS, UNSAID

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL = ("steps", "batch", "rate", "validate", "cases", "device")
MORE = tuple(name for name in declarations(FitSettings) if name not in USUAL)
RECIPE_FILE, MODEL_FOLDER = "Recipe file…", "Model package…"
NOTHING = ("", "")


class PathRow(QWidget):
    """A path that is typed or chosen.

    Attributes
    ----------
    path_requested : Signal(str)
        Another path; not yet shown.
    """

    path_requested = Signal(str)

    def __init__(self, label: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown = ""
        self.line, self.browse = QLineEdit(self), QPushButton(label, self)
        self.line.setToolTip(tip)
        self.browse.setToolTip(tip)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.browse)
        self.line.editingFinished.connect(self._edited)

    def show_path(self, path: str) -> None:
        """Show a path; nothing is emitted, and what is being typed stays."""
        if path != self._shown:
            self._shown = path
            self.line.setText(path)

    def _edited(self) -> None:
        text = self.line.text().strip()
        if text != self._shown:
            self._shown = text
            self.path_requested.emit(text)


class AskedForm(QWidget):
    """Edits one :class:`Asked` value.

    Attributes
    ----------
    valueChanged : Signal(Asked)
        The new value, after the user changed it; never after :meth:`setValue`.
    """

    valueChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value = Asked()
        self._recipes: dict[str, str] = {}
        self._models: dict[str, str] = {}
        known = declarations(Asked)
        self.begin, self.about = _box(self), sentence("", self)
        self.table = PathRow("Table…", known["table"].help, self)
        self.counts = sentence("", self)
        self.title = QLineEdit(self)
        self.title.setToolTip(known["title"].help)
        self.contrasts = {name: _box(self, (UNSAID, *CONTRASTS)) for name in ("source", "target")}
        self.usual, self.more = Form(FitSettings, self, only=USUAL), Form(FitSettings, self, only=MORE)
        self._lay_out()
        self.begin.activated.connect(self._begun_with)
        self.table.path_requested.connect(lambda path: self._change(table=path))
        self.table.browse.clicked.connect(lambda _checked=False: self._browse_table())
        self.title.editingFinished.connect(lambda: self._change(title=self.title.text().strip()))
        for name, box in self.contrasts.items():
            box.setToolTip(known[name].help)
            box.activated.connect(lambda row, name=name: self._change(**{name: CONTRASTS[row - 1] if row else ""}))
        for form in (self.usual, self.more):
            form.valueChanged.connect(lambda settings: self._change(fit=settings))

    def _lay_out(self) -> None:
        rows = QFormLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Begin with", self.begin)
        rows.addRow(self.about)
        rows.addRow("Pairs", self.table)
        rows.addRow(self.counts)
        rows.addRow("From contrast", self.contrasts["source"])
        rows.addRow("To contrast", self.contrasts["target"])
        rows.addRow("Card title", self.title)
        rows.addRow(self.usual)
        fold = QCollapsible("More settings", expandedIcon="▾", collapsedIcon="▸")
        fold.setDuration(0)
        fold.addWidget(self.more)
        fold.collapse(animate=False)
        rows.addRow(fold)

    def value(self) -> Asked:
        """What is asked for."""
        return self._value

    def setValue(self, value: Asked) -> None:
        """Show a value; nothing is emitted."""
        self._value = value
        self.table.show_path(value.table)
        self.title.setText(value.title)
        for name, box in self.contrasts.items():
            box.setCurrentIndex(max(box.findText(getattr(value, name)), 0))
        for form in (self.usual, self.more):
            form.setValue(value.fit)
        self._show_begin()

    def offer(self, recipes: Mapping[str, str], models: Mapping[str, str]) -> None:
        """Offer recipes and models to begin with, each with what is known of it.

        Parameters
        ----------
        recipes, models : mapping of str to str
            A sentence on each recipe, and the title of each model, by name.
        """
        self._recipes, self._models = dict(recipes), dict(models)
        self._show_begin()

    def show_counts(self, text: str) -> None:
        """Say what the table holds, or why it cannot be used."""
        self.counts.setText(text)
        self.counts.setVisible(bool(text))

    def commit(self) -> None:
        """Take over what is being typed, as if Enter had been pressed."""
        for line in (self.table.line, self.title):
            line.editingFinished.emit()
        for form in (self.usual, self.more):
            form.commit()

    def _change(self, **changes: Any) -> None:
        """Take over one row; what is being typed in another stays."""
        value = replace(self._value, **changes)
        if value != self._value:
            self._value = value
            for form in (self.usual, self.more):
                if form.value() != value.fit:
                    form.setValue(value.fit)
            self._show_begin()
            self.valueChanged.emit(value)

    def _show_begin(self) -> None:
        """List what a run may begin with, what was brought from elsewhere among it."""
        recipe, start = self._value.recipe, self._value.start
        entries = [("recipe", name) for name in dict.fromkeys((*self._recipes, *([recipe] if recipe else [])))]
        entries += [("start", name) for name in dict.fromkeys((*self._models, *([start] if start else [])))]
        chosen = ("recipe", recipe) if recipe else ("start", start) if start else NOTHING
        self.begin.clear()
        for entry in (NOTHING, *entries):
            self.begin.addItem(self._words(*entry), entry)
        self.begin.addItem(RECIPE_FILE, RECIPE_FILE)
        self.begin.addItem(MODEL_FOLDER, MODEL_FOLDER)
        self.begin.setCurrentIndex([NOTHING, *entries].index(chosen))
        self.about.setText(self._sentence(*chosen))
        self.about.setVisible(bool(self.about.text()))

    def _words(self, kind: str, name: str) -> str:
        if kind == "start":
            return f"Model: {self._models.get(name, Path(name).name)}"
        return f"Recipe: {Path(name).stem}" if kind else "choose a recipe or a model"

    def _sentence(self, kind: str, name: str) -> str:
        if kind == "start":
            return "Training goes on from this model's weights (fine-tuning)."
        return self._recipes.get(name, "")

    def _begun_with(self, row: int) -> None:
        chosen = self.begin.itemData(row)
        if chosen == RECIPE_FILE:
            chosen = ("recipe", QFileDialog.getOpenFileName(self, "Choose a recipe", "", "Recipes (*.json)")[0])
        elif chosen == MODEL_FOLDER:
            chosen = ("start", QFileDialog.getExistingDirectory(self, "Choose the folder of a model package"))
        kind, name = chosen
        if name:
            self._change(**{"recipe": "", "start": "", kind: name})
        self._show_begin()

    def _browse_table(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Choose a table of pairs", "", "Tables (*.csv);;All files (*)")
        if name:
            self._change(table=name)


def _box(parent: QWidget, names: tuple[str, ...] = ()) -> QComboBox:
    box = QComboBox(parent)
    box.addItems(list(names))
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    return box
