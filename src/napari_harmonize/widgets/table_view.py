"""A table of rows that can be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication, QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_harmonize.widgets.letters import number_text

if TYPE_CHECKING:
    from collections.abc import Sequence


class TableView(QTableWidget):
    """Shows rows, read-only; Ctrl+C copies the selection, or everything where nothing is selected, as tab-separated text.

    Attributes
    ----------
    row_requested : Signal(int)
        A row was double-clicked, or Enter pressed on it.
    """

    row_requested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.verticalHeader().setVisible(False)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setStretchLastSection(True)
        self.itemActivated.connect(lambda item: self.row_requested.emit(item.row()))

    def show_rows(self, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show rows.

        Parameters
        ----------
        headers : sequence of str
            Words above the columns.
        rows : sequence of sequences
            Cells; a float is written short, its tooltip has all digits; ``None`` is a dash.
        """
        self.clear()
        self.setColumnCount(len(headers))
        self.setRowCount(len(rows))
        self.setHorizontalHeaderLabels(list(headers))
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                item = QTableWidgetItem(_text(cell))
                item.setToolTip(repr(cell) if isinstance(cell, float) else _text(cell))
                self.setItem(row, column, item)

    def text(self, rows: Sequence[int] | None = None) -> str:
        """Header and rows as tab-separated text; all rows unless some are named."""
        chosen = range(self.rowCount()) if rows is None else rows
        columns = range(self.columnCount())
        lines = [[self.horizontalHeaderItem(column).text() for column in columns]]
        lines += [[self.item(row, column).text() if self.item(row, column) else "" for column in columns] for row in chosen]
        return "\n".join("\t".join(line) for line in lines)

    def keyPressEvent(self, event: Any) -> None:
        """Copy; everything else is the table's."""
        if event.matches(QKeySequence.StandardKey.Copy):
            rows = sorted({index.row() for index in self.selectedIndexes()})
            QGuiApplication.clipboard().setText(self.text(rows or None))
            return
        super().keyPressEvent(event)


def _text(cell: Any) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return number_text(cell) if isinstance(cell, float) else str(cell)
