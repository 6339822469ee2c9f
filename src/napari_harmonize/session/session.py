"""The session: what the application knows, what it may do, and what is in flight. No Qt."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_harmonize.errors import ExportError, SessionError
from napari_harmonize.session import settings_file
from napari_harmonize.session.backend import Backend, job
from napari_harmonize.session.display import DisplayPart
from napari_harmonize.session.follow import Follow, snapshot_of
from napari_harmonize.session.importing import ImportPart
from napari_harmonize.session.jobs import Desk, Request
from napari_harmonize.session.measure import MeasurePart
from napari_harmonize.session.model import ModelPart
from napari_harmonize.session.pair import PairPart
from napari_harmonize.session.project import Project
from napari_harmonize.session.resolve import Action, Snapshot, resolve
from napari_harmonize.session.review import Decision, ReviewPart, Verdict
from napari_harmonize.session.runs import Run, RunsPart
from napari_harmonize.session.style import StylePart
from napari_harmonize.session.training import TrainingPart
from napari_harmonize.settings import replace
from napari_harmonize.volumes import discreet

if TYPE_CHECKING:
    from napari_harmonize.events import Event, Job
    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation import Case, Estimate, ModelPackage, Result


@dataclass(frozen=True, eq=False)
class Exported:
    """What an export wrote.

    Parameters
    ----------
    run : Run
        What was exported.
    paths : tuple of Path
        The NIfTI first.
    reason : str
        Why it was exported though not accepted.
    """

    run: Run
    paths: tuple[Path, ...]
    reason: str


class Session:
    """One per viewer; docks read its parts, write through their methods and listen to their signals.

    Parameters
    ----------
    backend : Backend, optional
        What the folders below do; a test gives one that answers at once.

    Attributes
    ----------
    desk : Desk
        Work in flight; connect one runner to its ``requested`` and ``stop_requested``.
    pair, model, importing, style, runs, display, review, measure, training
        The parts.
    project : Project, optional
        Where records are kept.
    state : State
        What may be done now.
    state_changed : Signal(State)
        It differs from what it was.
    project_changed : Signal(object)
        A project was opened, or closed (None).
    """

    state_changed = Signal(object)
    project_changed = Signal(object)

    def __init__(self, backend: Backend | None = None) -> None:
        self.backend = backend or Backend()
        self.desk = Desk()
        self.pair = PairPart(self.desk, self.backend, lambda: self.model.package)
        self.model = ModelPart(self.desk, self.backend)
        self.importing = ImportPart(self.desk, self.backend, self.model.use)
        self.style = StylePart(self.desk, self.backend)
        self.runs = RunsPart(self.desk, self._translation)
        self.display = DisplayPart()
        self.review = ReviewPart()
        self.measure = MeasurePart(self.desk, self.backend)
        self.training = TrainingPart(self.desk, self.backend, self.model)
        self.project: Project | None = None
        self.estimate: Estimate | None = None
        self.state = resolve(Snapshot())
        self._follow = Follow(self)

    # -- what the runner calls

    def receive(self, number: int, event: Event) -> bool:
        """Apply an event of a job; False where nobody waits for it any more."""
        return self.desk.receive(number, event)

    def complete(self, number: int, result: Any) -> bool:
        """Apply the result of a job; False where nobody waits for it any more."""
        return self.desk.complete(number, result)

    def fail(self, number: int, error: BaseException) -> bool:
        """Apply the error of a job; False where nobody waits for it any more."""
        return self.desk.fail(number, error)

    # -- commands that need more than one part

    def warm_up(self) -> Request:
        """Load the engine, once, before it is needed."""
        return self.desk.ask("engine", "Loading engine", self.backend.warm_up(), lambda _: None)

    def case(self) -> Case:
        """Put the case together as the next run will see it."""
        pair = self.pair.value
        if pair.source is None:
            raise SessionError("There must be a source first", "none is loaded", "Open one in the Pair dock")
        return self.backend.case(pair.source, pair.truth_on_source, pair.mask_on_source, self.key())

    def start_translation(self) -> Run:
        """Queue a translation of the pair with the settings as they are; it starts at once where nothing runs.

        Raises
        ------
        SessionError
            It is not allowed now; the sentence is the state's.
        """
        self._allowed(Action.RUN)
        package = self.model.package
        title = package.card.title if package is not None else self.model.baseline
        ticks = tuple(finding.sentence for finding in self.pair.findings if finding in self.pair.ticked)
        if self.project is not None:
            self.save_settings(self.project.settings_file)
        return self.runs.start(self.case(), self.model.settings, package, title, ticks)

    def stop(self) -> None:
        """Stop the running translation; answers at once."""
        self._allowed(Action.STOP)
        self.runs.stop(None if self.runs.running else self.runs.queued[0].id)

    def request_style_preview(self) -> Request:
        """Render the three slices around the crosshair with the look as it is."""
        self._allowed(Action.PREVIEW_STYLE)
        package, settings, case = self.model.package, self.model.settings, self.case()
        assert package is not None
        slices = self.backend.around(case.source, self.display.value.crosshair, self.backend.facts(package).axis)
        return self.style.render(self.backend.preview(case, settings, package, slices))

    def evaluate(self, run_id: str | None = None) -> Request:
        """Score a run, the one looked at where none is named."""
        run = self.runs.get(run_id or self.runs.shown)
        if run is None or run.result is None or self.pair.value.source is None:
            raise SessionError("Only a finished run with its source open can be measured", "there is none")
        return self.measure.evaluate(self.pair.value, run, partial(self.runs.score, run.id))

    def decide(self, verdict: Verdict | str) -> Decision:
        """Decide about the item in front, with the draft, crosshair and windows as they are; saved on return.

        Raises
        ------
        SessionError
            It is not allowed now.
        """
        display = self.display.value
        windows = {role: (window.width, window.level) for role, window in display.windows.items()}
        return self.review.decide(verdict, crosshair=display.crosshair, windows=windows, blinded=display.blinded)

    def export(self, folder: Path, override_reason: str = "") -> Request:
        """Export the run looked at, where it was accepted or a reason is given and recorded.

        Parameters
        ----------
        folder : Path
            The BIDS derivative dataset; made where it is absent.
        override_reason : str
            Why a result is exported that was not accepted.

        Raises
        ------
        ExportError
            The gate is closed; the sentence says why.
        """
        action = Action.OVERRIDE_EXPORT if override_reason.strip() else Action.EXPORT
        permission = self.state[action]
        run = self.runs.get(self.runs.shown)
        if not permission or run is None or run.result is None:
            raise ExportError(permission.reason or "Look at a finished run first")
        return self.desk.ask("export", f"Exporting {run.id}", self._export(run, Path(folder), override_reason.strip()), self._exported)

    def open_project(self, folder: Path | str) -> Project:
        """Keep records in a folder; runs and decisions it holds come back.

        Raises
        ------
        SessionError
            The folder cannot be used.
        """
        self.project = project = Project(folder)
        for note in project.notes:
            self.desk.say(note, "warning")
        project.audit("open")
        self._follow.project_opened(project)
        self.project_changed.emit(project)
        self.refresh()
        return project

    def save_settings(self, path: Path) -> Path:
        """Write the settings file the command line reads."""
        return settings_file.write(Path(path), settings_file.SettingsFile(self.model.settings, self.style.value))

    def load_settings(self, path: Path) -> Request | None:
        """Take settings and look from a file; a model other than the one in use is opened first, the default where none is named."""
        read = settings_file.read(Path(path))
        if not read.translation.model:
            named = replace(read.translation, model=self.backend.default_model())
            read = settings_file.SettingsFile(named, read.look)
        if self.model.package is not None and read.translation.model == self.model.settings.model:
            self._use_settings(read)
            return None
        name = read.translation.model
        if name in self.model.baselines():
            self.model.choose_baseline(name)
            self._use_settings(read)
            return None
        work = job(f"Opening model {name}", lambda: self.backend.load_model(name))
        return self.desk.ask("model", f"Opening model {name}", work, lambda package: self._use_model(name, package, read))

    def close(self) -> None:
        """Stop everything; nobody is told anything afterwards."""
        self.desk.drop_all()
        parts = (self.pair, self.model, self.importing, self.style, self.runs, self.display, self.review, self.measure, self.training)
        for part in (self, self.desk, *parts):
            for name in (name for name, found in vars(type(part)).items() if isinstance(found, Signal)):
                getattr(part, name).disconnect()

    def refresh(self, *_: Any) -> None:
        """Resolve the state anew and say so where it differs; happens by itself after every change."""
        before, self.state = self.state, resolve(snapshot_of(self))
        if before != self.state:
            self.state_changed.emit(self.state)

    def snapshot(self) -> Snapshot:
        """Freeze what was asked and what is there."""
        return snapshot_of(self)

    def key(self) -> StyleKey | None:
        """Give the key the next run is conditioned on; None where the model takes none."""
        return self.style.value.wished()

    def _allowed(self, action: Action) -> None:
        permission = self.state[action]
        if not permission:
            raise SessionError(permission.reason)

    def _translation(self, run: Run) -> Job[Result]:
        assert run.case is not None
        assert run.settings is not None
        return self.backend.translate(run.case, run.settings, run.package)

    def _export(self, run: Run, folder: Path, reason: str) -> Job[Exported]:
        assert run.result is not None
        decision = self.review.latest(run.id)
        facts = {
            "review": None if decision is None else decision.to_json(),
            "operator": self.review.rater,
            "override": reason,
            "ticks": run.ticks,
            "scores": run.scores,
            "target": "" if run.package is None else ", ".join(run.package.card.to_contrasts[:1]),
            "position": self.display.value.crosshair,
        }
        case, result, backend = run.case or self.case(), run.result, self.backend
        return job(f"Exporting {run.id}", lambda: Exported(run, backend.export(result, case, folder, **facts), reason))

    def _exported(self, written: Exported) -> None:
        self.audit("export", run=written.run.id, files=[path.name for path in written.paths], override=written.reason)
        self.desk.say(f"Exported {written.run.id} to {written.paths[0].name}")

    def audit(self, event: str, **facts: Any) -> None:
        """Add a line to the project's audit log, where a project is open."""
        if self.project is not None:
            pair = self.pair.value
            self.project.audit(event, **discreet(facts, pair.source, pair.truth, pair.mask))

    def _use_model(self, name: str, package: ModelPackage, read: settings_file.SettingsFile) -> None:
        self.model.use(name, package)
        self._use_settings(read)

    def _use_settings(self, read: settings_file.SettingsFile) -> None:
        self.model.set_settings(read.translation)
        if read.look.key is not None:
            self.style.set(**{field.name: getattr(read.look, field.name) for field in dataclasses.fields(read.look)})
