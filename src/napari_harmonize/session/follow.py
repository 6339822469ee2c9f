"""What follows from what: how a change in one part reaches the others, and the snapshot the state is resolved from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_harmonize.session import records
from napari_harmonize.session.backend import job
from napari_harmonize.session.resolve import ModelFacts, Snapshot

if TYPE_CHECKING:
    from napari_harmonize.errors import HarmonizeError
    from napari_harmonize.session.display import Display
    from napari_harmonize.session.pair import Pair
    from napari_harmonize.session.project import Project
    from napari_harmonize.session.review import Decision
    from napari_harmonize.session.runs import Run
    from napari_harmonize.session.session import Session
    from napari_harmonize.session.style import Look
    from napari_harmonize.translation import Estimate, Finding, ModelPackage, Result
    from napari_harmonize.volumes import Volume


class Follow:
    """Listens to the parts of a session and carries changes on.

    Parameters
    ----------
    session : Session
        Whose parts.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._marked = True
        self._measured: tuple[object, ...] = (None, None, None, None)
        self._ticked: frozenset[Finding] = frozenset()
        session.pair.loaded.connect(self._loaded)
        session.pair.changed.connect(self._pair)
        session.pair.findings_changed.connect(self._findings)
        session.model.changed.connect(self._model)
        session.model.settings_changed.connect(self._settings)
        session.style.kept.connect(self._look)
        session.runs.changed.connect(self._refresh)
        session.runs.ended.connect(self._ended)
        session.runs.shown_changed.connect(self._shown)
        session.review.rater_changed.connect(self._rater)
        session.review.decided.connect(self._decided)
        session.display.changed.connect(self._display)
        for signal in (session.desk.changed, session.style.changed, session.review.changed, session.training.changed):
            signal.connect(self._refresh)

    def project_opened(self, project: Project) -> None:
        """Bring back what a project keeps, and tell it what is already loaded."""
        session = self._session
        for note in project.notes:
            session.desk.say(note, "warning")
        known = {run.id for run in session.runs.value}
        kept = tuple(run for run in records.kept_runs(project) if run.id not in known)
        session.runs.restore(kept)
        for run in kept:
            session.review.add(records.kept_item(project, run))
        if session.review.rater:
            self._rater(session.review.rater)
        else:
            session.review.set_rater(project.sole_rater())
        for role in ("source", "truth", "mask"):
            volume = session.pair.value.volume(role)
            if volume is not None:
                project.audit("load", **records.load_facts(role, volume))

    def _refresh(self, *_: Any) -> None:
        self._session.refresh()

    def _loaded(self, role: str, volume: Volume) -> None:
        if role != "mask":
            self._session.display.fit(role, volume)
        self._session.audit("load", **records.load_facts(role, volume))

    def _pair(self, pair: Pair) -> None:
        session = self._session
        session.style.forget_preview()
        if pair.source is None or session.pair.checked:
            self._measure()
        self._ask_estimate()
        session.refresh()

    def _findings(self, _: tuple[Finding, ...], ticked: frozenset[Finding]) -> None:
        for finding in ticked - self._ticked:
            self._session.audit("tick", code=finding.code, sentence=finding.sentence)
        self._ticked = ticked
        self._session.refresh()

    def _model(self, package: ModelPackage | None) -> None:
        self._session.style.use_training(None if package is None else package.recipe.training)
        self._session.pair.check()
        self._ask_estimate()
        self._session.refresh()

    def _settings(self, _: object) -> None:
        self._ask_estimate()
        self._session.refresh()

    def _ask_estimate(self) -> None:
        session = self._session
        package, settings = session.model.package, session.model.settings
        session.estimate = None
        if package is None or session.pair.value.source is None or not session.pair.checked:
            return
        if any(finding.severity == "block" for finding in session.pair.findings):
            return
        case, backend = session.case(), session.backend
        work = job("Estimating the cost", lambda: backend.estimate(case, settings, package))
        session.desk.ask("estimate", "Estimating the cost", work, self._estimated, refuse=self._no_estimate)

    def _estimated(self, estimate: Estimate) -> None:
        self._session.estimate = estimate
        self._session.refresh()

    def _no_estimate(self, _: HarmonizeError) -> None:
        """A case that cannot be prepared has no cost; why it cannot be is for pre-flight and the run to say."""
        self._session.refresh()

    def _look(self, look: Look) -> None:
        self._session.audit("style", **records.look_facts(look))

    def _ended(self, run: Run) -> None:
        session = self._session
        session.audit("run", **records.run_facts(run))
        if run.result is None:
            return
        if session.project is not None:
            records.keep(session.desk, session.backend, session.project, run)
        session.review.add(records.item_of(run))

    def _shown(self, run: Run | None, _: Run | None) -> None:
        session = self._session
        if run is not None and run.result is None:
            self._reread(run)
        elif run is not None and run.result is not None:
            session.display.fit("result", run.result.volume)
            if session.review.current != run.id and any(item.run == run.id for item in session.review.items):
                session.review.open(run.id)
        self._measure()
        session.refresh()

    def _measure(self) -> None:
        """Measure what is shown, once for the same volumes."""
        session = self._session
        pair, run = session.pair.value, session.runs.get(session.runs.shown)
        result = None if run is None else run.result
        shown = (pair.source, pair.truth, pair.mask, result)
        if all(now is before for now, before in zip(shown, self._measured, strict=True)):
            return
        self._measured = shown
        session.measure.measure(pair, run)
        if run is not None:
            self._score(run)

    def _score(self, run: Run) -> None:
        pair = self._session.pair.value
        if run.result is None or pair.source is None:
            return
        if run.result.run.facts.get("source", {}).get("sha256", "") == pair.source.sha256:
            self._session.evaluate(run.id)

    def _reread(self, run: Run) -> None:
        session = self._session
        if session.project is not None:
            records.reread(session.desk, session.backend, session.project, run, lambda result: self._again(run, result))

    def _again(self, run: Run, result: Result) -> None:
        session = self._session
        session.runs.update(run, result=result)
        source = result.run.facts.get("source", {})
        pair = session.pair.value
        if pair.source is None or pair.source.sha256 != source.get("sha256"):
            session.desk.say(f"Open {source.get('name', 'the source')} to see it beside its result.")
        session.runs.show(run.id, session.runs.compared)

    def _rater(self, name: str) -> None:
        session = self._session
        if session.project is not None and name:
            for note in session.review.keep_in(session.project.review_file(name)):
                session.desk.say(note, "warning")

    def _decided(self, made: Decision) -> None:
        self._session.audit("decision", **records.decision_facts(made))
        if self._session.project is None:
            self._session.desk.say("This decision is kept in memory only; open a project folder to save it.", "warning")

    def _display(self, display: Display) -> None:
        if display.mark != self._marked:
            self._marked = display.mark
            self._session.audit("mark", shown=display.mark)


def _model_facts(session: Session) -> ModelFacts | None:
    if session.model.package is not None:
        return session.backend.facts(session.model.package)
    return session.backend.baseline_facts(session.model.baseline) if session.model.baseline else None


def snapshot_of(session: Session) -> Snapshot:
    """Freeze what was asked and what is there."""
    pair, runs, review, style, package = session.pair, session.runs, session.review, session.style, session.model.package
    shown, latest = runs.get(runs.shown), review.latest(runs.shown)
    order = [item.run for item in review.items]
    model = _model_facts(session)
    return Snapshot(
        source=pair.value.source is not None,
        truth=pair.value.truth is not None,
        checked=pair.checked,
        model=model,
        settings=None if model is None else session.model.settings,
        samplers={} if package is None else session.backend.samplers(),
        findings=pair.findings,
        ticked=pair.ticked,
        busy=session.desk.busy,
        running=runs.running is not None,
        queued=len(runs.queued),
        has_key=style.value.key is not None,
        has_training=style.training is not None,
        can_undo=style.can_undo,
        can_redo=style.can_redo,
        results=sum(run.result is not None for run in runs.value),
        shown=shown is not None and shown.result is not None,
        item=review.current is not None,
        position=order.index(review.current) if review.current in order else 0,
        items=len(order),
        draft=review.draft,
        rater=review.rater,
        verdict=None if latest is None else latest.verdict,
        estimate=session.estimate,
        training=session.training.facts,
    )
