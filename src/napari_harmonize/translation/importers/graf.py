"""Checkpoints of the spine system (Graf et al. 2023): diffusion networks in two and three dimensions, and its GAN generators.

The network is inferred from the tensors, schedule and meaning from the options object or the .yaml file; what neither
tells is asked (:class:`Answers`). The weights are always the last ones, as in the authors' own translations: an averaged
copy in the file is left out, because the 3D training never updates it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_harmonize.diffusion.settings import Correction
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.settings import Settings, from_json, replace, setting, to_json
from napari_harmonize.translation.card import Card
from napari_harmonize.translation.importers import Imported
from napari_harmonize.translation.importers.graf_layout import SCHEDULES, Layout, inspect, recognises, schedule_settings
from napari_harmonize.translation.recipe import Recipe, Target
from napari_harmonize.translation.settings import Defaults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Answers", "convert", "inspect", "recognises"]

Step = tuple[str, dict[str, Any]]

WINDOW = 256
REACH = 1000.0
GREY, BLACK = 0.5, 0.0
STARTS = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
STEPS = {2: 20, 3: 25}
CITATION = (
    "Graf et al., Denoising diffusion-based MRI to CT image translation enables automated spinal segmentation, "
    "European Radiology Experimental 7:70, 2023"
)


@dataclass(frozen=True)
class Answers(Settings):
    """What a file may leave open; the defaults are the published values, and what a file tells is taken from it."""

    from_contrast: str = setting("T2", help="Contrast it translates from.")
    to_contrast: str = setting("CT", help="Contrast it translates to.")
    objective: str = setting("clean", help="What a diffusion network predicts; image mode is the clean image.", choices=("clean", "noise"))
    schedule: str = setting("cosine", help="How the noise rises with time.", choices=tuple(SCHEDULES))
    timesteps: int = setting(1000, help="Time steps it was trained with.", low=3, high=100_000)
    dropped: bool = setting(False, help="Whether it was trained with dropped conditions, which guidance needs.")
    orientation: str = setting(
        "RIP", help="Where slice, row and column rise to; the training code of later date says RPI in 3D.", choices=("RIP", "RPI")
    )
    patch: tuple[int, ...] = setting(
        (32, 128, 128), help="Largest patch in 3D; a volume no larger is seen whole, as published.", unit="voxels", low=8, high=4096
    )
    padding: str = setting(
        "published",
        help='In 3D: "published" grows every axis to the next multiple of 8, or by 8, in mid-grey; "needed" by need, in black.',
        choices=("published", "needed"),
    )
    fold: int = setting(1, help="Pixels along each side of the blocks folded into channels in 2D.", low=1, high=64)
    options: str = setting("", help="A .yaml file with its hyper-parameters; one with the checkpoint's name is found by itself.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.patch) != 3:
            raise SettingsError("A patch has three sizes", f"{self.patch} arrived")


def convert(path: Path, **answers: Any) -> Imported:
    """Turn a checkpoint into recipe, card and weights.

    Parameters
    ----------
    path : Path
        The checkpoint.
    **answers
        Fields of :class:`Answers`; what is neither given nor told by the file is named as assumed.

    Raises
    ------
    ModelError
        The file cannot be used; every missing or mis-shaped tensor is listed.
    SettingsError
        An answer is unknown or out of range.
    """
    given = from_json(Answers, answers)
    found = inspect(path, given.options, given.fold if "fold" in answers else 0)
    found.refuse_gaps(path.name)
    facts = replace(given, **{name: value for name, value in found.told.items() if name not in answers})
    known = {*answers, *found.told}
    return Imported(_recipe(found, facts), _card(found, facts), found.state, _assumed(found, facts, known), _notes(found, facts))


def _recipe(found: Layout, facts: Answers) -> Recipe:
    path, volumes = "direct" if found.direct else SCHEDULES[facts.schedule], found.dimensions == 3
    values = to_json(found.settings)
    return Recipe(
        network=found.network,
        network_settings=values,
        path=path,
        path_settings={} if found.direct else to_json(schedule_settings(facts.schedule, facts.timesteps)),
        objective="clean" if found.direct else facts.objective,
        radius=_radius(found),
        axis="sagittal",
        orientation=facts.orientation,
        patch=_patch(found, facts) if volumes else (),
        conditioning=("source", "position") if values.get("position") else ("source",),
        learns_variance=bool(values.get("learns_variance")),
        dropped=facts.dropped and not found.direct,
        steps=_steps(found, facts),
        source="HU" if facts.from_contrast == "CT" else "arbitrary MR",
        target=_target(facts, bounded=not volumes),
        defaults=_defaults(found, facts),
    )


def _patch(found: Layout, facts: Answers) -> tuple[int, ...]:
    """Patch of a network of three dimensions, whose sizes it must be able to halve."""
    multiple = 2 ** (len(to_json(found.settings)["multipliers"]) - 1)
    if any(size % multiple for size in facts.patch):
        raise SettingsError(f"The sizes of a patch are divisible by {multiple}", f"{facts.patch} arrived")
    return facts.patch


def _radius(found: Layout) -> int:
    channels: int = to_json(found.settings)["channels"]
    if channels != 1:
        raise ModelError("A slice is one image channel", f"this network has {channels}", "Models of colour images cannot be used here")
    return 0


def _target(facts: Answers, bounded: bool) -> Target:
    if facts.to_contrast == "CT":
        return Target("HU", -REACH, REACH, "CT", bounded)
    return Target(modality=facts.to_contrast, bounded=bounded)


def _defaults(found: Layout, facts: Answers) -> Defaults:
    consistency = "co-prediction" if found.dimensions == 3 else "none"
    if found.direct:
        return Defaults("one-pass", 1, 0.0, consistency)
    sampler = "ddim-graf" if facts.objective == "clean" else "ddim"
    steps = min(STEPS[found.dimensions], facts.timesteps)
    return Defaults(sampler, steps, 1.0, consistency, Correction(), clip=False, guidance=0.0, spacing="strided")


def _steps(found: Layout, facts: Answers) -> tuple[Step, ...]:
    """Prepare as published: 1 mm (slices keep their thickness), MR divided by the volume's maximum, CT by 1000 HU, padded."""
    volumes = found.dimensions == 3
    spacing = (1.0, 1.0, 1.0) if volumes else (0.0, 1.0, 1.0)
    resample = ("resample", {"spacing": spacing, "order": 3, "smooth": False})
    ct = facts.from_contrast == "CT"
    scale: Step = ("window", {"low": -REACH, "high": REACH}) if ct else ("divide_by_maximum", {})
    if not volumes:
        return resample, scale, ("pad_to_multiple", {"fill": "zero", "least": (WINDOW, WINDOW)})
    grow = facts.padding == "published"
    return resample, scale, ("pad_volume", {"value": GREY if grow else BLACK, "grow": grow, "larger": _first_sides(facts.orientation)})


def _first_sides(orientation: str) -> str:
    """Sides where the slices, rows and columns begin, in the order of the three axes."""
    starts = [STARTS[letter] for letter in orientation]
    return "".join(next(side for side in pair if side in starts) for pair in ("LR", "PA", "IS"))


def _card(found: Layout, facts: Answers) -> Card:
    volumes = found.dimensions == 3
    kind = "generator" if found.direct else "diffusion network"
    return Card(
        title=f"Imported spine {kind} in {'3D' if volumes else '2D'}, {facts.from_contrast} to {facts.to_contrast}",
        from_contrasts=(facts.from_contrast,),
        to_contrasts=(facts.to_contrast,),
        anatomy="spine",
        spacing=(1.0, 1.0, 1.0) if volumes else (),
        data=f"Unknown. {_sentence(found)}",
        citation=CITATION,
        failures=("Imported weights have not been measured here.", *_quirks(found, facts)),
    )


def _sentence(found: Layout) -> str:
    values = ", ".join(f"{name} {value}" for name, value in to_json(found.settings).items())
    return f"{found.network}: {values}. Options from {found.options_from or 'nowhere: they were asked for'}."


def _quirks(found: Layout, facts: Answers) -> tuple[str, ...]:
    """Say what the published code does that a user would not expect, and what is done otherwise here."""
    volumes = found.dimensions == 3
    image_mode = not found.direct and facts.objective == "clean"
    sentences = {
        'The default sampler "ddim-graf" gives the derived noise the wrong sign, as published; "ddim" has the right one.': image_mode,
        "The sampler starts in pure noise although a trace of the image belongs there, as published.": not found.direct,
        "Skips are averaged, as published; the paper says they are added.": found.network == "unet-3d",
        "Every axis is padded with mid-grey, also where it need not be, as published.": volumes and facts.padding == "published",
        "Results may leave -1000 to 1000 HU, as published: nothing is clipped.": volumes and facts.to_contrast == "CT",
        "Large volumes are seen in overlapping patches that are averaged at every step; the published code cuts them in two.": volumes,
        "Whole slices are seen at once; the published code joins windows of 256 rows, each divided by its own maximum.": not volumes,
        "One very bright voxel darkens the whole source, because it is divided by its maximum.": facts.from_contrast != "CT",
        "No published code holds this generator: constant time and final tangent are ours.": found.network == "sa-unet-generator",
    }
    return tuple(sentence for sentence, holds in sentences.items() if holds)


def _assumed(found: Layout, facts: Answers, known: set[str]) -> tuple[str, ...]:
    sentences: dict[str, str] = {
        "from_contrast": f"It translates from {facts.from_contrast}.",
        "to_contrast": f"It translates to {facts.to_contrast}.",
        "orientation": f"Slice, row and column rise to {facts.orientation}.",
    }
    if not found.direct:
        sentences |= {
            "objective": f'The network predicts "{facts.objective}".',
            "schedule": f"The schedule is the {facts.schedule} one.",
            "timesteps": f"It was trained with {facts.timesteps} time steps.",
            "dropped": f"It was trained {'with' if facts.dropped else 'without'} dropped conditions.",
        }
    return tuple(sentence for name, sentence in sentences.items() if name not in known)


def _notes(found: Layout, facts: Answers) -> tuple[str, ...]:
    notes = [*found.notes]
    notes += [f"Left out, because translating does not need them: {', '.join(found.beside)}."] if found.beside else []
    values: Mapping[str, Any] = to_json(facts)
    told = {name: value for name, value in found.told.items() if _written(value) != values.get(name)}
    return (*notes, *(f"The file says {name} is {value}; the answer {values[name]} was taken." for name, value in told.items()))


def _written(value: Any) -> Any:
    """Give a told fact as settings write it."""
    return list(value) if isinstance(value, tuple) else value
