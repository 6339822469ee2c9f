"""How many stacks of slices are computed together. This module loads torch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from napari_harmonize.translation import cost
from napari_harmonize.translation.engine import BATCH

if TYPE_CHECKING:
    from napari_harmonize.translation.engine import Engine
    from napari_harmonize.translation.prepared import Prepared

SHARE = 0.7
PATCHES = {"cpu": 1, "cuda": 4, "mps": 1}


def choose(asked: int, engine: Engine, prepared: Prepared) -> int:
    """Give the batch size asked for, else the device's usual one, less where memory is short.

    Parameters
    ----------
    asked : int
        0 to choose.
    engine : Engine
        The network on its device.
    prepared : Prepared
        The case.
    """
    if asked:
        return asked
    room = SHARE * free_bytes(engine.device)
    recipe = engine.package.recipe
    each = cost.measure(engine.package, recipe.input_size(prepared.slices.shape)).bytes * cost.WORKSPACE
    size = BATCH[engine.device.type] if recipe.dimensions == 2 else PATCHES[engine.device.type]
    while size > 1 and size * each > room:
        size //= 2
    return size


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _free_memory()


def _free_memory() -> int:
    """Memory of the machine that is free; 4 GB where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = dict(line.split(":", 1) for line in lines)
        return int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30
