"""A trained network as a model package: recipe, card and the style keys of its training subjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_harmonize.settings import to_json
from napari_harmonize.simulate.anatomy import generator
from napari_harmonize.simulate.contrast import jitter
from napari_harmonize.simulate.subjects import varied_subject
from napari_harmonize.style import Origin, StyleKey, Training, average, compute
from napari_harmonize.training.stream import LOOKS, draw
from napari_harmonize.training.stream import look_of as scan
from napari_harmonize.translation.card import Card
from napari_harmonize.translation.package import ModelPackage, save
from napari_harmonize.translation.recipe import Recipe, Target
from napari_harmonize.translation.settings import Defaults

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from napari_harmonize.diffusion.settings import BridgeSettings
    from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
    from napari_harmonize.training.stream import StreamSettings

LOOK = "T1 looks"
KEPT = 0.7
"""Of a T1 source: real ones are best at 0.8 to 0.9, simulated ones, whose detail the network knows, at 0.3 to 0.5 (decision 3)."""
STEPS = 4
"""Two cost half of the time and have 0.6 dB more on the FLAIR sample; four show lesions better, half of the stroke's (decision 3)."""
T1_LOOKS = tuple(name for name in LOOKS if name != "anything")
"""Their average is the look a T1 has where nobody says which: in the shares in which training draws them."""
CARD = Card(
    title="Any brain contrast to a wished T1 look",
    from_contrasts=("CT", "FLAIR", "T1", "T2", "PD"),
    to_contrasts=("T1",),
    anatomy="brain",
    spacing=(1.0, 1.0, 1.0),
    field_of_view=(146.0, 176.0, 150.0),
    stripped=True,
    data=(
        "Simulated subjects only: one averaged adult brain (ICBM-152 2009a), deformed, hardened and given random or physical "
        "contrasts. No patient was ever seen."
    ),
    licence="BSD-3-Clause",
    citation=(
        "Choo et al., MICCAI 2024 (bridge, style key, slice consistency); Billot et al., Med Image Anal 2023 and Iglesias et al., "
        "NeuroImage 2021 (domain randomisation)"
    ),
    failures=(
        "It has learnt the shape of one averaged adult brain: children, large resections and tumours are outside what it saw.",
        "Bright lesions of a FLAIR come out fainter than they are (one stroke: contrast to noise 3.85, in the result 1.95, truly 2.36).",
        "So never look for lesions in the result, look at the source; and what the source does not show the result cannot show.",
        "Fine texture is smoothed, and grey and white matter blur where the source hardly tells them apart (CT, thick slices).",
        "A T1 gains only a look (one real pair: 20.7 dB, untouched 21.4), and loses detail where nobody says that it is a T1.",
        "Nobody knows the look of a truth beforehand: with the averaged key a scan of low contrast may come out with more.",
        "Whole heads must be masked to the brain first; what stands outside the mask is 0, not anatomy.",
        "Its result is a picture in a wished look, without units: it must not be measured as if a scanner had made it.",
    ),
)


def training_keys(stream: StreamSettings, seed: int, subjects: int, looks: int) -> Training:
    """Style keys of training subjects.

    Parameters
    ----------
    stream : StreamSettings
        What was trained on.
    seed : int
        Of the training run.
    subjects : int
        How many subjects are scanned again.
    looks : int
        How many looks each of them is scanned in.

    Returns
    -------
    Training
        All these keys; the average is that of one T1 look of each subject.
    """
    default, keys = [], []
    for number in range(1, subjects + 1):
        shares = varied_subject(stream.subject, seed, number).shares[:, ::2, ::2, ::2]
        rng = generator(seed, number, 11)
        name = T1_LOOKS[number % len(T1_LOOKS)]
        default.append(_key(shares, jitter(draw((name,), rng), 0.05, rng), rng, f"{name}, subject {number}"))
        keys += [_key(shares, jitter(draw(LOOKS, rng), 0.05, rng), rng, f"look {look}, subject {number}") for look in range(1, looks + 1)]
    known = Training.of([*default, *keys])
    return Training(average(default, label=f"training average ({LOOK})"), known.keys, known.threshold)


def _key(shares: Tensor, look: Tensor, rng: torch.Generator, label: str) -> StyleKey:
    volume, _ = scan(shares, look, 1.0, rng)
    return compute(volume.numpy(), label=label, origin=Origin.SIMILAR, source_name="simulated subject")


def recipe(network: ShuffleUNetSettings, path: BridgeSettings, training: Training, stream: StreamSettings) -> Recipe:
    """How the built-in model is fed and read."""
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("normalise", {"percentile": 99.5, "lowest": 0.5}),
        ("mask", {}),
        ("resample", {"spacing": [1.0, 1.0, 1.0]}),
        ("crop_to_foreground", {"margin": 2.0}),
        ("pad_to_multiple", {"fill": "zero", "least": [stream.height, stream.width]}),
    )
    return Recipe(
        network="shuffle-unet",
        network_settings=to_json(network),
        path="bridge",
        path_settings=to_json(path),
        objective="clean",
        radius=stream.radius,
        axis="axial",
        rows="earlier",
        conditioning=("source", "style", "source_style"),
        steps=steps,
        target=Target(modality="T1"),
        kept=KEPT,
        defaults=Defaults(steps=STEPS),
        training=training,
    )


def write_package(folder: Path, network: ShuffleUNet, how: Recipe, card: Card = CARD) -> ModelPackage:
    """Write recipe, card and weights into a new or empty folder."""
    return save(folder, how, card, network.state_dict())
