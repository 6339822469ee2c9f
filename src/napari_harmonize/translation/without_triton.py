"""Networks without memory for their weights, and PyTorch's counter of operations, without Triton.

What PyTorch loads for both imports Triton where it is installed, which it is beside every build of PyTorch for CUDA, to know its kernels;
none is used here. Triton brings an LLVM of its own, and a process whose window is drawn by Mesa has one already: loading
the second ends the process with a segmentation fault. From then on PyTorch takes Triton for absent, unless somebody else loaded it first.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TRITON, COUNTER = "triton", "torch.utils.flop_counter"
ASKING = ("torch._dynamo", COUNTER)
_lock = threading.Lock()


def leave_out() -> None:
    """Load what asks for Triton while it seems not to be installed; once, and only where it is."""
    with _lock:
        if COUNTER in sys.modules or TRITON in sys.modules or importlib.util.find_spec(TRITON) is None:
            return
        with _hidden(TRITON), _quiet(COUNTER):
            for name in ASKING:
                importlib.import_module(name)


def flop_counter() -> Any:
    """Give the module ``torch.utils.flop_counter``."""
    leave_out()
    return importlib.import_module(COUNTER)


def weightless() -> Any:
    """Give the device on which a network is built without memory for its weights, for ``with``."""
    import torch

    leave_out()
    return torch.device("meta")


@contextlib.contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let a package seem not to be installed."""
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(name, None)


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Leave out the warning that Triton is missing."""
    logger = logging.getLogger(name)
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was
