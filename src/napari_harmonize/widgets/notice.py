"""What is said once, at the first start: what this is not for."""

from __future__ import annotations

from qtpy.QtCore import QSettings, Qt
from qtpy.QtWidgets import QMessageBox, QWidget

READ = "notice/research-use-read"
TEXT = (
    "Research use, not for diagnosis.\n\n"
    "Every translated volume is made by a model. It can lose what is there and show what is not. It is marked as synthetic in "
    "every picture and file; look at the Inspect dock before you trust it."
)


def settings() -> QSettings:
    """Where the answer is remembered."""
    return QSettings("napari-harmonize", "napari-harmonize")


def greet(window: QWidget) -> QMessageBox | None:
    """Show the notice unless it was read before; returns at once.

    Parameters
    ----------
    window : QWidget
        The window it belongs to.

    Returns
    -------
    QMessageBox or None
        The open notice.
    """
    if settings().value(READ, False, type=bool):
        return None
    box = QMessageBox(QMessageBox.Icon.Information, "napari-harmonize", TEXT, QMessageBox.StandardButton.Ok, window)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.accepted.connect(lambda: settings().setValue(READ, True))
    box.open()
    return box
