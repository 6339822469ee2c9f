"""Which settings suit a model, and which have an effect: asked of the model's recipe, choice by choice."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from napari_harmonize.session.snapshot import YES, Held, ModelFacts, Permission, first
from napari_harmonize.settings import declarations, replace
from napari_harmonize.translation.settings import TranslationSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_harmonize.diffusion import Correction, SamplerRow
    from napari_harmonize.session.snapshot import Snapshot

NO_PATH = "Without a model there is no path to walk."


def refusals(snapshot: Snapshot) -> Mapping[str, Mapping[str, str]]:
    """Say of every choice why it does not suit the model, if it does not; each sampler is tried with its own steps and time list."""
    model, settings = snapshot.model, snapshot.settings
    if model is None or settings is None or not model.path_kind:
        return {}
    return _refusals(model, Held(model.recipe), settings.sampler, settings.correction, tuple(snapshot.samplers.items()))


@lru_cache(maxsize=64)
def _refusals(
    model: ModelFacts, _: Held, sampler: str, correction: Correction, rows: tuple[tuple[str, SamplerRow], ...]
) -> Mapping[str, Mapping[str, str]]:
    plain, samplers = TranslationSettings(consistency="co-prediction", correction=correction), dict(rows)
    tried = {name: replace(plain, sampler=name, steps=row.default_steps) for name, row in rows}
    found: dict[str, Mapping[str, str]] = {"sampler": {name: model.refusal(one, samplers[name]) for name, one in tried.items()}}
    if found["sampler"].get(sampler, NO_PATH):
        return found
    for name in ("consistency", "spacing"):
        choices = declarations(TranslationSettings)[name].allowed()
        ones = {choice: replace(tried[sampler], **{name: choice}) for choice in choices}
        found[name] = {choice: model.refusal(one, samplers[sampler]) for choice, one in ones.items()}
    return found


def unsuited(snapshot: Snapshot) -> str:
    """Why the settings do not suit the model, if they do not."""
    if snapshot.model is None or snapshot.settings is None or not snapshot.model.path_kind:
        return ""
    name = snapshot.settings.sampler
    reasons = refusals(snapshot)["sampler"]
    if reasons.get(name, NO_PATH):
        suited = [other for other, reason in reasons.items() if not reason]
        return f"The sampler {name} does not suit this model; choose {' or '.join(suited) or 'another model'}."
    return snapshot.model.refusal(snapshot.settings, snapshot.samplers[name])


def seed(snapshot: Snapshot, chosen: SamplerRow | None) -> Permission:
    """Whether another seed would give another result."""
    if chosen is None or snapshot.settings is None:
        return Permission(False, "Without a sampler no noise is drawn.")
    if chosen.seed_matters(snapshot.settings.eta):
        return YES
    return Permission(
        False, f"No noise is drawn by {snapshot.settings.sampler} at eta {snapshot.settings.eta:g}, so the seed has no effect."
    )


def eta(snapshot: Snapshot, chosen: SamplerRow | None) -> Permission:
    """Whether the share of fresh noise can be chosen."""
    if chosen is None or snapshot.settings is None:
        return Permission(False, "Without a sampler there is no noise to set.")
    return first("" if chosen.takes_eta else f"The sampler {snapshot.settings.sampler} has its own amount of noise, so eta has no effect.")


def correction(snapshot: Snapshot) -> Permission:
    """Whether the details of the correction are asked for."""
    asked = snapshot.settings is not None and snapshot.settings.corrects
    return YES if asked else Permission(False, "Choose a consistency with correction to set how slices are drawn together.")


def guidance(snapshot: Snapshot, chosen: SamplerRow | None) -> Permission:
    """Whether the network was trained for guidance."""
    if chosen is None or snapshot.settings is None or snapshot.model is None:
        return Permission(False, "Without a sampler nothing is guided.")
    if snapshot.settings.guidance > 0:  # it can always be taken back
        return YES
    able = snapshot.model.recipe is None or snapshot.model.recipe.dropped
    return first("" if able else "Guidance needs a network trained with dropped conditions; this model's was not.")
