"""Checkpoints of the contrast-harmonisation system (Durrer et al., MIDL 2023) and of its relatives by guided diffusion.

A model file is a bare state_dict: ``savedmodel250000.pt`` holds the weights themselves, ``emasavedmodel_0.9999_250000.pt``
their running average, ``optsavedmodel250000.pt`` the optimiser alone, which is refused. A .safetensors file of a
state_dict is read too. The network is inferred from names and shapes; what they cannot tell is asked (:class:`Answers`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from napari_harmonize.diffusion.settings import CosineBetaSettings, LinearBetaSettings
from napari_harmonize.errors import ModelError
from napari_harmonize.networks.blocks import GROUPS
from napari_harmonize.networks.guided_unet import GuidedUNet, GuidedUNetSettings
from napari_harmonize.settings import Settings, from_json, setting, to_json
from napari_harmonize.translation.card import Card
from napari_harmonize.translation.frame import Frame
from napari_harmonize.translation.importers import Imported
from napari_harmonize.translation.importers.files import load_tensors
from napari_harmonize.translation.importers.fit import Fit, fit, shape_of
from napari_harmonize.translation.recipe import AXES, Recipe, Target
from napari_harmonize.translation.settings import Defaults

if TYPE_CHECKING:
    from pathlib import Path

SIGNS = {"input_blocks.0.0.weight": 4, "time_embed.0.weight": 2, "middle_block.1.qkv.weight": 3, "out.2.weight": 4}
OPTIMISER = {"state", "param_groups"}
STEPS = 50
PUBLISHED_STEPS = 1000
CITATION = "Durrer et al., Diffusion models for contrast harmonization of magnetic resonance images, MIDL 2023"


@dataclass(frozen=True)
class Answers(Settings):
    """What the tensors cannot tell; the defaults are the published values."""

    from_contrast: str = setting("T1 3 T", help="Contrast it translates from; the authors train one model for each direction.")
    to_contrast: str = setting("T1 1.5 T", help="Contrast it translates to.")
    heads: int = setting(1, help="Attention heads (num_heads); the code's own default is 4.", low=1, high=1024)
    attention_order: str = setting(
        "legacy", help='Order of the attention\'s features; "new" with use_new_attention_order.', choices=("legacy", "new")
    )
    label: int = setting(0, help="Class that is asked for, where the network has a label embedding.", low=0, high=999)
    schedule: str = setting("linear", help="How noise rises with time (noise_schedule).", choices=("linear", "cosine"))
    diffusion_steps: int = setting(1000, help="Time steps it was trained with.", low=3, high=100_000)
    rescaled_times: bool = setting(False, help="Whether times were rescaled to 0..1000 (rescale_timesteps).")
    orientation: str = setting(
        "RAS", help='Where slice, row and column of the training slices rise to; "RAS": sagittal slices as they lie in a RAS+ array.'
    )
    size: int = setting(
        224,
        help="Rows and columns slices are padded to at least, as in training. 0 pads to what the network must have, which is "
        "faster but gives its normalisation less background than it was trained with.",
        unit="voxels",
        low=0,
        high=4096,
    )
    lowest: float = setting(0.1, help="Percentile inside the mask that became 0 in training.", unit="%", low=0, high=50)
    highest: float = setting(99.9, help="Percentile inside the mask that became 1 in training.", unit="%", low=50, high=100)
    bias_field: bool = setting(True, help="Whether the training volumes were freed of their bias field.")


@dataclass(frozen=True, eq=False)
class Checkpoint(Fit):
    """What the tensors of a checkpoint tell, besides how they fit.

    Parameters
    ----------
    network : GuidedUNetSettings
        Its network.
    sentence : str
        What was found, for the user.
    """

    network: GuidedUNetSettings
    sentence: str


def recognises(path: Path) -> bool:
    """Tell whether a file is a state_dict of this network, or the optimiser's twin of one."""
    found = load_tensors(path)
    return isinstance(found, Mapping) and (_is_optimiser(found) or _is_network(found))


def _is_optimiser(found: Mapping[str, Any]) -> bool:
    return set(found) == OPTIMISER


def _is_network(found: Mapping[str, Any]) -> bool:
    return all(isinstance(found.get(name), Tensor) and found[name].ndim == axes for name, axes in SIGNS.items())


def convert(path: Path, **answers: Any) -> Imported:
    """Turn a checkpoint into recipe, card and weights.

    Parameters
    ----------
    path : Path
        The checkpoint.
    **answers
        Fields of :class:`Answers`; what is not given is named as assumed.

    Raises
    ------
    ModelError
        The file cannot be used; every missing or mis-shaped tensor is listed.
    SettingsError
        An answer is unknown or does not fit the tensors.
    """
    given = from_json(Answers, answers)
    found = inspect(path, given)
    found.refuse_gaps(path.name)
    if found.network.source_channels != 1:
        raise ModelError(
            "A translation has one source volume",
            f"the network of {path.name} looks at {found.network.source_channels} source images",
            "Use the network from Python",
        )
    recipe = Recipe(
        network="guided-unet",
        network_settings=to_json(found.network),
        **_path(given),
        objective="noise",
        radius=0,
        axis=next(name for name, index in AXES.items() if index == Frame.of(given.orientation).axis),
        orientation=given.orientation,
        low=0.0,
        conditioning=("source",),
        learns_variance=found.network.learned_variance,
        steps=_steps(given),
        source="arbitrary MR",
        target=Target(modality=given.to_contrast),
        defaults=_defaults(given, found.network),
    )
    return Imported(recipe, _card(given, found), found.state, _assumed(set(answers), given, found), found.notes)


def inspect(path: Path, given: Answers | None = None) -> Checkpoint:
    """Read a checkpoint and say what its tensors tell, gaps included.

    Parameters
    ----------
    path : Path
        The checkpoint.
    given : Answers, optional
        What the tensors cannot tell.

    Raises
    ------
    ModelError
        The file holds no weights of this system, or too few to tell its shape.
    """
    given, found = given or Answers(), load_tensors(path)
    if not isinstance(found, Mapping):
        raise ModelError("A checkpoint is a dictionary of tensors", f"{path.name} holds a {type(found).__name__}")
    if _is_optimiser(found):
        raise ModelError(
            "A model is imported from its weights",
            f"{path.name} holds the state of an optimiser only",
            'Choose the file beside it whose name begins with "savedmodel" or "emasavedmodel"',
        )
    tensors = {name: value.detach() for name, value in found.items() if isinstance(value, Tensor)}
    # some copies are saved in half precision to halve the file
    state = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    network = _network(state, given, path.name)
    return Checkpoint(**vars(fit(state, lambda: GuidedUNet(network))), network=network, sentence=_sentence(path.name, network, state))


def _network(state: Mapping[str, Tensor], given: Answers, name: str) -> GuidedUNetSettings:
    """Infer the network from the names and shapes of its tensors."""
    shape = shape_of(state, name)
    if shape.outputs not in (1, 2):
        raise ModelError("Contrast harmonisation predicts one image, and its variance or not", f"{name} predicts {shape.outputs}")
    attention = tuple(2**level for level, index in enumerate(shape.first) if f"input_blocks.{index}.1.qkv.weight" in state)
    steered, labels = state.get("middle_block.0.emb_layers.1.weight"), state.get("label_emb.weight")
    return GuidedUNetSettings(
        channels=1,
        source_channels=shape.inputs - 1,
        width=shape.width,
        multipliers=shape.multipliers,
        blocks=shape.blocks,
        attention=attention,
        heads=given.heads,
        attention_order=given.attention_order,
        scale_shift=steered is not None and len(steered) == 2 * shape.multipliers[-1] * shape.width,
        resblock_updown=shape.resampling,
        classes=0 if labels is None else len(labels),
        label=given.label,
        learned_variance=shape.outputs == 2,
        time_scale=PUBLISHED_STEPS / given.diffusion_steps if given.rescaled_times else 1.0,
    )


def _sentence(name: str, network: GuidedUNetSettings, state: Mapping[str, Tensor]) -> str:
    averaged = re.match(r"ema\w*?_([\d.]+)_(\d+)", name)
    plain = re.search(r"(\d+)(?=\.\w+$)", name)
    kind = f"averaged at rate {averaged[1]}, step {int(averaged[2])}" if averaged else f"step {int(plain[1])}" if plain else "step unknown"
    count = sum(value.numel() for value in state.values())
    return (
        f"A contrast-harmonisation checkpoint ({kind}; before February 2024 the authors' code updated twice per step): "
        f"{count:,} parameters, width {network.width} times {network.multipliers}, {network.blocks} blocks on each level."
    )


def _path(given: Answers) -> dict[str, Any]:
    if given.schedule == "cosine":
        return {"path": "cosine-beta", "path_settings": to_json(CosineBetaSettings(given.diffusion_steps))}
    return {"path": "linear-beta", "path_settings": to_json(LinearBetaSettings.scaled(given.diffusion_steps))}


def _steps(given: Answers) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Prepare as published: stripped, bias removed, 1 mm, without the outermost thousandths, 0..1 over the volume."""
    return (
        ("mask", {}),
        *((("bias_field", {"enabled": True}),) if given.bias_field else ()),
        ("resample", {"spacing": (1.0, 1.0, 1.0)}),
        ("normalise", {"percentile": given.highest, "lowest": given.lowest}),
        ("crop_to_foreground", {}),
        ("pad_to_multiple", {"fill": "zero", "least": (given.size, given.size)}),
    )


def _defaults(given: Answers, network: GuidedUNetSettings) -> Defaults:
    return Defaults(
        sampler="ddpm-learned" if network.learned_variance else "ddpm",
        steps=min(STEPS, given.diffusion_steps),
        eta=0.0,
        consistency="none",
        clip=True,
        spacing="respaced",
    )


def _card(given: Answers, found: Checkpoint) -> Card:
    return Card(
        title=f"Imported contrast harmonisation, {given.from_contrast} to {given.to_contrast}",
        from_contrasts=(given.from_contrast,),
        to_contrasts=(given.to_contrast,),
        anatomy="brain",
        spacing=(1.0, 1.0, 1.0),
        stripped=True,
        data=f"Unknown. {found.sentence}",
        citation=CITATION,
        failures=(*_limits(given, found.network), *_defects(found.network)),
    )


def _limits(given: Answers, network: GuidedUNetSettings) -> tuple[str, ...]:
    # each of 32 groups holds one channel then, and normalising takes away what was added to it
    blind = ("Levels of 32 channels steered by adding cannot tell early from late times; such a network translates badly.",)
    return (
        "Imported weights have not been measured here.",
        "Expects a skull-stripped brain in 0..1 after preparation; other intensities give unpredictable results.",
        f"Published sampling takes {PUBLISHED_STEPS} steps; it starts with {min(STEPS, given.diffusion_steps)} respaced ones, so that "
        "a processor can do it. Fewer steps may look smoother or noisier than the published result.",
        "Every slice is translated by itself and from its own noise: neighbouring slices may differ in brightness.",
        *(blind if GROUPS in network.widths and not network.scale_shift else ()),
    )


def _defects(network: GuidedUNetSettings) -> tuple[str, ...]:
    """What the published code does wrong or otherwise than its paper, and what is done here."""
    alone = "Published and kept: attention works in the bottleneck only; the flag for resolution 16 reaches no level of the network."
    return (
        *(() if network.attention else (alone,)),
        "Published and kept: predicted images are clipped to -1..1, though the training data lie in 0..1.",
        "Published, not reproduced: the shipped DDIM lets the source drift from step to step, starts at time 497 and saves the wrong "
        "channel; DDIM here shows the network the true source at every step.",
        "Published, not reproduced: every slice of the result is stretched to its own 0..1, which breaks the scale between slices; here "
        "the volume is clipped to 0..1 once.",
        "Published, not reproduced: the result is multiplied by the source's intensities instead of the head mask, and saved without "
        "its geometry; here it keeps the mask and the source's own grid.",
    )


def _assumed(answered: set[str], given: Answers, found: Checkpoint) -> tuple[str, ...]:
    network = found.network
    sentences = {
        "from_contrast": f"It translates from {given.from_contrast}.",
        "to_contrast": f"It translates to {given.to_contrast}.",
        "heads": f"Its attention has {given.heads} head{'s' if given.heads > 1 else ''}.",
        "attention_order": f"Its attention's features are in {given.attention_order} order.",
        "label": f"Class {given.label} of {network.classes} is the one to ask for." if network.classes else "",
        "schedule": f"It was trained on the {given.schedule} schedule.",
        "diffusion_steps": f"It was trained with {given.diffusion_steps} time steps.",
        "rescaled_times": f"Times were {'' if given.rescaled_times else 'not '}rescaled.",
        "orientation": f"Slices, rows and columns rise to {', '.join(given.orientation)}.",
        "size": f"Its training slices had at least {given.size} rows and columns." if given.size else "",
        "lowest": f"Percentile {given.lowest:g} inside the mask became 0.",
        "highest": f"Percentile {given.highest:g} inside the mask became 1.",
        "bias_field": f"Its training volumes were {'' if given.bias_field else 'not '}freed of their bias field.",
    }
    return tuple(sentence for name, sentence in sentences.items() if sentence and name not in answered)
