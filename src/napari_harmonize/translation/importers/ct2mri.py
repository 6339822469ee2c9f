"""Checkpoints of CT2MRI (Choo et al., MICCAI 2024) and of the BBDM it grew from.

A model file is a dictionary {step, epoch, model, ema}; ``ema``, where present, holds the averaged weights that are used
at test time, without the six schedule buffers, which come from ``model``. A bare state_dict and a .safetensors file
of one are read too. Widths, stack size, schedule and key are inferred from the tensors; what they cannot tell is
asked (:class:`Answers`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from napari_harmonize.diffusion import OBJECTIVES
from napari_harmonize.diffusion.schedules import bridge
from napari_harmonize.diffusion.settings import SCHEDULES, BridgeSettings, Correction
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings
from napari_harmonize.settings import Settings, from_json, setting, to_json
from napari_harmonize.style import Origin, Training, average, from_curves
from napari_harmonize.translation.card import Card
from napari_harmonize.translation.importers import Imported
from napari_harmonize.translation.importers.files import load_style_keys, load_tensors
from napari_harmonize.translation.importers.fit import Fit, fit, shape_of
from napari_harmonize.translation.recipe import AXES, Recipe, Target
from napari_harmonize.translation.settings import Defaults

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "denoise_fn."
STEM = "input_blocks.0.0.weight"
BUFFERS = ("m_t", "m_tminus", "variance_t", "variance_tminus", "variance_t_tminus", "posterior_variance_t")
LARGEST_DISTANCE = 1.0
CITATION = (
    "Choo et al., Slice-consistent 3D volumetric brain CT-to-MRI translation with 2D Brownian bridge diffusion model, MICCAI 2024; "
    "Li et al., BBDM: image-to-image translation with Brownian bridge diffusion models, CVPR 2023"
)


@dataclass(frozen=True)
class Answers(Settings):
    """What the tensors cannot tell; the defaults are the published values."""

    head_width: int = setting(64, help="Channels of one attention head.", low=1, high=4096)
    objective: str = setting("grad", help="What the network predicts.", choices=tuple(OBJECTIVES))
    weights: str = setting("ema", help='"ema": the averaged weights used at test time; "model": the last ones.', choices=("ema", "model"))
    from_contrast: str = setting("CT", help="Contrast it translates from.")
    to_contrast: str = setting("T1", help="Contrast it translates to.")
    axis: str = setting("axial", help="Direction its slices are stacked along.", choices=tuple(AXES))
    window_low: float = setting(0.0, help="Value of a CT that became 0 in training; the authors do not say.", unit="HU")
    window_high: float = setting(80.0, help="Value of a CT that became 1 in training; the authors do not say.", unit="HU")
    style_keys: str = setting("", help="Key file (.pkl) of the training subjects; gives the model its averaged key.")


@dataclass(frozen=True, eq=False)
class Checkpoint(Fit):
    """What the tensors of a checkpoint tell, besides how they fit.

    Parameters
    ----------
    network : BridgeUNetSettings
        Its network.
    path : BridgeSettings
        Its schedule.
    assumed : tuple of str
        One sentence for every fact the tensors lack.
    sentence : str
        What was found, for the user.
    """

    network: BridgeUNetSettings
    path: BridgeSettings
    assumed: tuple[str, ...]
    sentence: str

    @property
    def radius(self) -> int:
        """Neighbours on each side of a stack's centre."""
        return self.network.channels // 2


def recognises(path: Path) -> bool:
    """Tell whether a file is a CT2MRI or BBDM checkpoint, or the optimiser's twin of one."""
    found = load_tensors(path)
    return isinstance(found, Mapping) and (_is_optimiser(found) or PREFIX + STEM in _weights_of(found, "ema")[0])


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
    found = inspect(path, head_width=given.head_width, weights=given.weights)
    found.refuse_gaps(path.name)
    training, keys_note = _training(given, found.network.bins)
    recipe = Recipe(
        network="bridge-unet",
        network_settings=to_json(found.network),
        path="bridge",
        path_settings=to_json(found.path),
        objective=given.objective,
        radius=found.radius,
        axis=given.axis,
        conditioning=_conditioning(found.network),
        steps=_steps(given),
        source="HU" if given.from_contrast == "CT" else "arbitrary MR",
        target=Target(modality=given.to_contrast),
        defaults=Defaults("bridge-published", 50, 0.0, "co-prediction+correction", Correction(), False),
        training=training,
    )
    assumed = (*found.assumed, *_assumed(given, set(answers), found))
    return Imported(recipe, _card(given, found), found.state, assumed, (*found.notes, *keys_note))


def inspect(path: Path, *, head_width: int = 64, weights: str = "ema") -> Checkpoint:
    """Read a checkpoint and say what its tensors tell, gaps included.

    Parameters
    ----------
    path : Path
        The checkpoint.
    head_width : int
        Channels of one attention head, which no tensor tells.
    weights : str
        "ema" for the averaged weights where the file holds them, or "model".

    Raises
    ------
    ModelError
        The file holds no weights of this system, or too few to tell its shape.
    """
    found = load_tensors(path)
    if not isinstance(found, Mapping):
        raise ModelError("A checkpoint is a dictionary of tensors", f"{path.name} holds a {type(found).__name__}")
    if _is_optimiser(found):
        raise ModelError(
            "A model is imported from its weights",
            f"{path.name} holds the state of an optimiser only",
            'Choose the file beside it without "optim_sche" in its name',
        )
    tensors, kind = _weights_of(found, weights)
    if PREFIX + STEM not in tensors:
        raise ModelError(
            "A CT2MRI checkpoint holds the weights of its U-Net", f"{path.name} has no {PREFIX}{STEM}", "Choose another system"
        )
    state = {name.removeprefix(PREFIX): value for name, value in tensors.items() if name not in BUFFERS}
    network = _network(state, head_width, path.name)
    schedule, assumed = _schedule(tensors, path.name)
    fitted = fit(state, lambda: BridgeUNet(network))
    return Checkpoint(**vars(fitted), network=network, path=schedule, assumed=assumed, sentence=_sentence(found, kind, network, schedule))


def _is_optimiser(found: Mapping[str, Any]) -> bool:
    return {"optimizer", "scheduler"} & set(found) != set() and not {"model", "ema"} & set(found)


def _weights_of(found: Mapping[str, Any], weights: str) -> tuple[dict[str, Tensor], str]:
    """Tensors of a file, the averaged ones laid over the last ones, and which they are."""
    parts = [found.get(name) for name in ("model", "ema")]
    last, averaged = (dict(part) if isinstance(part, Mapping) else {} for part in parts)
    if not last and not averaged:
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}, "bare weights"
    if averaged and (weights == "ema" or not last):
        filled = len(set(last) - set(averaged) - set(BUFFERS))
        return {**last, **averaged}, f"averaged weights{f' ({filled} tensors, not averaged, from the last ones)' if filled else ''}"
    return last, "last weights"


def _network(state: Mapping[str, Tensor], head_width: int, name: str) -> BridgeUNetSettings:
    """Infer the network from the names and shapes of its tensors."""
    shape = shape_of(state, name)
    if shape.outputs % 2 == 0:
        raise ModelError("A stack has an odd number of slices", f"{name} predicts {shape.outputs}")
    attention = tuple(2**level for level, index in enumerate(shape.first) if f"input_blocks.{index}.1.norm.weight" in state)
    key = state.get("middle_block.1.transformer_blocks.0.attn2.to_k.weight")
    bins = 0 if key is None else key.shape[1]
    sources = shape.inputs - shape.outputs
    return BridgeUNetSettings(shape.outputs, sources, shape.width, shape.multipliers, shape.blocks, attention, head_width, bins)


def _schedule(tensors: Mapping[str, Tensor], name: str) -> tuple[BridgeSettings, tuple[str, ...]]:
    """Recover the schedule from its buffers."""
    if "m_t" not in tensors or "variance_t" not in tensors:
        return BridgeSettings(), ("The schedule is the published one: linear, 1000 steps, variance factor 1.",)
    m, variance = (tensors[part].double().numpy() for part in ("m_t", "variance_t"))
    inner = (m > 0) & (m < 1)
    factor = float(f"{np.median(variance[inner] / (2 * (m - m**2)[inner])):.5g}") if inner.any() else 1.0
    for schedule in SCHEDULES if math.isfinite(factor) and factor > 0 else ():
        candidate = BridgeSettings(schedule, len(m), factor)
        if np.allclose(bridge(candidate).b, m, rtol=0, atol=1e-6):
            return candidate, ()
    raise ModelError(
        f"A bridge's schedule is one of {', '.join(SCHEDULES)}", f"{name} has {len(m)} values from {m[0]:g} to {m[-1]:g} of none of them"
    )


def _sentence(found: Mapping[str, Any], kind: str, network: BridgeUNetSettings, path: BridgeSettings) -> str:
    counted = [f"{name} {found[name]}" for name in ("step", "epoch") if isinstance(found.get(name), int)]
    key = f"a style key of {network.bins} bins" if network.bins else "no style key"
    where = f" at {' and '.join(counted)}" if counted else ""
    return (
        f"A Brownian-bridge checkpoint{where} ({kind}): stacks of {network.channels} slices, width {network.width} times "
        f"{network.multipliers}, {key}, {path.schedule} schedule of {path.steps} steps."
    )


def _conditioning(network: BridgeUNetSettings) -> tuple[str, ...]:
    return (*(("source",) if network.source_channels else ()), *(("style",) if network.bins else ()))


def _steps(given: Answers) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Prepare as published: CT in a window and at least 160 x 160, MR as released for BraTS; both at 1 mm."""
    resample = ("resample", {"spacing": (1.0, 1.0, 1.0)})
    if given.from_contrast == "CT":
        if given.window_low >= given.window_high:
            raise SettingsError("A window's low end lies below its high end", f"{given.window_low:g} and {given.window_high:g} arrived")
        window = ("window", {"low": given.window_low, "high": given.window_high})
        return (
            ("mask", {"outside": given.window_low}),
            window,
            resample,
            ("crop_to_foreground", {}),
            ("pad_to_multiple", {"fill": "zero", "least": (160, 160)}),
        )
    crop = ("crop_to_foreground", {"margin": 0.0, "above": 1e-6})
    return ("mask", {}), resample, ("robust_brats", {}), crop, ("fit_to_size", {"size": (176, 176, 160)})


def _card(given: Answers, found: Checkpoint) -> Card:
    return Card(
        title=f"Imported Brownian bridge, {given.from_contrast} to {given.to_contrast}",
        from_contrasts=(given.from_contrast,),
        to_contrasts=(given.to_contrast,),
        anatomy="brain",
        spacing=(1.0, 1.0, 1.0),
        stripped=True,
        data=f"Unknown. {found.sentence}",
        citation=CITATION,
        failures=(
            "Imported weights have not been measured here.",
            "Expects a skull-stripped brain in 0..1 after preparation; other intensities give unpredictable results.",
        ),
    )


def _assumed(given: Answers, answered: set[str], found: Checkpoint) -> tuple[str, ...]:
    sentences = {
        "head_width": f"One attention head is {given.head_width} channels wide.",
        "objective": f'The network predicts "{given.objective}".',
        "from_contrast": f"It translates from {given.from_contrast}.",
        "to_contrast": f"It translates to {given.to_contrast}.",
        "axis": f"Its slices are {given.axis}.",
    }
    if given.from_contrast == "CT" and not {"window_low", "window_high"} <= answered:
        sentences["window"] = f"A CT's window {given.window_low:g} to {given.window_high:g} HU became 0 to 1."
    if found.network.bins and not given.style_keys:
        sentences["style_keys"] = "Nothing is known of its training keys: a key must be chosen, and none is called far from training."
    return tuple(sentence for name, sentence in sentences.items() if name not in answered)


def _training(given: Answers, bins: int) -> tuple[Training | None, tuple[str, ...]]:
    """Training keys from a key file, and what is to be said of them."""
    if not given.style_keys:
        return None, ()
    from pathlib import Path

    name = Path(given.style_keys).name
    curves = load_style_keys(given.style_keys)
    if any(part.shape[1] != bins for part in curves.values()):
        raise ModelError(
            f"This network's style keys have {bins} bins", f"those of {name} do not", "Choose the key file it was trained with"
        )
    keys = [from_curves(part, label=subject, origin=Origin.FILE, source_name=name) for subject, part in curves.items()]
    distinct = [key for index, key in enumerate(keys) if not any(key.same_as(other) for other in keys[:index])]
    if len(distinct) > 1:
        return Training.of(keys), ()
    alone = (distinct[0], distinct[0])
    note = f"{name} gives every subject the same key: it is taken as the average, and no key is called far from training."
    return Training(average(alone), alone, LARGEST_DISTANCE), (note,)
