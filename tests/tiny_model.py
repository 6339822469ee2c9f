"""A model package with random weights, for tests only: nothing in the library can make or list it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_harmonize import style
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace, to_json
from napari_harmonize.translation import Card, Defaults, ModelPackage, Recipe, Target, save

if TYPE_CHECKING:
    from pathlib import Path

SEED = 7


def make(
    folder: str | Path,
    style: bool = True,
    radius: int = 1,
    bins: int = 128,
    working_spacing: tuple[float, float, float] | None = None,
    *,
    network: str = "bridge-unet",
    target: Target | None = None,
    axis: str = "axial",
    training: bool = True,
    mask: bool = True,
    rows: str = "later",
) -> ModelPackage:
    """Write a tiny package into a new folder.

    Parameters
    ----------
    folder : path
        New folder.
    style : bool
        Whether the network takes a style key.
    radius : int
        Neighbours on each side of a stack's centre.
    bins : int
        Bins of the style keys.
    working_spacing : tuple of float, optional
        Adds a step that resamples to this spacing.
    network : str
        Family; "shuffle-unet" is told the source's style too.
    target, axis, rows
        As in a recipe.
    training : bool
        Whether training style keys come with it.
    mask : bool
        Whether the outside is blanked.
    """
    settings = tiny_settings(network, style, radius, bins)
    recipe = Recipe(
        network=network,
        network_settings=to_json(settings),
        path="bridge",
        objective="clean" if network == "shuffle-unet" else "grad",
        radius=radius,
        axis=axis,
        rows=rows,
        conditioning=("source", *(("style",) * style), *(("source_style",) * (network == "shuffle-unet"))),
        steps=steps(working_spacing, mask),
        target=target or Target(),
        defaults=Defaults(steps=3),
        training=training_keys(bins) if style and training else None,
    )
    card = Card(
        title="tiny", data="random numbers", licence="none", from_contrasts=("any",), to_contrasts=("T1",), anatomy="brain", stripped=True
    )
    return save(folder, recipe, card, random_state(network, settings))


def tiny_settings(network: str, style: bool, radius: int, bins: int):
    """Settings of the smallest network of a family."""
    channels = 2 * radius + 1
    changes = {"channels": channels, "bins": bins if style else 0}
    if network == "bridge-unet":
        changes["source_channels"] = channels
    return replace(NETWORKS[network].settings.tiny(), **changes)


def random_state(network: str, settings) -> dict[str, torch.Tensor]:
    """Weights drawn from one seed, none of them zero."""
    state = NETWORKS[network].load()(settings).state_dict()
    generator = torch.Generator().manual_seed(SEED)
    return {
        name: torch.randn(value.shape, generator=generator) * 0.05 if value.is_floating_point() else value for name, value in state.items()
    }


def steps(working_spacing, mask: bool):
    """Preparation of a stripped volume."""
    return (
        ("window", {"low": 0.0, "high": 80.0}),
        *((("mask", {}),) if mask else ()),
        ("normalise", {}),
        *((("resample", {"spacing": list(working_spacing)}),) if working_spacing else ()),
        ("crop_to_foreground", {"margin": 2.0}),
        ("pad_to_multiple", {}),
    )


def training_keys(bins: int = 128) -> style.Training:
    """Style keys of four made-up subjects."""
    rng = np.random.default_rng(SEED)
    volumes = [np.clip(rng.normal(0.4 + 0.05 * number, 0.15, (8, 8, 8)), 0.01, 1) for number in range(4)]
    keys = [style.compute(data, bins=bins, label=f"subject {number}", origin=style.Origin.REFERENCE) for number, data in enumerate(volumes)]
    return style.Training.of(keys)
