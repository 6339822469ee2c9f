"""The pre-flight list: one sentence each, with a tick or a remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QWidget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Finding(Protocol):
    """What a row needs."""

    @property
    def code(self) -> str:
        """Name of the check."""

    @property
    def severity(self) -> str:
        """One of "ok", "tick" and "block"."""

    @property
    def sentence(self) -> str:
        """What was found."""

    @property
    def remedy(self) -> str | None:
        """What would help."""


WORDS = {"ok": "✓ fine", "tick": "? confirm", "block": "✗ blocks"}


class FindingsView(QWidget):
    """Shows findings.

    Attributes
    ----------
    remedy_requested : Signal(str, str)
        Code of a finding and its remedy, whose button was pressed.
    ticked : Signal(str, bool)
        Code of a finding that was confirmed, or no longer is.
    """

    remedy_requested = Signal(str, str)
    ticked = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._shown: list[QWidget] = []
        self.show_findings(())

    def show_findings(self, findings: Sequence[Finding], ticks: Mapping[str, bool] | None = None) -> None:
        """Show findings in their order.

        Parameters
        ----------
        findings : sequence of Finding
            Anything with code, severity ("ok", "tick", "block"), sentence and remedy.
        ticks : mapping of str to bool, optional
            Which codes were confirmed.
        """
        for widget in self._shown:
            widget.hide()
            self._grid.removeWidget(widget)
            widget.deleteLater()
        self._shown = []
        if not findings:
            self._add(QLabel("Nothing checked yet.", self), 0, 0)
        for row, finding in enumerate(findings):
            self._add_row(row, finding, (ticks or {}).get(finding.code, False))

    def _add(self, widget: QWidget, row: int, column: int, columns: int = 1) -> None:
        self._grid.addWidget(widget, row, column, 1, columns, Qt.AlignmentFlag.AlignTop if column != 1 else Qt.AlignmentFlag(0))
        self._shown.append(widget)

    def _add_row(self, row: int, finding: Finding, confirmed: bool) -> None:
        code, remedy = finding.code, finding.remedy
        if finding.severity == "tick":
            box = QCheckBox("confirmed" if confirmed else WORDS["tick"], self)
            box.setChecked(confirmed)
            box.setAccessibleName(f"confirm: {finding.sentence}")
            box.setObjectName(f"tick {code}")
            box.toggled.connect(lambda on: box.setText("confirmed" if on else WORDS["tick"]))
            box.toggled.connect(lambda on: self.ticked.emit(code, on))
            self._add(box, row, 0)
        else:
            self._add(QLabel(WORDS.get(finding.severity, finding.severity), self), row, 0)
        sentence = QLabel(finding.sentence, self)
        sentence.setWordWrap(True)
        sentence.setAlignment(Qt.AlignmentFlag.AlignTop)
        sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._add(sentence, row, 1, 1 if remedy else 2)
        if remedy:
            button = QPushButton(remedy[:1].upper() + remedy[1:].replace("_", " "), self)
            button.setObjectName(f"remedy {code}")
            button.clicked.connect(lambda: self.remedy_requested.emit(code, remedy))
            self._add(button, row, 2)
