"""The model card: what a model is for, what it was made from, and where it fails."""

from __future__ import annotations

from dataclasses import dataclass

from napari_harmonize.settings import Settings, setting


@dataclass(frozen=True)
class Card(Settings):
    """What a user should know before trusting a model."""

    title: str = setting("Untitled model", help="What the model does, in a few words.")
    from_contrasts: tuple[str, ...] = setting((), help='Contrasts it translates from ("CT", "FLAIR", ...); empty where unknown.')
    to_contrasts: tuple[str, ...] = setting((), help="Contrasts it translates to.")
    anatomy: str = setting("", help="Body part it was trained on.")
    spacing: tuple[float, ...] = setting((), help="Voxel size it was trained at; empty where unknown.", unit="mm", low=0)
    field_of_view: tuple[float, ...] = setting((), help="Extent it was trained at; empty where unknown.", unit="mm", low=0)
    stripped: bool | None = setting(None, help="Whether it wants skull-stripped volumes; nothing where unknown.")
    data: str = setting("", help="What it was trained on.")
    licence: str = setting("unknown", help="Licence of the weights.")
    citation: str = setting("", help="What to cite.")
    failures: tuple[str, ...] = setting((), help="Where it is known to fail.")
    sampler: str = setting("bridge", help="Sampler it starts with; filled in from the recipe.")
    steps: int = setting(10, help="Sampler steps it starts with; filled in from the recipe.", low=1)
    metrics: tuple[tuple[str, str, float], ...] = setting((), help="Measured quality: data, metric, value.")
    assumed: tuple[str, ...] = setting((), help="Facts no file stated and nobody confirmed.")
