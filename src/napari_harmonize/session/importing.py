"""Turning a published checkpoint into a model of the session: recognise it, ask what it cannot tell, import it, use it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_harmonize.events import Stage
from napari_harmonize.settings import to_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_harmonize.errors import HarmonizeError
    from napari_harmonize.events import Job
    from napari_harmonize.session.backend import Backend
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.settings import Settings
    from napari_harmonize.translation import ModelPackage


@dataclass(frozen=True)
class Recognised:
    """What a checkpoint was found to be.

    Parameters
    ----------
    path : Path
        The file.
    system : str
        Name of the system it comes from, as in the table of importers.
    title : str
        The system in words.
    questions : Settings
        What the file cannot tell, prefilled with the published values.
    """

    path: Path
    system: str
    title: str
    questions: Settings

    @property
    def folder(self) -> Path:
        """A new folder beside the file, for the model package."""
        beside = self.path.with_suffix("")
        return beside if not beside.exists() else beside.with_name(f"{beside.name}-model")


class ImportPart:
    """Imports checkpoints; the models become known to the session and are used.

    Attributes
    ----------
    recognised : Signal(Recognised)
        A checkpoint was looked into; its questions may be asked.
    said : Signal(Event)
        A stage or note of the import under way.
    failed : Signal(HarmonizeError)
        The import was refused.
    imported : Signal(ModelPackage)
        The package is written and in use.
    """

    recognised = Signal(object)
    said = Signal(object)
    failed = Signal(object)
    imported = Signal(object)

    def __init__(self, desk: Desk, backend: Backend, use: Callable[[str, ModelPackage], None]) -> None:
        self._desk, self._backend, self._use = desk, backend, use

    def recognise(self, path: Path) -> Request:
        """Find out which system a checkpoint comes from; a file of none is refused in a message."""
        title = f"Looking into {path.name}"
        return self._desk.ask("recognise", title, _recognising(self._backend, path, title), self.recognised.emit)

    def start(self, found: Recognised, answers: Settings, folder: Path, *, confirmed: bool = False) -> Request:
        """Import a checkpoint.

        Parameters
        ----------
        found : Recognised
            The checkpoint.
        answers : Settings
            The questions, answered.
        folder : Path
            New folder for the model package.
        confirmed : bool
            Whether answers left as they were count as stated; otherwise the card says that they are assumed.
        """
        work = self._backend.import_checkpoint(found.path, folder, found.system, stated(found.questions, answers, everything=confirmed))
        return self._desk.ask("import", f"Importing {found.path.name}", work, self._done, hear=self.said.emit, refuse=self._refuse)

    def cancel(self, request: Request) -> None:
        """Stop an import; nothing is said about it any more."""
        self._desk.drop(request.number)

    def _refuse(self, error: HarmonizeError) -> None:
        self.failed.emit(error)

    def _done(self, package: ModelPackage) -> None:
        self._use(str(package.path), package)
        self.imported.emit(package)


def stated(questions: Settings, answers: Settings, *, everything: bool) -> dict[str, Any]:
    """Give the answers that were given, as JSON values: all, or those that differ from what was prefilled."""
    values = to_json(answers)
    return {item.name: values[item.name] for item in fields(answers) if everything or values[item.name] != to_json(questions)[item.name]}


def _recognising(backend: Backend, path: Path, title: str) -> Job[Recognised]:
    yield Stage(title)
    return Recognised(path, *backend.recognise(path))
