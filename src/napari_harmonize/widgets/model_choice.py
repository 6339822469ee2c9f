"""What do I have, what do I want: the models that suit, and a package from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QPushButton, QSizePolicy, QWidget

from napari_harmonize.widgets.role_row import CONTRASTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari_harmonize.translation import Card

ANY = "anything"


class ModelChoice(QWidget):
    """Picks a model by what goes in and what should come out.

    Parameters
    ----------
    parent : QWidget, optional
        Qt parent.

    Attributes
    ----------
    wishes_changed : Signal(str, str)
        What there is and what is wanted; empty strings suit all.
    model_requested : Signal(str)
        A model was picked, by name.
    package_requested : Signal()
        A model package from a file is wanted.
    checkpoint_requested : Signal()
        A published checkpoint is to be turned into a model package.
    """

    wishes_changed = Signal(str, str)
    model_requested = Signal(str)
    package_requested = Signal()
    checkpoint_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.have, self.want, self.model = (_box(self) for _ in range(3))
        self.package = QPushButton("Open package…", self)
        self.package.setToolTip("Open a model package: its .zip, or the recipe.json in its folder; it may also be dropped here")
        self.package.clicked.connect(lambda: self.package_requested.emit())
        self.checkpoint = QPushButton("Import checkpoint…", self)
        self.checkpoint.setToolTip("Turn a checkpoint of a published system into a model package; it may also be dropped here")
        self.checkpoint.clicked.connect(lambda: self.checkpoint_requested.emit())
        rows = QFormLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("I have", self.have)
        rows.addRow("I want", self.want)
        rows.addRow("Model", self.model)
        line = QHBoxLayout()
        line.addWidget(self.package, 1)
        line.addWidget(self.checkpoint, 1)
        rows.addRow(line)
        for box in (self.have, self.want):
            box.activated.connect(lambda _row: self.wishes_changed.emit(*self.wishes()))
        self.model.activated.connect(lambda row: self.model_requested.emit(self.model.itemData(row)))

    def wishes(self) -> tuple[str, str]:
        """What there is and what is wanted; empty strings suit all."""
        return self.have.currentData() or "", self.want.currentData() or ""

    def show_contrasts(self, cards: Iterable[Card]) -> None:
        """Offer the contrasts of the known models."""
        known = tuple(cards)
        _fill(self.have, _contrasts(card.from_contrasts for card in known))
        _fill(self.want, _contrasts(card.to_contrasts for card in known))

    def show_wishes(self, have: str, want: str) -> None:
        """Show what was found in the files."""
        for box, name in ((self.have, have), (self.want, want)):
            row = box.findData(name)
            box.setCurrentIndex(max(row, 0))

    def show_models(self, titles: Mapping[str, str], chosen: str) -> None:
        """Offer the models that suit, the one in use among them."""
        self.model.clear()
        for name, title in titles.items():
            self.model.addItem(title, name)
            self.model.setItemData(self.model.count() - 1, title, 3)  # Qt.ToolTipRole
        if not titles:
            self.model.addItem("no model known suits", "")
        self.model.setCurrentIndex(max(self.model.findData(chosen), 0))
        self.model.setEnabled(bool(titles))


def _box(parent: QWidget) -> QComboBox:
    box = QComboBox(parent)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    return box


def _contrasts(groups: Iterable[Sequence[str]]) -> list[str]:
    found = {name for group in groups for name in group}
    if "any" in found:
        found = (found - {"any"}) | set(CONTRASTS[:5])
    return sorted(found, key=lambda name: (name not in CONTRASTS, CONTRASTS.index(name) if name in CONTRASTS else 0, name))


def _fill(box: QComboBox, names: Sequence[str]) -> None:
    chosen = box.currentData()
    box.clear()
    box.addItem(ANY, "")
    for name in names:
        box.addItem(name, name)
    box.setCurrentIndex(max(box.findData(chosen), 0))
