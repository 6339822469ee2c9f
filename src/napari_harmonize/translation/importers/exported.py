"""Generators exported by somebody else's code: TorchScript, or torch.export with the user's consent.

TorchScript archives hold a program that cannot reach beyond tensors. An archive of ``torch.export`` may hold pickled objects and
expressions that Python evaluates when it is opened, so it is opened only where the user says that its origin is trusted, once;
what is stored is the TorchScript traced from it, so that the model package itself is safe to share.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.jit._trace import TracerWarning

from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.networks.exported import PROGRAM, ExportedGeneratorSettings, load_program
from napari_harmonize.settings import Settings, from_json, setting, to_json
from napari_harmonize.translation.card import Card
from napari_harmonize.translation.cost import counted
from napari_harmonize.translation.importers import Imported
from napari_harmonize.translation.importers.files import EXPORT, SCRIPT, program_kind
from napari_harmonize.translation.recipe import AXES, Recipe, Target
from napari_harmonize.translation.settings import Defaults
from napari_harmonize.volumes.volume import Meaning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RANGES = {"-1..1": -1.0, "0..1": 0.0}


@dataclass(frozen=True)
class Answers(Settings):
    """What a program cannot tell."""

    trusted: bool = setting(False, help="Open a torch.export archive although doing so can run code from it; TorchScript cannot.")
    channels: int = setting(1, help="Slices it sees at once, an odd number; 1 for volumes.", low=1, high=65)
    dimensions: int = setting(2, help="2 where it sees slices, 3 where it sees volumes.", low=2, high=3)
    multiple: int = setting(16, help="What every side must be divisible by.", low=1, high=1024)
    patch: tuple[int, ...] = setting((64, 64, 64), help="Largest patch, where it sees volumes.", unit="voxels", low=1, high=1024)
    axis: str = setting("axial", help="Direction its slices are stacked along.", choices=tuple(AXES))
    numbers: str = setting("-1..1", help="Range of numbers it was trained on.", choices=tuple(RANGES))
    percentile: float = setting(99.5, help="Percentile of the source inside the mask that became 1; 0 became 0.", low=50, high=100)
    window: tuple[float, ...] = setting((), help="Window that became 0..1 instead, for CT; empty for the percentile.", unit="HU")
    spacing: tuple[float, ...] = setting((1.0, 1.0, 1.0), help="Voxel size it was trained at.", unit="mm", low=0.05, high=50)
    masked: bool = setting(True, help="Whether it was trained on the body part alone.")
    from_contrast: str = setting("", help="Contrast it translates from.")
    to_contrast: str = setting("", help="Contrast it translates to.")
    unit: str = setting("0..1", help="Unit of the result.", choices=tuple(Meaning))
    low: float = setting(0.0, help="Value of the result at the low end of its range.")
    high: float = setting(1.0, help="Value of the result at the high end.")


def recognises(path: Path) -> bool:
    """Tell whether a file is a program of either kind."""
    return program_kind(path) != ""


def convert(path: Path, **answers: Any) -> Imported:
    """Turn a program into recipe, card and the one tensor that holds it.

    Parameters
    ----------
    path : Path
        TorchScript or torch.export archive of a module called with one tensor.
    **answers
        Fields of :class:`Answers`; what is not given is named as assumed.

    Raises
    ------
    ModelError
        It is neither, it is not trusted, or it does not translate images of the stated shape.
    SettingsError
        An answer is unknown or out of its range.
    """
    given = from_json(Answers, answers)
    if len(given.window) not in (0, 2):
        raise SettingsError("A window has two values, low and high", f"{given.window} arrived")
    data = _script(path, given)
    flops, memory = _tried(load_program(data), given)
    network = ExportedGeneratorSettings(len(data), given.channels, given.dimensions, given.multiple, given.multiple, flops, memory)
    recipe = Recipe(
        network="exported",
        network_settings=to_json(network),
        path="direct",
        objective="clean",
        radius=given.channels // 2,
        axis=given.axis,
        low=RANGES[given.numbers],
        patch=given.patch if given.dimensions == 3 else (),
        conditioning=(),
        steps=_steps(given),
        source="HU" if given.window else "arbitrary MR",
        target=Target(given.unit, given.low, given.high, given.to_contrast),
        defaults=Defaults("one-pass", 1, 0.0, "co-prediction" if given.dimensions == 3 or given.channels > 1 else "none"),
    )
    state = {PROGRAM: torch.frombuffer(bytearray(data), dtype=torch.uint8)}
    kept = tuple(f"Unanswered: {name} is {getattr(given, name)!r}." for name in to_json(given) if name not in (*answers, "trusted"))
    return Imported(recipe, _card(given, path.name), state, kept)


def _script(path: Path, given: Answers) -> bytes:
    """Give the bytes of a TorchScript archive."""
    kind = program_kind(path)
    if kind == SCRIPT:
        return path.read_bytes()
    if kind != EXPORT:
        raise ModelError("An exported generator is a TorchScript or torch.export archive", f"{path.name} is neither")
    if not given.trusted:
        raise ModelError(
            "Opening a torch.export archive can run code from it",
            f"{path.name} is one, and its origin was not said to be trusted",
            "Ask for TorchScript, or answer trusted=true if you made the file yourself",
        )
    return _traced(torch.export.load(path).module(), given)


def _traced(module: torch.nn.Module, given: Answers) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # guards on sizes are traced as constants; the answers at another size are compared afterwards
        warnings.filterwarnings("ignore", category=TracerWarning)
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        traced = torch.jit.trace(module, _image(given, 1, 2), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, stream)
    probe = _image(given, 2, 3)
    with torch.inference_mode():
        if not torch.allclose(_answer(traced, probe), _answer(module, probe), atol=1e-5):
            raise ModelError(
                "A traced program answers as the exported one does",
                f"it does not for {tuple(probe.shape)}",
                "Export with dynamic batch and spatial sizes",
            )
    return stream.getvalue()


def _image(given: Answers, batch: int, times: int) -> Tensor:
    """Noise of an allowed size that is not square."""
    sides = [given.multiple * (times + number) for number in range(given.dimensions)]
    return torch.rand(batch, given.channels, *sides, generator=torch.Generator().manual_seed(0))


def _answer(run: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    try:
        answer = run(image)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise ModelError(
            "An exported generator is called with one image of any allowed size",
            f"it refuses {tuple(image.shape)}: {str(error).strip().splitlines()[-1]}",
            "Answer channels, dimensions and multiple, and export with dynamic sizes",
        ) from error
    if not isinstance(answer, Tensor) or answer.shape != image.shape:
        found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise ModelError("An exported generator answers with an image of the source's shape", f"{found} arrived for {tuple(image.shape)}")
    return answer


def _tried(run: torch.jit.ScriptModule, given: Answers) -> tuple[float, float]:
    """Run a program on two sizes, and count its operations and bytes for each voxel."""
    image, other = _image(given, 2, 2), _image(given, 1, 3)
    flops, memory = counted(lambda: _answer(run, image))
    with torch.inference_mode():
        _answer(run, other)
    return flops / image.numel(), memory / image.numel()


def _steps(given: Answers) -> tuple[tuple[str, dict[str, Any]], ...]:
    if given.window:
        numbers: tuple[str, dict[str, Any]] = ("window", {"low": given.window[0], "high": given.window[1]})
    else:
        numbers = ("normalise", {"percentile": given.percentile})
    mask: tuple[tuple[str, dict[str, Any]], ...] = (("mask", {}),) if given.masked else ()
    resample = ("resample", {"spacing": list(given.spacing)})
    return (numbers, *mask, resample, ("crop_to_foreground", {"margin": 4.0}), ("pad_to_multiple", {"fill": "zero"}))


def _card(given: Answers, name: str) -> Card:
    change = f", {given.from_contrast or '?'} to {given.to_contrast or '?'}"
    return Card(
        title=f"Exported generator{change}",
        from_contrasts=(given.from_contrast,) if given.from_contrast else (),
        to_contrasts=(given.to_contrast,) if given.to_contrast else (),
        spacing=given.spacing,
        stripped=given.masked,
        data=f"Unknown; the program came as {name}.",
        failures=("An exported program has not been measured here.", "It answers in one pass: no sampler, no seed, no correction."),
    )
