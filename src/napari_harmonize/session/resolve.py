"""What may be done now, and if not, the sentence that says why: a pure function of what was asked and what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_harmonize.session.review import Draft, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_harmonize.diffusion import SamplerRow
    from napari_harmonize.translation import Estimate, Finding, TranslationSettings


class Action(StrEnum):
    """Everything a button or key may ask for that is not always possible."""

    RUN = "run"
    STOP = "stop"
    PREVIEW_STYLE = "preview style"
    UNDO = "undo"
    REDO = "redo"
    SAVE_KEY = "save key"
    COMPUTE_TRUTH_KEY = "compute truth key"
    FIND_SIMILAR = "find similar"
    ACCEPT = "accept"
    QUERY = "query"
    REJECT = "reject"
    NEXT = "next"
    PREVIOUS = "previous"
    EXPORT = "export"
    OVERRIDE_EXPORT = "override export"
    EVALUATE = "evaluate"
    COMPARE = "compare"


@dataclass(frozen=True)
class Permission:
    """Whether something may be done or has an effect.

    Parameters
    ----------
    enabled : bool
        Also the truth value of the permission.
    reason : str
        Why not, as one sentence; empty where it is enabled.
    """

    enabled: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.enabled


YES = Permission(True)


@dataclass(frozen=True)
class ModelFacts:
    """What is needed of a model package.

    Parameters
    ----------
    title : str
        Of the card.
    path_kind : str
        "bridge" or "diffusion"; empty for a baseline, which has no sampler.
    needs_style : bool
        Whether the network is conditioned on a style key.
    axis : int
        Axis of the canonical volume the slices are stacked along.
    needs_truth : bool
        Whether it looks at the ground truth, as some baselines do.
    """

    title: str
    path_kind: str
    needs_style: bool
    axis: int = 2
    needs_truth: bool = False


@dataclass(frozen=True)
class Snapshot:
    """What was asked and what is there; plain values only.

    Parameters
    ----------
    source, truth : bool
        Whether the volume is loaded.
    checked : bool
        Whether pre-flight has answered for the pair as it is.
    model : ModelFacts, optional
        The model in use.
    settings : TranslationSettings, optional
        How it is to be run.
    samplers : mapping of str to SamplerRow
        ``diffusion.SAMPLERS``.
    findings, ticked
        Of pre-flight.
    busy : frozenset of str
        Kinds of work in flight.
    running : bool
        Whether a run is being computed.
    queued : int
        Runs that wait.
    has_key, has_training : bool
        Style key state.
    can_undo, can_redo : bool
        Of the style history.
    results : int
        Runs with a result in memory.
    shown : bool
        Whether the run looked at has a result in memory.
    item, position, items : bool, int, int
        Whether a worklist item is in front, which, of how many.
    draft : Draft
        Of the next decision.
    rater : str
        Who decides.
    verdict : Verdict, optional
        The decision that counts for the run looked at.
    estimate : Estimate, optional
        Of the next run.
    """

    source: bool = False
    truth: bool = False
    checked: bool = False
    model: ModelFacts | None = None
    settings: TranslationSettings | None = None
    samplers: Mapping[str, SamplerRow] = field(default_factory=lambda: MappingProxyType({}))
    findings: tuple[Finding, ...] = ()
    ticked: frozenset[Finding] = frozenset()
    busy: frozenset[str] = frozenset()
    running: bool = False
    queued: int = 0
    has_key: bool = False
    has_training: bool = False
    can_undo: bool = False
    can_redo: bool = False
    results: int = 0
    shown: bool = False
    item: bool = False
    position: int = 0
    items: int = 0
    draft: Draft = field(default_factory=Draft)
    rater: str = ""
    verdict: Verdict | None = None
    estimate: Estimate | None = None


@dataclass(frozen=True)
class State:
    """What the widgets show.

    Parameters
    ----------
    actions : mapping of Action to Permission
        Complete.
    samplers : tuple of str
        Those that suit the model's path.
    steps : (int, int)
        Limits of the sampler in use.
    default_steps : mapping of str to int
        Of every sampler listed.
    seed, eta, correction, style : Permission
        Whether the setting has an effect.
    cost : str
        What the next run takes, as one sentence.
    estimate : Estimate, optional
        The numbers behind it.
    blocking, waiting : tuple of Finding
        What forbids a run, and what waits for a tick.
    """

    actions: Mapping[Action, Permission]
    samplers: tuple[str, ...] = ()
    steps: tuple[int, int] = (1, 10000)
    default_steps: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    seed: Permission = YES
    eta: Permission = YES
    correction: Permission = YES
    style: Permission = YES
    cost: str = ""
    estimate: Estimate | None = None
    blocking: tuple[Finding, ...] = ()
    waiting: tuple[Finding, ...] = ()

    def __getitem__(self, action: Action) -> Permission:
        return self.actions[action]


def resolve(snapshot: Snapshot) -> State:
    """Say what may be done.

    Parameters
    ----------
    snapshot : Snapshot
        What was asked and what is there.

    Returns
    -------
    State
        Equal snapshots give equal states.
    """
    suited = _suited(snapshot)
    chosen = None if snapshot.settings is None else suited.get(snapshot.settings.sampler)
    blocking = tuple(finding for finding in snapshot.findings if finding.severity == "block")
    waiting = tuple(finding for finding in snapshot.findings if finding.severity == "tick" and finding not in snapshot.ticked)
    return State(
        actions=MappingProxyType({action: _RULES[action](snapshot) for action in Action}),
        samplers=tuple(suited),
        steps=chosen.limits if chosen is not None else (1, 10000),
        default_steps=MappingProxyType({name: facts.default_steps for name, facts in suited.items()}),
        seed=_seed(snapshot, chosen),
        eta=_eta(chosen),
        correction=_correction(snapshot),
        style=_style(snapshot),
        cost=_cost(snapshot),
        estimate=snapshot.estimate,
        blocking=blocking,
        waiting=waiting,
    )


def _suited(snapshot: Snapshot) -> dict[str, SamplerRow]:
    if snapshot.model is None or not snapshot.model.path_kind:
        return {}
    return {name: facts for name, facts in snapshot.samplers.items() if snapshot.model.path_kind in facts.paths}


def _first(*reasons: str) -> Permission:
    """Permission that is refused with the first reason that is not empty."""
    reason = next((reason for reason in reasons if reason), "")
    return Permission(not reason, reason)


def _no_source(snapshot: Snapshot) -> str:
    return "" if snapshot.source else "Open a source volume first, in the Pair dock."


def _no_model(snapshot: Snapshot) -> str:
    return "" if snapshot.model is not None else "Choose a model first, in the Translate dock."


def _no_result(snapshot: Snapshot) -> str:
    return "" if snapshot.shown else "Look at a finished run first."


def _unfit(snapshot: Snapshot) -> str:
    found = next((finding.sentence for finding in snapshot.findings if finding.severity == "block"), "")
    if found or not snapshot.source:
        return found
    return "" if snapshot.checked else "The pair is still being checked."


def _unticked(snapshot: Snapshot) -> str:
    found = [finding for finding in snapshot.findings if finding.severity == "tick" and finding not in snapshot.ticked]
    return f"Confirm in the Pair dock first: {found[0].sentence}" if found else ""


def _unsuited(snapshot: Snapshot) -> str:
    """Why the settings do not suit the model, if they do not."""
    if snapshot.model is None or snapshot.settings is None or not snapshot.model.path_kind:
        return ""
    name, steps = snapshot.settings.sampler, snapshot.settings.steps
    suited = _suited(snapshot)
    if name not in suited:
        return f"The sampler {name} does not suit this model; choose {' or '.join(suited) or 'another model'}."
    return str(suited[name].refusal(snapshot.model.path_kind, steps))


def _keyless(snapshot: Snapshot) -> str:
    needs = snapshot.model is not None and snapshot.model.needs_style
    return "This model needs a style key; choose one in the Style key dock." if needs and not snapshot.has_key else ""


def _truthless(snapshot: Snapshot) -> str:
    needs = snapshot.model is not None and snapshot.model.needs_truth
    return "This baseline matches the ground truth; open one in the Pair dock." if needs and not snapshot.truth else ""


def _run(snapshot: Snapshot) -> Permission:
    checks = (_no_source, _no_model, _truthless, _unfit, _unticked, _unsuited, _keyless)
    return _first(*(check(snapshot) for check in checks))


def _preview(snapshot: Snapshot) -> Permission:
    unstyled = "" if snapshot.model is None or snapshot.model.needs_style else "This model takes no style key."
    waiting = "Slices are rendered again when the run has ended." if snapshot.running else ""
    return _first(_no_source(snapshot), _no_model(snapshot), unstyled, _unfit(snapshot), _unsuited(snapshot), _keyless(snapshot), waiting)


def _decide(snapshot: Snapshot, comment_needed: bool) -> Permission:
    unsaid = "A comment is compulsory unless the result is accepted." if comment_needed and not snapshot.draft.comment.strip() else ""
    return _first(
        "" if snapshot.item else "Open a result from the worklist first.",
        "" if snapshot.rater else "Enter your name or initials in the Review dock first.",
        unsaid,
    )


def _export(snapshot: Snapshot) -> Permission:
    unseen = {
        None: "Only accepted results are exported; decide first, or export with a recorded reason.",
        Verdict.QUERY: "This result is queried; only accepted results are exported, or one with a recorded reason.",
        Verdict.REJECT: "This result is rejected; only accepted results are exported, or one with a recorded reason.",
    }
    return _first(_no_result(snapshot), unseen.get(snapshot.verdict, ""), _exporting(snapshot))


def _exporting(snapshot: Snapshot) -> str:
    return "An export is being written." if "export" in snapshot.busy else ""


def _find_similar(snapshot: Snapshot) -> Permission:
    unknown = "" if snapshot.has_training else "This model has no training keys to choose among."
    return _first(_no_model(snapshot), unknown, "" if snapshot.truth else "Open a volume with the wished look as ground truth first.")


_RULES: dict[Action, Callable[[Snapshot], Permission]] = {
    Action.RUN: _run,
    Action.STOP: lambda now: _first("" if now.running or now.queued else "Nothing is running."),
    Action.PREVIEW_STYLE: _preview,
    Action.UNDO: lambda now: _first("" if now.can_undo else "There is nothing to undo."),
    Action.REDO: lambda now: _first("" if now.can_redo else "There is nothing to redo."),
    Action.SAVE_KEY: lambda now: _first("" if now.has_key else "There is no style key to save."),
    Action.COMPUTE_TRUTH_KEY: lambda now: _first("" if now.truth else "Open a ground truth first; its key is an oracle that peeks."),
    Action.FIND_SIMILAR: _find_similar,
    Action.ACCEPT: lambda now: _decide(now, comment_needed=False),
    Action.QUERY: lambda now: _decide(now, comment_needed=True),
    Action.REJECT: lambda now: _decide(now, comment_needed=True),
    Action.NEXT: lambda now: _first("" if now.position < now.items - 1 else "This is the last result of the worklist."),
    Action.PREVIOUS: lambda now: _first("" if now.position > 0 else "This is the first result of the worklist."),
    Action.EXPORT: _export,
    Action.OVERRIDE_EXPORT: lambda now: _first(_no_result(now), _exporting(now)),
    Action.EVALUATE: lambda now: _first(_no_result(now)),
    Action.COMPARE: lambda now: _first("" if now.results > 1 else "Two finished runs are needed to compare."),
}


def _seed(snapshot: Snapshot, chosen: SamplerRow | None) -> Permission:
    if chosen is None or snapshot.settings is None:
        return Permission(False, "Without a sampler no noise is drawn.")
    if chosen.seed_matters(snapshot.settings.eta):
        return YES
    return Permission(
        False, f"No noise is drawn by {snapshot.settings.sampler} at eta {snapshot.settings.eta:g}, so the seed has no effect."
    )


def _eta(chosen: SamplerRow | None) -> Permission:
    if chosen is None:
        return Permission(False, "Without a sampler there is no noise to set.")
    return YES


def _correction(snapshot: Snapshot) -> Permission:
    asked = snapshot.settings is not None and snapshot.settings.consistency.endswith("correction")
    return YES if asked else Permission(False, "Choose co-prediction+correction to set how slices are drawn together.")


def _style(snapshot: Snapshot) -> Permission:
    return _first(_no_model(snapshot), "" if snapshot.model and snapshot.model.needs_style else "This model takes no style key.")


def _cost(snapshot: Snapshot) -> str:
    if snapshot.estimate is not None:
        return snapshot.estimate.sentence
    if snapshot.model is not None and not snapshot.model.path_kind:
        return "A baseline takes a few seconds."
    if not snapshot.source or snapshot.model is None:
        return "The cost is known once a source and a model are chosen."
    return "The cost is being estimated." if "estimate" in snapshot.busy else "The cost is not known."
