"""The recipe: everything but the weights that a model's numbers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_harmonize.diffusion import OBJECTIVES, PATHS
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.networks import NETWORKS
from napari_harmonize.prepare import make
from napari_harmonize.settings import Settings, from_json, setting, to_json
from napari_harmonize.style import BINS, Training, key_from_json, key_to_json
from napari_harmonize.translation.frame import Frame
from napari_harmonize.translation.settings import Defaults
from napari_harmonize.volumes.volume import Meaning

if TYPE_CHECKING:
    from napari_harmonize.prepare import Step
    from napari_harmonize.style import StyleKey

KIND = "napari-harmonize.recipe"
VERSION = 1
DIGITS = 6
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
ROWS = ("later", "earlier")
CONDITIONS = ("source", "style", "source_style", "position")


def _values(help: str) -> Any:  # noqa: A002 - as in setting()
    """Declare a field of JSON values whose names another class knows."""
    return field(default_factory=dict, metadata={"help": help})


@dataclass(frozen=True)
class Target(Settings):
    """What the model's 0..1 means in the result."""

    meaning: str = setting("0..1", help="Unit of the result.", choices=tuple(Meaning))
    low: float = setting(0.0, help="Value of the result where the model says 0; also what stands outside the mask.")
    high: float = setting(1.0, help="Value of the result where the model says 1.")
    modality: str = setting("", help='Contrast of the result ("T1"); empty where the style key decides.')
    bounded: bool = setting(True, help="Whether the result is clipped to the values between low and high.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise SettingsError("A target's low end lies below its high end", f"{self.low:g} and {self.high:g} arrived")


@dataclass(frozen=True)
class Recipe(Settings):
    """How a model was built, what goes into it and what comes out.

    ``steps`` holds (name, settings as JSON values) of every preparation step; ``training`` the style keys the model was
    trained with, where it takes one.
    """

    network: str = setting("", help="Network family.", choices=tuple(NETWORKS))
    network_settings: Mapping[str, Any] = _values("Settings of the network family.")
    path: str = setting("", help="Path between source and target.", choices=tuple(PATHS))
    path_settings: Mapping[str, Any] = _values("Settings of the path.")
    objective: str = setting("", help="What the network predicts.", choices=tuple(OBJECTIVES))
    radius: int = setting(1, help="Neighbours on each side of a stack's centre (N).", unit="slices", low=0, high=32)
    axis: str = setting("axial", help="Direction the slices are stacked along.", choices=tuple(AXES))
    rows: str = setting(
        "later", help="Which in-plane axis of a RAS+ array the rows of a slice run along; the published one is the later.", choices=ROWS
    )
    orientation: str = setting(
        "", help='Where slice, row and column rise to, such as "RIP"; overrides rows. Empty where axis and rows say it.'
    )
    low: float = setting(-1.0, help="Value the network sees for 0; 1 is always 1.", low=-100, high=0.999)
    patch: tuple[int, ...] = setting(
        (), help="Largest patch (slice, row, column) of a network of three dimensions; empty for two.", unit="voxels", low=1, high=4096
    )
    overlap: float = setting(0.25, help="Share of a patch that neighbouring patches share at least.", low=0, high=0.9)
    conditioning: tuple[str, ...] = setting(("source", "style"), help="What the network is told besides the noisy stack.")
    learns_variance: bool = setting(False, help="Whether the network says how much noise each step renews, as a second answer.")
    dropped: bool = setting(False, help="Whether the network was trained with dropped conditions, which guidance needs.")
    steps: tuple[tuple[str, Mapping[str, Any]], ...] = setting((), help="Preparation of the source, in order.")
    source: str = setting("arbitrary MR", help="Numbers the model expects of a source.", choices=tuple(Meaning))
    target: Target = setting(Target, help="What the result's numbers mean.")
    kept: float = setting(
        0.0,
        help="Share of the recoloured source in a result where the source is said to have the target's contrast already; 0 for none.",
        low=0,
        high=1,
    )
    defaults: Defaults = setting(Defaults, help="Sampling settings the model starts with.")
    training: Training | None = setting(None, help="Style keys the model was trained with.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not set(self.conditioning) <= set(CONDITIONS):
            raise SettingsError(f"Conditions are among {', '.join(CONDITIONS)}", f"{self.conditioning} arrived")
        if len(self.patch) not in (0, 3):
            raise SettingsError("A patch has three sizes", f"{self.patch} arrived")
        if self.kept and not {"style", "source_style"} <= set(self.conditioning):
            raise SettingsError("A source is recoloured from its own style key to the wished one", f"{self.conditioning} arrived")
        if self.frame.axis != self.axis_index:
            raise SettingsError("Axis and orientation name the same slices", f"{self.axis} and {self.orientation} arrived")
        self.make_steps()

    @property
    def frame(self) -> Frame:
        """How slices are cut out of a prepared volume."""
        return Frame.of(self.orientation) if self.orientation else Frame(self.axis_index, self.rows)

    @property
    def dimensions(self) -> int:
        """Dimensions of the network, 2 or 3."""
        return 3 if self.patch else 2

    def input_size(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial size of what the network sees at once of a prepared volume (slice, row, column)."""
        return tuple(min(pair) for pair in zip(shape, self.patch, strict=True)) if self.patch else tuple(shape[1:])

    @property
    def axis_index(self) -> int:
        """Array axis of a RAS+ volume that the slices are stacked along."""
        return AXES[self.axis]

    @property
    def bins(self) -> int:
        """Bins of the style keys the network takes."""
        return int(self.network_settings.get("bins", self.training.average.bins if self.training else BINS))

    def make_steps(self) -> tuple[Step, ...]:
        """Build the preparation steps.

        Raises
        ------
        SettingsError
            A step is unknown or its settings are wrong.
        """
        return tuple(make(name, settings) for name, settings in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Write as plain JSON values."""
        plain = {item: value for item, value in to_json(self).items() if item != "training"}
        plain["steps"] = [{"name": name, "settings": dict(settings)} for name, settings in self.steps]
        style = None if self.training is None else _training_to_json(self.training)
        return {"kind": KIND, "version": VERSION, **plain, "style": style}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """Read strictly.

        Raises
        ------
        ModelError
            It is no recipe, or one of a later version.
        SettingsError
            A value is unknown or wrong.
        """
        if not isinstance(values, Mapping) or values.get("kind") != KIND:
            raise ModelError(f'A recipe is a JSON object of kind "{KIND}"', f"{_kind_of(values)} arrived")
        if values.get("version") != VERSION:
            raise ModelError(f"A recipe of version {VERSION} is read", f"version {values.get('version')} arrived", "Update the plugin")
        rest = {name: value for name, value in values.items() if name not in ("kind", "version", "style")}
        rest["steps"] = tuple((_field(step, "name"), _field(step, "settings")) for step in rest.get("steps", ()))
        style = values.get("style")
        return from_json(cls, {**rest, "training": None if style is None else _training_from_json(style)})


def _kind_of(values: object) -> str:
    return f'kind "{values.get("kind")}"' if isinstance(values, Mapping) else f"a {type(values).__name__}"


def _field(step: object, name: str) -> Any:
    if not isinstance(step, Mapping) or set(step) - {"name", "settings"} or "name" not in step:
        raise SettingsError("A preparation step is an object with name and settings", f"{step!r} arrived")
    return step.get(name, {})


def _training_to_json(training: Training) -> dict[str, Any]:
    keys = [_key_to_json(key) for key in training.keys]
    return {"average": _key_to_json(training.average), "threshold": round(float(training.threshold), 9), "keys": keys}


def _key_to_json(key: StyleKey) -> dict[str, Any]:
    """Write a key with six digits, enough for the same look, small in a file."""
    values = key_to_json(key)
    return {**values, "histogram": [round(value, DIGITS) for value in values["histogram"]]}


def _training_from_json(values: Mapping[str, Any]) -> Training:
    try:
        average, keys, threshold = values["average"], values["keys"], float(values["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError("A recipe's style part holds average, keys and threshold", f"{type(error).__name__}: {error}") from error
    return Training(key_from_json(average), tuple(key_from_json(key) for key in keys), threshold)
