"""What the networks of a section cost, and what measuring with them will take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_harmonize.device import choose_device
from napari_harmonize.findings.ways import needs_whole
from napari_harmonize.translation import plan
from napari_harmonize.translation.cost import expected_size, measured_rate
from napari_harmonize.translation.cost import measure as count
from napari_harmonize.translation.engine import choose_precision

if TYPE_CHECKING:
    from napari_harmonize.findings.settings import BenchmarkSettings
    from napari_harmonize.findings.subjects import Subject
    from napari_harmonize.findings.ways import Way
    from napari_harmonize.translation import ModelPackage


@dataclass(frozen=True)
class NetworkCost:
    """One network.

    Parameters
    ----------
    model : str
        Name of the package.
    parameters : int
        Numbers in it.
    gflops : float
        Operations of one evaluation of one slice (or patch) in 10⁹; a multiplication and an addition are two.
    rate : float
        Evaluations a second on the device at hand.
    size : tuple of int
        Rows and columns of the slice, or the patch.
    """

    model: str
    parameters: int
    gflops: float
    rate: float
    size: tuple[int, ...]


def network_cost(settings: BenchmarkSettings, package: ModelPackage, subject: Subject) -> NetworkCost:
    """Count a network's operations on a subject's slices, and time it."""
    size = package.recipe.input_size(expected_size(subject.case.source, package))
    one = count(package, size)
    return NetworkCost(package.name, one.parameters, one.flops / 1e9, _rate(settings, package, size) / one.flops, size)


def seconds(settings: BenchmarkSettings, way: Way, package: ModelPackage | None, subject: Subject, slices: range) -> float:
    """Say what the network evaluations of one measurement will take."""
    if package is None:
        return 0.0
    asked = way.settings(package, settings, 0)
    shape = expected_size(subject.case.source, package)
    size = package.recipe.input_size(shape)
    if not needs_whole(package, asked, slices, subject):
        depth = size[0] if package.recipe.dimensions == 3 else 0
        shape = (min(shape[0], max(len(slices), depth)), *shape[1:])
    work = plan.evaluations(asked, package.recipe) * plan.stacks(asked, package, shape) * count(package, size).flops
    return work / _rate(settings, package, size)


def _rate(settings: BenchmarkSettings, package: ModelPackage, size: tuple[int, ...]) -> float:
    """Operations a second."""
    import torch

    device = choose_device(settings.device)
    threads = settings.threads or torch.get_num_threads()
    return measured_rate(package, size, device.type, choose_precision("auto", device), threads)


def duration(time: float) -> str:
    """Write seconds as a person says them."""
    return f"{max(time, 1):.0f} s" if time < 90 else f"{time / 60:.0f} min" if time < 5400 else f"{time / 3600:.1f} h"
