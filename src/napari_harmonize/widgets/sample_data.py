"""The built-in pairs in napari's *File > Open Sample*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_harmonize.widgets.layers import to_layer

if TYPE_CHECKING:
    from napari.types import LayerData


def scanners() -> list[LayerData]:
    """Simulated head at 1.5 T and at 3 T."""
    return _pair("1p5t-to-3t")


def ct() -> list[LayerData]:
    """Simulated head as CT and as T1."""
    return _pair("ct-to-t1")


def flair() -> list[LayerData]:
    """Simulated head as FLAIR and as T1."""
    return _pair("flair-to-t1")


def _pair(name: str) -> list[LayerData]:
    from napari_harmonize.session import Backend

    found = Backend().sample(name)
    return [
        to_layer(volume, name=f"{role}: {name}", locked=False).as_layer_data_tuple()
        for role, volume in zip(("source", "truth"), found, strict=False)
    ]
