"""A tiny model package of every network family, with random weights; for tests only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

import exported_program
import tiny_model
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace, to_json
from napari_harmonize.translation import Card, Defaults, ModelPackage, Recipe, Target, save

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 16


@dataclass(frozen=True)
class Way:
    """How a family is asked: path, objective and starting sampler."""

    path: str
    objective: str
    sampler: str


BRIDGE, INDEXED = Way("bridge", "clean", "bridge"), Way("linear-beta", "noise", "ddim")
CONTINUOUS, DIRECT = Way("log-snr", "velocity", "ddim"), Way("direct", "clean", "one-pass")
BRIDGES, LOG_SNR = ("bridge-unet", "shuffle-unet"), ("xmodality-adm", "xmodality-uvit", "xmodality-dit")


def way_of(name: str, network) -> Way:
    """A family's way: its networks say whether they are direct, its paper the rest."""
    if getattr(network, "direct", False):
        return DIRECT
    return BRIDGE if name in BRIDGES else CONTINUOUS if name in LOG_SNR else INDEXED


def make(folder: Path, name: str, *, dropped: bool = True, **settings) -> ModelPackage:
    """Write a tiny package of one family into a new folder.

    Parameters
    ----------
    folder : path
        New folder.
    name : str
        Key of ``NETWORKS``.
    dropped : bool
        Whether the recipe says the network was trained with dropped conditions.
    **settings
        Changes of the network's tiny settings.
    """
    chosen, state = build(name, **settings)
    network = NETWORKS[name].load()(chosen)
    way = way_of(name, network)
    told = () if way is DIRECT else ("source",)
    told += ("style",) if network.needs_style else ()
    told += ("source_style",) if name == "shuffle-unet" else ()
    told += ("position",) if getattr(chosen, "position", False) else ()
    recipe = Recipe(
        network=name,
        network_settings=to_json(chosen),
        path=way.path,
        objective=way.objective,
        radius=network.channels // 2,
        conditioning=told,
        patch=(SIDE, SIDE, SIDE) if network.dimensions == 3 else (),
        learns_variance=network.learns_variance,
        dropped=dropped and way is not DIRECT,
        steps=(("normalise", {}), ("resample", {"spacing": [1.0, 1.0, 1.0]}), ("pad_to_multiple", {"fill": "zero"})),
        target=Target(),
        defaults=Defaults(way.sampler, 1 if way is DIRECT else 2, 0.0, "co-prediction"),
        training=tiny_model.training_keys(network.bins) if network.needs_style else None,
    )
    return save(folder, recipe, Card(title=f"tiny {name}", data="random numbers", anatomy="brain"), state)


def build(name: str, **settings):
    """Settings of the tiny network and random weights for it."""
    row = NETWORKS[name]
    chosen = replace(row.settings.tiny(), **settings)
    if name == "exported":
        program = exported_program.script(exported_program.Generator(chosen.dimensions, chosen.channels))
        return replace(chosen, size=len(program)), {"program": torch.frombuffer(bytearray(program), dtype=torch.uint8)}
    return chosen, tiny_model.random_state(name, chosen)
