"""What may be done now, and if not, the sentence that says why: a pure function of what was asked and what is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_harmonize.session import suits
from napari_harmonize.session.review import Verdict
from napari_harmonize.session.snapshot import YES, ModelFacts, Permission, Snapshot, first

__all__ = ["Action", "ModelFacts", "Permission", "Snapshot", "State", "resolve"]

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_harmonize.translation import Estimate, Finding


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
    TRAIN = "train"
    STOP_TRAINING = "stop training"
    USE_TRAINED = "use the trained model"


@dataclass(frozen=True)
class State:
    """What the widgets show.

    Parameters
    ----------
    actions : mapping of Action to Permission
        Complete.
    samplers : tuple of str
        Those that suit the model.
    refusals : mapping of str to mapping of str to str
        Why a choice does not suit the model, by setting ("sampler", "spacing", "consistency") and choice.
    steps : (int, int)
        Limits of the sampler in use.
    default_steps : mapping of str to int
        Of every sampler listed.
    seed, eta, correction, guidance, spacing, style : Permission
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
    refusals: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    steps: tuple[int, int] = (1, 10000)
    default_steps: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    seed: Permission = YES
    eta: Permission = YES
    correction: Permission = YES
    guidance: Permission = YES
    spacing: Permission = YES
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
    refusals = suits.refusals(snapshot)
    suited = {name: row for name, row in snapshot.samplers.items() if not refusals.get("sampler", {}).get(name, suits.NO_PATH)}
    chosen = None if snapshot.settings is None else suited.get(snapshot.settings.sampler)
    blocking = tuple(finding for finding in snapshot.findings if finding.severity == "block")
    waiting = tuple(finding for finding in snapshot.findings if finding.severity == "tick" and finding not in snapshot.ticked)
    return State(
        actions=MappingProxyType({action: _RULES[action](snapshot) for action in Action}),
        samplers=tuple(suited),
        refusals=MappingProxyType(refusals),
        steps=chosen.limits if chosen is not None else (1, 10000),
        default_steps=MappingProxyType({name: facts.default_steps for name, facts in suited.items()}),
        seed=suits.seed(snapshot, chosen),
        eta=suits.eta(snapshot, chosen),
        correction=suits.correction(snapshot),
        guidance=suits.guidance(snapshot, chosen),
        spacing=first("" if chosen is not None else "Without a sampler there are no steps."),
        style=_style(snapshot),
        cost=_cost(snapshot),
        estimate=snapshot.estimate,
        blocking=blocking,
        waiting=waiting,
    )


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


def _keyless(snapshot: Snapshot) -> str:
    needs = snapshot.model is not None and snapshot.model.needs_style
    return "This model needs a style key; choose one in the Style key dock." if needs and not snapshot.has_key else ""


def _truthless(snapshot: Snapshot) -> str:
    needs = snapshot.model is not None and snapshot.model.needs_truth
    return "This baseline matches the ground truth; open one in the Pair dock." if needs and not snapshot.truth else ""


def _run(snapshot: Snapshot) -> Permission:
    checks = (_no_source, _no_model, _truthless, _unfit, _unticked, suits.unsuited, _keyless)
    return first(*(check(snapshot) for check in checks))


def _preview(snapshot: Snapshot) -> Permission:
    model = snapshot.model
    unstyled = "" if model is None or model.needs_style else "This model takes no style key."
    baseline = "" if model is None or model.path_kind else "A baseline takes seconds: run it on the whole volume."
    waiting = "Slices are rendered again when the run has ended." if snapshot.running else ""
    checks = (_unfit, suits.unsuited, _keyless)
    return first(_no_source(snapshot), _no_model(snapshot), unstyled, baseline, *(check(snapshot) for check in checks), waiting)


def _decide(snapshot: Snapshot, comment_needed: bool) -> Permission:
    unsaid = "A comment is compulsory unless the result is accepted." if comment_needed and not snapshot.draft.comment.strip() else ""
    return first(
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
    return first(_no_result(snapshot), unseen.get(snapshot.verdict, ""), _exporting(snapshot))


def _exporting(snapshot: Snapshot) -> str:
    return "An export is being written." if "export" in snapshot.busy else ""


def _find_similar(snapshot: Snapshot) -> Permission:
    unknown = "" if snapshot.has_training else "This model has no training keys to choose among."
    return first(_no_model(snapshot), unknown, "" if snapshot.truth else "Open a volume with the wished look as ground truth first.")


_RULES: dict[Action, Callable[[Snapshot], Permission]] = {
    Action.RUN: _run,
    Action.STOP: lambda now: first("" if now.running or now.queued else "Nothing is running."),
    Action.PREVIEW_STYLE: _preview,
    Action.UNDO: lambda now: first("" if now.can_undo else "There is nothing to undo."),
    Action.REDO: lambda now: first("" if now.can_redo else "There is nothing to redo."),
    Action.SAVE_KEY: lambda now: first("" if now.has_key else "There is no style key to save."),
    Action.COMPUTE_TRUTH_KEY: lambda now: first("" if now.truth else "Open a ground truth first; its key is an oracle that peeks."),
    Action.FIND_SIMILAR: _find_similar,
    Action.ACCEPT: lambda now: _decide(now, comment_needed=False),
    Action.QUERY: lambda now: _decide(now, comment_needed=True),
    Action.REJECT: lambda now: _decide(now, comment_needed=True),
    Action.NEXT: lambda now: first("" if now.position < now.items - 1 else "This is the last result of the worklist."),
    Action.PREVIOUS: lambda now: first("" if now.position > 0 else "This is the first result of the worklist."),
    Action.EXPORT: _export,
    Action.OVERRIDE_EXPORT: lambda now: first(_no_result(now), _exporting(now)),
    Action.EVALUATE: lambda now: first(_no_result(now)),
    Action.COMPARE: lambda now: first("" if now.results > 1 else "Two finished runs are needed to compare."),
    Action.TRAIN: lambda now: first(now.training.refusal()),
    Action.STOP_TRAINING: lambda now: first("" if now.training.running else "Nothing is training."),
    Action.USE_TRAINED: lambda now: first("" if now.training.finished else "The folder holds no finished model yet."),
}


def _style(snapshot: Snapshot) -> Permission:
    return first(_no_model(snapshot), "" if snapshot.model and snapshot.model.needs_style else "This model takes no style key.")


def _cost(snapshot: Snapshot) -> str:
    if snapshot.estimate is not None:
        return snapshot.estimate.sentence
    if snapshot.model is not None and not snapshot.model.path_kind:
        return "A baseline takes a few seconds."
    if not snapshot.source or snapshot.model is None:
        return "The cost is known once a source and a model are chosen."
    return "The cost is being estimated." if snapshot.busy & {"estimate", "check"} else "The cost is not known."
