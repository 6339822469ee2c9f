"""Time a whole volume and a style preview on this machine: ``make bench``.

The volume is full to its border, so that nothing is cropped away, and everything is done as a user's run does it: preparing,
loading the model, sampling, restoring. Preparing and loading are left out of the preview, as they happen once and it many times.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time

import numpy as np
import torch

from napari_harmonize.events import Progress, finish
from napari_harmonize.translation import Case, load, load_engine, prepare_case, preview, translate
from napari_harmonize.translation.cost import expected_size, measure
from napari_harmonize.translation.package import default_model
from napari_harmonize.volumes import Meaning, Volume, from_array

BUDGET_SECONDS, BUDGET_GIGABYTES, BUDGET_PREVIEW = 90.0, 3.0, 1.5


def main(argv: list[str] | None = None) -> int:
    asked = arguments(argv)
    torch.set_num_threads(asked.threads)
    package = load(asked.model or default_model())
    settings = package.recipe.defaults.settings(asked.model)
    case = Case(head(tuple(asked.shape)), mask=None)
    size = expected_size(case.source, package)
    one, rate = measure(package, size[1:]), convolution_rate()
    print(f"{platform.processor() or platform.machine()}, {asked.threads} threads of {os.cpu_count()}, torch {torch.__version__}")
    print(f"convolutions on this machine   {rate / 1e9:8.1f} GFLOP/s (64 to 64 channels, 3 x 3, 96 x 96, batch 8)")
    print(f"model                          {package.name}: {package.card.title}, {one.parameters / 1e6:.2f} M parameters")
    print(f"one slice                      {one.flops / 1e9:8.2f} GFLOP at {size[1]} x {size[2]}")
    evaluations, seconds = whole(case, settings, package)
    work = evaluations * one.flops
    print(f"whole volume {' x '.join(map(str, asked.shape))}     {seconds:8.1f} s   (budget {BUDGET_SECONDS:g} s on two cores)")
    print(f"  {evaluations} evaluations, {work / 1e12:.2f} TFLOP, {work / seconds / 1e9:.1f} GFLOP/s")
    print(f"  {settings.steps} steps of {settings.sampler}, {settings.consistency}")
    print(f"peak memory                    {peak() / 1e9:8.2f} GB  (budget {BUDGET_GIGABYTES:g} GB)")
    print(f"style preview, three slices    {three(case, settings, package):8.2f} s   (budget {BUDGET_PREVIEW:g} s)")
    return 0


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="name or folder of a model package; the default model where not given")
    parser.add_argument("--shape", type=int, nargs=3, default=(160, 192, 160), help="voxels of the volume, 1 mm each")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="processor threads")
    return parser.parse_args(argv)


def head(shape: tuple[int, ...]) -> Volume:
    """A volume without background: soft blobs and noise, every voxel above zero."""
    coarse = np.random.default_rng(0).random(tuple(side // 8 + 2 for side in shape))
    steps = [np.linspace(0, size - 1.001, side) for side, size in zip(shape, coarse.shape, strict=True)]
    from scipy import ndimage

    data = ndimage.map_coordinates(coarse, np.meshgrid(*steps, indexing="ij"), order=1).astype(np.float32)
    return from_array(data * 200 + 20, np.diag([1.0, 1.0, 1.0, 1.0]), meaning=Meaning.ARBITRARY, modality="T2", name="bench")


def whole(case, settings, package) -> tuple[int, float]:
    """Network evaluations of a whole translation, and its seconds."""
    counted = [0]

    def listen(event) -> None:
        if isinstance(event, Progress):
            counted[0] = event.total

    began = time.perf_counter()
    finish(translate(case, settings, package), listen)
    return counted[0], time.perf_counter() - began


def three(case, settings, package) -> float:
    """Seconds of a style preview, the best of three."""
    prepared, engine = prepare_case(case, package), load_engine(package, settings)
    middle = case.source.shape[package.recipe.axis_index] // 2
    found = []
    for _ in range(3):
        began = time.perf_counter()
        finish(preview(case, settings, package, (middle - 1, middle, middle + 1), prepared=prepared, engine=engine))
        found.append(time.perf_counter() - began)
    return min(found)


def convolution_rate() -> float:
    """Floating-point operations per second of one common convolution; a multiplication and an addition are two."""
    x, weight = torch.randn(8, 64, 96, 96), torch.randn(64, 64, 3, 3)
    work = 2 * 8 * 64 * 64 * 9 * 96 * 96
    found = []
    with torch.inference_mode():
        for _ in range(6):
            began = time.perf_counter()
            torch.nn.functional.conv2d(x, weight, padding=1)
            found.append(time.perf_counter() - began)
    return work / min(found)


def peak() -> float:
    """Most memory this process has held, in bytes; not known on Windows."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    sys.exit(main())
