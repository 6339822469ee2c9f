"""The way of a checkpoint from a file, chosen or dropped, to a model of the session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from napari_harmonize.widgets.import_dialog import ImportDialog

if TYPE_CHECKING:
    from qtpy.QtCore import QMimeData

    from napari_harmonize.errors import HarmonizeError
    from napari_harmonize.events import Event
    from napari_harmonize.session import Recognised, Request
    from napari_harmonize.settings import Settings
    from napari_harmonize.translation import ModelPackage
    from napari_harmonize.widgets.dock import Dock

RECIPE = "recipe.json"


class Importer(QObject):
    """Opens model packages and imports checkpoints for a dock.

    Parameters
    ----------
    dock : Dock
        Shows the dialog and the messages.
    """

    def __init__(self, dock: Dock) -> None:
        super().__init__(dock)
        self._dock, self._session = dock, dock.session
        self.dialog: ImportDialog | None = None
        self._request: Request | None = None
        part = self._session.importing
        for signal, slot in (
            (part.recognised, self._show),
            (part.said, self._hear),
            (part.failed, self._fail),
            (part.imported, self._finish),
        ):
            dock.ties.tie(signal, slot)

    def choose_package(self) -> None:
        """Ask for a model package."""
        name, _ = QFileDialog.getOpenFileName(self._dock, "Open a model package", "", f"Model packages (*.zip {RECIPE});;All files (*)")
        if name:
            self.open(Path(name))

    def choose_checkpoint(self) -> None:
        """Ask for a checkpoint."""
        endings = " ".join(f"*{suffix}" for suffix in self._session.backend.checkpoint_suffixes())
        name, _ = QFileDialog.getOpenFileName(self._dock, "Import a checkpoint", "", f"Checkpoints ({endings});;All files (*)")
        if name:
            self._dock.attempt(self._session.importing.recognise, Path(name))

    def open(self, path: Path) -> None:
        """Use a model package, or look into a checkpoint and ask what it cannot tell.

        Parameters
        ----------
        path : Path
            Folder or .zip of a package, its recipe.json, or a checkpoint.
        """
        if path.name == RECIPE:
            path = path.parent
        if path.is_dir() or path.suffix == ".zip":
            self._dock.attempt(self._session.model.choose, str(path))
        else:
            self._dock.attempt(self._session.importing.recognise, path)

    def takes(self, data: QMimeData) -> Path | None:
        """Give the one file or folder in what is dragged, where it can be a model."""
        urls = [url for url in data.urls() if url.isLocalFile()]
        if len(urls) != 1:
            return None
        path = Path(urls[0].toLocalFile())
        endings = (".zip", *self._session.backend.checkpoint_suffixes())
        is_package = path.name == RECIPE or (path.is_dir() and (path / RECIPE).is_file())
        return path if is_package or path.suffix in endings else None

    def _show(self, found: Recognised) -> None:
        if self.dialog is not None:
            self.dialog.reject()
        self.dialog = dialog = ImportDialog(found, self._dock)
        dialog.import_requested.connect(self._start)
        dialog.finished.connect(self._ended)
        dialog.open()

    def _start(self, answers: Settings, folder: Path, confirmed: bool) -> None:
        assert self.dialog is not None
        self._request = self._session.importing.start(self.dialog.found, answers, folder, confirmed=confirmed)

    def _hear(self, event: Event) -> None:
        if self.dialog is not None:
            self.dialog.receive(event)

    def _fail(self, error: HarmonizeError) -> None:
        self._request = None
        if self.dialog is not None:
            self.dialog.fail(error)

    def _finish(self, package: ModelPackage) -> None:
        self._request = None
        if self.dialog is not None:
            self.dialog.finish(package)

    def _ended(self, _: int) -> None:
        """The dialog was closed; an import that still runs is stopped."""
        if self._request is not None:
            self._session.importing.cancel(self._request)
            self._request = None
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None
