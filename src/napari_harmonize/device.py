"""Where arithmetic happens: the device a setting names, and a block in which tensors are made there without every line naming it.

This module loads torch.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from napari_harmonize.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRAWS = frozenset((torch.rand, torch.randn, torch.randint, torch.randperm))
PLAIN = (torch.arange, torch.as_tensor, torch.eye, torch.full, torch.linspace, torch.ones, torch.tensor, torch.zeros)
MAKERS = frozenset((*PLAIN, torch.fft.fftfreq, torch.fft.rfftfreq))


def choose_device(name: str, auto: tuple[str, ...] = ("cuda", "mps")) -> torch.device:
    """Find the device a setting names.

    Parameters
    ----------
    name : str
        "cuda", "mps", "cpu" or "auto".
    auto : tuple of str
        What "auto" takes where it is there, in this order; the processor where none is.

    Raises
    ------
    EngineError
        The device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next((kind for kind in auto if there[kind]), "cpu"))
    if not there[name]:
        raise EngineError("The device asked for is in this machine", f"{name} is not", 'Choose "auto" or "cpu"')
    return torch.device(name)


def here() -> torch.device:
    """Device on which the surrounding :func:`computed_on` makes tensors; the processor outside of any."""
    return torch.zeros(0).device


@contextlib.contextmanager
def computed_on(device: torch.device) -> Iterator[None]:
    """Make every tensor of a block on a device.

    Numbers that a generator draws are drawn on the processor and then brought over, so a seed means the same on every device, up to
    rounding.

    Parameters
    ----------
    device : torch.device
        Where; the processor changes nothing.
    """
    with contextlib.nullcontext() if device.type == "cpu" else _MadeOn(device):
        yield


class _MadeOn(TorchFunctionMode):
    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        asked = kwargs or {}
        if func in DRAWS and asked.get("generator") is not None and "device" not in asked:
            drawn = func(*args, **asked)
            return drawn.to(self.device) if drawn.dim() else drawn  # single numbers steer the simulator, and are read at once
        if func in MAKERS and asked.get("device") is None:
            asked = {**asked, "device": self.device}
        return func(*args, **asked)
