"""A network on its device, and how it is asked: in batches that fit.

This module loads torch.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from napari_harmonize.condition import Condition
from napari_harmonize.device import choose_device
from napari_harmonize.diffusion import OBJECTIVES
from napari_harmonize.errors import EngineError, OutOfMemory
from napari_harmonize.translation.plan import path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_harmonize.diffusion.objective import Objective
    from napari_harmonize.diffusion.path import Path
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.settings import TranslationSettings

logger = logging.getLogger(__name__)

SHORTAGE = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory", "failed to allocate")
BATCH = {"cpu": 8, "cuda": 64, "mps": 16}
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


@dataclass(frozen=True, eq=False)
class Engine:
    """A model's network, loaded.

    Parameters
    ----------
    package : ModelPackage
        The model.
    network : torch.nn.Module
        Its network, for inference.
    device : torch.device
        Where it is.
    precision : str
        "float32" or "bfloat16".
    path, objective
        What its predictions mean.
    """

    package: ModelPackage
    network: nn.Module
    device: torch.device
    precision: str
    path: Path
    objective: Objective

    def fits(self, package: ModelPackage, settings: TranslationSettings) -> bool:
        """Whether this engine is what the settings ask for."""
        device = choose_device(settings.device)
        same = self.package.hash == package.hash and self.device == device
        return same and self.precision == choose_precision(settings.precision, device)

    def predict(self, x: Tensor, y: Tensor, t: float, style: Tensor | None, source_style: Tensor | None, dropped: bool = False) -> Tensor:
        """Ask the network once.

        Parameters
        ----------
        x : (B, C, H, W) or (B, 1, D, H, W) Tensor
            Noisy stacks or patches.
        y : (B, C, ...) or (B, 1 + 3, ...) Tensor
            Their sources, with three position ramps behind where the network is told its place.
        t : float
            Time of all of them, as the sampler counts it.
        style, source_style : (3, bins) Tensor, optional
            Style keys of all of them.
        dropped : bool
            Ask on dropped conditions.

        Returns
        -------
        (B, C, ...) float32 Tensor
            Twice the channels where the network has learnt its variance.
        """
        condition = self._condition(y, x.shape[1], style, source_style)
        times = self._told(t, len(x))
        narrow = self.precision == "bfloat16"
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=narrow):
            prediction: Tensor = self.network(x.contiguous(), times, condition.dropped() if dropped else condition)
        return prediction.float()

    def _condition(self, y: Tensor, channels: int, *keys: Tensor | None) -> Condition:
        told = self.package.recipe.conditioning
        style, source_style = (None if key is None else key.expand(len(y), *key.shape) for key in keys)
        source = y[:, :channels].contiguous() if "source" in told else None
        position = y[:, channels:].contiguous() if "position" in told else None
        return Condition(source, style, source_style, position)

    def _told(self, t: float, count: int) -> Tensor:
        """Give every item the time as the network hears it: an index, or the log-SNR of a continuous path."""
        told = self.path.told(t)
        dtype = torch.int64 if isinstance(told, int) else torch.float32
        return torch.full((count,), told, dtype=dtype, device=self.device)


def load_engine(package: ModelPackage, settings: TranslationSettings) -> Engine:
    """Load a model's network onto the device the settings ask for.

    Raises
    ------
    EngineError
        The device is not there.
    ModelError
        The weights do not fit the recipe.
    """
    device = choose_device(settings.device)
    network = package.load_network(device)
    if device.type == "cuda":
        network = network.to(memory_format=LAYOUTS[package.recipe.dimensions])  # type: ignore[call-overload]
    path = path_of(package.recipe)
    objective = OBJECTIVES[package.recipe.objective].load()
    return Engine(package, network, device, choose_precision(settings.precision, device), path, objective)


def choose_precision(name: str, device: torch.device) -> str:
    """Number format a setting names; "auto" narrows only where CUDA computes it natively."""
    if name != "auto":
        return name
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in SHORTAGE)


def give_memory_back(device: torch.device) -> None:
    """Hand memory the library keeps for itself back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if device.type == "mps":
        torch.mps.empty_cache()


@contextlib.contextmanager
def threads(count: int) -> Iterator[int]:
    """Compute with ``count`` processor threads, 0 for as many as before; gives the number in use."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        if count:
            torch.set_num_threads(before)


@contextlib.contextmanager
def our_errors() -> Iterator[None]:
    """Turn torch's errors into ours: a generator worker of napari would swallow a ``RuntimeError``.

    Raises
    ------
    OutOfMemory
        Memory ran out.
    EngineError
        Anything else torch refuses to do.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_shortage(error):
            raise OutOfMemory(
                "The volume's state fits into memory", str(error).splitlines()[0], "Use another device or a smaller volume"
            ) from error
        raise EngineError("The network computes what it is given", str(error).splitlines()[0] if str(error) else repr(error)) from error


class Evaluator:
    """Runs the network over many stacks, in batches that fit.

    Parameters
    ----------
    engine : Engine
        The network.
    style, source_style : (3, bins) float32 Tensor, optional
        Style keys.
    batch : int
        Stacks computed together at first.

    Attributes
    ----------
    sizes : list of int
        Batch sizes tried, in order.
    """

    def __init__(self, engine: Engine, style: Tensor | None, source_style: Tensor | None, batch: int) -> None:
        self._engine, self._style, self._source_style = engine, style, source_style
        self.sizes = [batch]
        self._notes: list[str] = []

    def __call__(self, stacks: Tensor, sources: Tensor, t: float) -> Iterator[tuple[slice, Tensor]]:
        """Give (rows, prediction) for batch after batch; arguments are views (Z, C, ...)."""
        return self._batches(stacks, sources, t, dropped=False)

    def on_dropped(self, stacks: Tensor, sources: Tensor, t: float) -> Iterator[tuple[slice, Tensor]]:
        """Do the same on dropped conditions."""
        return self._batches(stacks, sources, t, dropped=True)

    def _batches(self, stacks: Tensor, sources: Tensor, t: float, *, dropped: bool) -> Iterator[tuple[slice, Tensor]]:
        first = 0
        while first < len(stacks):
            rows = slice(first, min(first + self.sizes[-1], len(stacks)))
            prediction = self._try(stacks[rows], sources[rows], t, dropped)
            if prediction is None:
                self._halve()
                continue
            yield rows, prediction
            first = rows.stop

    def take_notes(self) -> list[str]:
        """Sentences since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def _try(self, x: Tensor, y: Tensor, t: float, dropped: bool) -> Tensor | None:
        """Predict, or None where memory ran out; nothing of the failed batch is held afterwards."""
        try:
            return self._engine.predict(x, y, t, self._style, self._source_style, dropped)
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            logger.warning("a batch of %d does not fit: %s", len(x), error)
            return None

    def _halve(self) -> None:
        size = self.sizes[-1]
        give_memory_back(self._engine.device)
        if size == 1:
            raise OutOfMemory(
                "A single stack of slices fits into memory",
                f"it does not on {self._engine.device.type}",
                "Close other programs, choose another device or a smaller model",
            )
        self.sizes.append(size // 2)
        self._notes.append(f"A batch of {size} slices did not fit into memory; going on with {size // 2}.")


def facts(engine: Engine, evaluator: Evaluator, thread_count: int) -> dict[str, Any]:
    """Describe how the network was run, as JSON values."""
    name = torch.cuda.get_device_name(engine.device) if engine.device.type == "cuda" else engine.device.type
    return {
        "device": name,
        "precision": engine.precision,
        "threads": thread_count,
        "batches": list(evaluator.sizes),
        "torch": str(torch.__version__),
    }
