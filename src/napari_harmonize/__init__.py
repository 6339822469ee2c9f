"""Translate medical volumes between contrasts with diffusion models, and see whether the translation can be trusted.

Importing this package loads neither torch nor Qt; the public names are loaded on first use.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

__version__ = version("napari-harmonize")

_PUBLIC = {
    "Volume": "napari_harmonize.volumes",
    "read": "napari_harmonize.volumes",
    "write": "napari_harmonize.volumes",
    "translate": "napari_harmonize.translation",
    "finish": "napari_harmonize.events",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
