"""What the state is resolved from: what was asked and what is there, frozen; and what a permission is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from napari_harmonize.session.review import Draft, Verdict
from napari_harmonize.session.training_facts import TrainingFacts
from napari_harmonize.translation import plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_harmonize.diffusion import SamplerRow
    from napari_harmonize.translation import Estimate, Finding, Recipe, TranslationSettings


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


def first(*reasons: str) -> Permission:
    """Permission that is refused with the first reason that is not empty."""
    reason = next((reason for reason in reasons if reason), "")
    return Permission(not reason, reason)


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
    recipe : Recipe, optional
        How it was built; without one only the kind of path is known.
    """

    title: str
    path_kind: str
    needs_style: bool
    axis: int = 2
    needs_truth: bool = False
    recipe: Recipe | None = field(default=None, compare=False)

    def refusal(self, settings: TranslationSettings, sampler: SamplerRow) -> str:
        """Say in one sentence why settings with this sampler do not suit the model; empty where they do."""
        if self.recipe is None:
            return sampler.refusal(self.path_kind, settings.steps)
        return _asked(settings, Held(self.recipe))


class Held:
    """A recipe that is the same only as itself, so that what was asked of it can be remembered."""

    def __init__(self, recipe: Recipe | None) -> None:
        self.recipe = recipe

    def __hash__(self) -> int:
        return id(self.recipe)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.recipe is self.recipe


@lru_cache(maxsize=256)
def _asked(settings: TranslationSettings, held: Held) -> str:
    """Ask once: the path is built anew each time, and the state is resolved after every change."""
    assert held.recipe is not None
    return plan.refusal(settings, held.recipe)


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
    training : TrainingFacts
        Of a training run.
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
    training: TrainingFacts = field(default_factory=TrainingFacts)
