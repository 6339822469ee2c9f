"""What a translation will cost, before it runs. This module loads torch when it measures."""

from __future__ import annotations

import functools
import math
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_harmonize.translation import plan
from napari_harmonize.translation.without_triton import flop_counter, weightless

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from napari_harmonize.translation.case import Case
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.recipe import Recipe
    from napari_harmonize.translation.settings import TranslationSettings
    from napari_harmonize.volumes import Volume

LIBRARIES = 450e6
WORKSPACE = 2.5  # convolutions keep reordered copies of what they read; measured on the processor
LIGHT = 1e10
TRIED = {"cpu": 4, "cuda": 64, "mps": 16}
RESTORING = 0.25e-6


@dataclass(frozen=True)
class Cost:
    """What one stack of slices costs in one network evaluation.

    Parameters
    ----------
    flops : int
        Floating-point operations; a multiplication and an addition are two.
    bytes : int
        Most memory its intermediate results need at one time.
    parameters : int
        Numbers in the network.
    declared : bool
        Whether the network itself says what it costs, because its operations cannot be counted without running it.
    """

    flops: int
    bytes: int
    parameters: int
    declared: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a translation will cost.

    Parameters
    ----------
    seconds : float
        Without loading the model.
    bytes : int
        Peak of the device's memory.
    evaluations : int
        Network evaluations, counted in stacks of slices.
    sentence : str
        "about 24 s, 1.1 GB on 2 threads".
    """

    seconds: float
    bytes: int
    evaluations: int
    sentence: str


def estimate(case: Case, settings: TranslationSettings, package: ModelPackage) -> Estimate:
    """Say what translating a case will cost on the device the settings ask for.

    The network's operations are counted on its real size without computing anything; the rate is measured once per
    device, model and slice size, which takes a fraction of a second.

    Parameters
    ----------
    case, settings, package
        As for :func:`napari_harmonize.translation.translate`.
    """
    import torch

    from napari_harmonize.device import choose_device
    from napari_harmonize.translation.batches import PATCHES
    from napari_harmonize.translation.engine import BATCH, choose_precision

    device = choose_device(settings.device)
    shape = expected_size(case.source, package)
    size = package.recipe.input_size(shape)
    one = measure(package, size)
    evaluations = plan.evaluations(settings, package.recipe) * plan.stacks(settings, package, shape)
    threads = settings.threads or torch.get_num_threads()
    rate = measured_rate(package, size, device.type, choose_precision(settings.precision, device), threads)
    seconds = evaluations * one.flops / rate + case.source.data.size * RESTORING
    batch = settings.batch or (BATCH if package.recipe.dimensions == 2 else PATCHES)[device.type]
    state = math.prod(shape) * 4 * 6
    host = (LIBRARIES + case.source.data.size * 16) * (device.type == "cpu")
    needed = int(one.parameters * 4 + batch * one.bytes * WORKSPACE + state + host)
    where = f"{threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else device.type.upper()
    return Estimate(seconds, needed, evaluations, f"about {_duration(seconds)}, {needed / 1e9:.1f} GB on {where}")


def expected_size(source: Volume, package: ModelPackage) -> tuple[int, int, int]:
    """Count slices, rows and columns the prepared source will have; foreground and spacing are taken from a coarse look."""
    import numpy as np

    from napari_harmonize.prepare import foreground
    from napari_harmonize.volumes import canonical

    volume, _ = canonical(source)
    steps = dict(package.recipe.steps)
    extent = np.array(volume.shape, float)
    if "crop_to_foreground" in steps:
        inside = foreground(volume).data
        hits = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        margin = steps["crop_to_foreground"].get("margin", 4.0)
        grown = [hit[-1] - hit[0] + 1 + 2 * margin / size if len(hit) else 1 for hit, size in zip(hits, volume.spacing, strict=True)]
        extent = np.minimum(grown, extent)
    if "resample" in steps:
        extent = extent * volume.spacing / np.array(steps["resample"].get("spacing", (1.0, 1.0, 1.0)))
    if "resample_slices" in steps:
        extent[sorted(package.recipe.frame.axes[1:])] = steps["resample_slices"].get("size", (256, 256))
    if "fit_to_size" in steps:
        extent = np.array(steps["fit_to_size"].get("size", extent), float)
    slices, *plane = (max(1, math.ceil(round(extent[axis], 3))) for axis in package.recipe.frame.axes)
    height, width = (plan.accepted(size, package) for size in plane)
    return plan.accepted(slices, package) if package.recipe.dimensions == 3 else slices, height, width


def measure(package: ModelPackage, size: tuple[int, ...]) -> Cost:
    """Count the operations and the memory of one stack at a slice size, without computing anything."""
    return _measure(_Named(package.hash, package.recipe), tuple(size))


@dataclass(frozen=True)
class _Named:
    """A recipe that is known by its package's hash."""

    hash: str
    recipe: Recipe

    def __hash__(self) -> int:
        return hash(self.hash)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and self.hash == other.hash


@functools.lru_cache(maxsize=32)
def _measure(named: _Named, size: tuple[int, ...]) -> Cost:
    network, ask = _question(named.recipe, size, weightless(), 1)
    flops, memory = counted(ask)
    voxels = (2 * named.recipe.radius + 1) * math.prod(size)
    each = getattr(network, "declared_cost", (0.0, 0.0))
    parameters = sum(value.numel() for value in network.parameters())
    return Cost(int(flops + each[0] * voxels), int(memory + each[1] * voxels), parameters, any(each))


def counted(ask: Callable[[], Any]) -> tuple[int, int]:
    """Count operations, multiply and add separately, and the most bytes alive at one time, of a call."""
    import torch

    counter, memory = flop_counter().FlopCounterMode(display=False), _peak_counter()
    with torch.inference_mode(), counter, memory:
        ask()
    return int(counter.get_total_flops()), int(memory.peak)


def _question(recipe: Recipe, size: tuple[int, ...], device: str | torch.device, batch: int) -> tuple[torch.nn.Module, Callable[[], Any]]:
    """Network with untrained weights, and a call of it."""
    import torch

    from napari_harmonize.condition import Condition
    from napari_harmonize.translation.package import build_network

    with torch.device(device):
        network = build_network(recipe).eval()
        x = torch.zeros(batch, 2 * recipe.radius + 1, *size)
        position = torch.zeros(batch, 3, *size)
        key = torch.zeros(batch, 3, recipe.bins)
        told = plan.path_of(recipe).told(0)
        t = torch.full((batch,), told, dtype=torch.int64 if isinstance(told, int) else torch.float32)
    parts = {"source": x, "style": key, "source_style": key, "position": position}
    condition = Condition(**{name: parts[name] for name in recipe.conditioning})
    return network, lambda: network(x, t, condition)


def _peak_counter() -> Any:
    """Dispatch mode that follows the bytes of tensors alive."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.now = self.peak = 0
            self.known: dict[int, int] = {}

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            for item in out if isinstance(out, tuple | list) else (out,):
                if isinstance(item, torch.Tensor):
                    self.follow(item)
            return out

        def follow(self, item: torch.Tensor) -> None:
            storage = item.untyped_storage()
            place = storage._cdata
            if place not in self.known:
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
            self.known[place] = self.known.get(place, 0) + 1
            weakref.finalize(item, self.forget, place, storage.nbytes())

        def forget(self, place: int, size: int) -> None:
            self.known[place] -= 1
            if not self.known[place]:
                del self.known[place]
                self.now -= size

    return Peak()


def measured_rate(package: ModelPackage, size: tuple[int, ...], device: str, precision: str, threads: int) -> float:
    """Operations per second the network reaches; measured once for each combination.

    A network too heavy for the processor to try, or one that cannot be tried without its weights, is judged by one convolution.
    """
    return _rate(_Named(package.hash, package.recipe), size, device, precision, threads)


@functools.lru_cache(maxsize=64)
def _rate(named: _Named, size: tuple[int, ...], device: str, precision: str, threads: int) -> float:
    import torch

    from napari_harmonize.translation import engine

    one = _measure(named, size)
    work = one.flops * TRIED[device]
    if one.declared or (work > LIGHT and device == "cpu"):
        ask, work = _convolution(device)
    else:
        _, ask = _question(named.recipe, size, device, TRIED[device])
    narrow = torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16")
    with engine.threads(threads), torch.inference_mode(), narrow:
        ask()
        return work / min(_seconds(ask, device) for _ in range(2))


def _convolution(device: str) -> tuple[Callable[[], Any], int]:
    import torch

    x, weight = torch.ones(1, 64, 96, 96, device=device), torch.ones(64, 64, 3, 3, device=device)
    return lambda: torch.nn.functional.conv2d(x, weight, padding=1), 2 * 64 * 64 * 9 * 96 * 96


def _seconds(ask: Callable[[], Any], device: str) -> float:
    import torch

    began = time.perf_counter()
    ask()
    if device == "cuda":
        torch.cuda.synchronize()
    if device == "mps":
        torch.mps.synchronize()
    return max(time.perf_counter() - began, 1e-6)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
