"""Checkpoints of xmodality (Koch et al., Medical Image Analysis 2025): TOF angiography to CT angiography.

Four networks come as safetensors without metadata; which one a file holds, and its sizes, are told by its tensors
(``xmodality_layout.py``). The same keys in an .npz archive are read too. The pickled training states the authors also use
would run code when opened and are refused. What tensors cannot tell is asked (:class:`Answers`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from napari_harmonize.diffusion.settings import LOG_SNRS, LogSnrSettings
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.settings import Settings, from_json, setting, to_json
from napari_harmonize.translation.card import Card
from napari_harmonize.translation.importers import Imported, flax
from napari_harmonize.translation.importers.files import load_tensors
from napari_harmonize.translation.importers.xmodality_layout import kind_of, layout, network_settings
from napari_harmonize.translation.recipe import Recipe, Target
from napari_harmonize.translation.settings import Defaults

if TYPE_CHECKING:
    from pathlib import Path

    from napari_harmonize.translation.importers.fit import Fit

PICKLES = (".pkl", ".pickle")
ARCHIVES = (".safetensors", ".npz")
DIRECT = "xmodality-unet"
TITLES = {DIRECT: "U-Net, one pass", "xmodality-adm": "ADM", "xmodality-uvit": "U-ViT", "xmodality-dit": "DiT"}
# the authors' list misprints the third as 35 characters, of which these are the last 32
PUBLISHED = {
    DIRECT: "f0c09e5c91b7a8451b0879a5ef55902f",
    "xmodality-adm": "8603c2805aad4e98420824bd9cb6795a",
    "xmodality-uvit": "ed96a0f83e1ffa213e8f37ff82ac496e",
    "xmodality-dit": "af495d740288c2870e4c0a3bbb1ee84c",
}
CITATION = (
    "Koch et al., Cross-modality image synthesis from TOF-MRA to CTA using diffusion-based models, Medical Image Analysis 105, 103722, 2025"
)
ORIENTATIONS = tuple(f"{first}{second}S" for pair in ("LR", "PA") for first in pair for second in ("PA" if pair == "LR" else "LR"))
PROCEDURES = ("resampled", "full resolution")
BORDER = 8
GREY = 0.5


@dataclass(frozen=True)
class Answers(Settings):
    """What the tensors cannot tell; the defaults are the published values."""

    orientation: str = setting(
        "LPS",
        help="Where row, column and slice numbers of the training files rise to; the authors turn no file and do not say.",
        choices=ORIENTATIONS,
    )
    procedure: str = setting(
        "resampled",
        help='"resampled": slices are brought to the training size and back; "full resolution": they are padded and keep their pixels.',
        choices=PROCEDURES,
    )
    size: int = setting(256, help="Side of the training slices.", unit="voxels", low=16, high=4096)
    objective: str = setting("velocity", help="What a denoiser predicts.", choices=("velocity", "noise", "clean"))
    schedule: str = setting("cosine", help="How the log-SNR falls with time while sampling; training used the cosine.", choices=LOG_SNRS)
    from_contrast: str = setting("TOF", help="Contrast it translates from.")
    to_contrast: str = setting("CTA", help="Contrast it translates to.")
    window_low: float = setting(-50.0, help="Value of the target that became the network's lowest in training.", unit="HU")
    window_high: float = setting(350.0, help="Value of the target that became the network's highest in training.", unit="HU")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What the tensors of a checkpoint tell.

    Parameters
    ----------
    network : str
        Key of ``NETWORKS``.
    settings : Settings
        Its sizes.
    fit : Fit
        Its tensors, and those that do not fit by the file's own names.
    """

    network: str
    settings: Settings
    fit: Fit


def recognises(path: Path) -> bool:
    """Tell whether a file is an export of this system.

    Raises
    ------
    ModelError
        It is a pickle, in which the authors keep training states.
    """
    if path.suffix in PICKLES:
        raise _refusal(path)
    return path.suffix in ARCHIVES and bool(kind_of(set(_read(path))))


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
        An answer is unknown or makes no sense.
    """
    given = from_json(Answers, answers)
    if given.window_low >= given.window_high:
        raise SettingsError("A window's low end lies below its high end", f"{given.window_low:g} and {given.window_high:g} arrived")
    found = inspect(path)
    found.fit.refuse_gaps(path.name)
    assumed = _assumed(given, set(answers), found)
    return Imported(_recipe(given, found), _card(given, found, path), found.fit.state, assumed, found.fit.notes)


def inspect(path: Path) -> Checkpoint:
    """Read a checkpoint and say what its tensors tell, gaps included.

    Raises
    ------
    ModelError
        The file holds no weights of this system, too few to tell its shape, or is a pickle.
    """
    if path.suffix in PICKLES:
        raise _refusal(path)
    stored = _read(path)
    kind = kind_of(set(stored))
    if not kind:
        raise ModelError(
            "An xmodality checkpoint holds the weights of a U-Net, ADM, U-ViT or DiT",
            f"{path.name} holds none of them",
            "Choose another system",
        )
    settings = network_settings(kind, stored, path.name)
    return Checkpoint(kind, settings, flax.fit(stored, layout(kind, settings)))


def _refusal(path: Path) -> ModelError:
    return ModelError(
        "Only tensors are read from a checkpoint, because reading anything else could run code",
        f"{path.name} is a pickle, as the authors' training states are",
        "Choose the .safetensors file the authors publish, or export the state's params as one",
    )


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a file by their Flax key; the collection's name, which some exports keep, is cut off."""
    found = load_tensors(path)
    tensors = found.items() if isinstance(found, Mapping) else ()
    return {str(key).removeprefix("params/"): value for key, value in tensors if isinstance(value, Tensor)}


def _recipe(given: Answers, found: Checkpoint) -> Recipe:
    direct = found.network == DIRECT
    return Recipe(
        network=found.network,
        network_settings=to_json(found.settings),
        path="direct" if direct else "log-snr",
        path_settings={} if direct else to_json(LogSnrSettings(given.schedule)),
        objective="clean" if direct else given.objective,
        radius=0,
        axis="axial",
        orientation=f"S{given.orientation[:2]}",
        conditioning=() if direct else ("source",),
        steps=_steps(given),
        source="arbitrary MR",
        target=Target("HU", given.window_low, given.window_high, given.to_contrast),
        defaults=Defaults(sampler="one-pass" if direct else "ddpm", steps=1 if direct else 128, consistency="none", clip=not direct),
    )


def _steps(given: Answers) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Prepare as published: no mask, every slice scaled by its own values after it was resampled."""
    strip: tuple[str, Mapping[str, Any]] = ("strip_flat_slices", {})
    ends = "".join(sorted(given.orientation, key=lambda letter: "LRPAIS".index(letter) // 2))
    pad = ("pad_slices", {"value": GREY, "multiple": BORDER, "ends": ends})
    if given.procedure == "full resolution":
        return strip, ("scale_slices", {}), pad
    return strip, ("resample_slices", {"size": (given.size, given.size)}), ("scale_slices", {}), pad


def _card(given: Answers, found: Checkpoint, path: Path) -> Card:
    parameters = sum(value.numel() for value in found.fit.state.values())
    return Card(
        title=f"{given.from_contrast} to {given.to_contrast} ({TITLES[found.network]})",
        from_contrasts=(given.from_contrast,),
        to_contrasts=(given.to_contrast,),
        anatomy="whole head, tightly cropped",
        stripped=False,
        data=f"{_provenance(found, path)} The published weights were trained on 62 patients of TopCoW.",
        licence="unknown; the authors' code is AGPL-3.0, of the weights they say nothing",
        citation=CITATION,
        failures=(*_failures(found.network), _cost(found.network, parameters)),
    )


def _provenance(found: Checkpoint, path: Path) -> str:
    """Say whether this is one of the released files, as far as their checksums tell."""
    if found.settings != type(found.settings)():
        return "This file holds a network of another size than the published one."
    with path.open("rb") as stream:
        same = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == PUBLISHED[found.network]
    return f"This file {'has' if same else 'does not have'} the checksum its authors publish."


def _failures(network: str) -> tuple[str, ...]:
    """Name what the authors' code does differently from what a reader of the paper expects; the weights need it so."""
    everyone = (
        "Imported weights have not been measured here.",
        "Every slice is scaled by its own darkest and brightest pixel, so that neighbours may differ in contrast.",
        "Training pairs were registered non-linearly; the authors ask for scans cropped tightly around the whole skull.",
    )
    convolutional = (
        "Convolution blocks of equal width have no residual connection, as in the authors' code.",
        "What the first level keeps at full resolution is not used on the way up, as in the authors' code.",
    )
    rows = "Attention outside the transformer sees one row of a slice at a time, although the paper reads otherwise: results depend on {}."
    flicker = "Noise is drawn for every slice by itself, so that neighbouring slices flicker."
    turned = (rows.format("which way a slice is turned"), flicker)
    return {
        DIRECT: (*everyone, *convolutional),
        "xmodality-adm": (*everyone, *convolutional, *turned),
        "xmodality-uvit": (*everyone, *convolutional, *turned),
        "xmodality-dit": (*everyone, "Fails on slices that are not of the training size, as the authors report.", flicker),
    }[network]


def _cost(network: str, parameters: int) -> str:
    size = f"The network has {parameters / 1e6:.3g} million parameters"
    if network == DIRECT:
        return f"{size} and is asked once for every slice."
    return (
        f"{size} and is asked 128 times for every slice by the published setting (DDPM), which is for a graphics card; "
        "on a processor choose ddim or dpm++2m in 8 to 16 steps, or the U-Net."
    )


def _assumed(given: Answers, answered: set[str], found: Checkpoint) -> tuple[str, ...]:
    sentences = {
        "orientation": f"In the training files rows, columns and slices rise to {', '.join(given.orientation)}.",
        "procedure": f"Slices are translated {'at full resolution' if given.procedure == PROCEDURES[1] else 'after resampling'}.",
        "from_contrast": f"It translates from {given.from_contrast}.",
        "to_contrast": f"It translates to {given.to_contrast}.",
    }
    if given.procedure == "resampled":
        sentences["size"] = f"Training slices had {given.size} x {given.size} pixels."
    if found.network != DIRECT:
        sentences |= {"objective": f"It predicts the {given.objective}.", "schedule": f"Its schedule is the {given.schedule} one."}
    if not {"window_low", "window_high"} <= answered:
        sentences["window"] = f"Its range is {given.window_low:g} to {given.window_high:g} HU."
    return tuple(sentence for name, sentence in sentences.items() if name not in answered)
