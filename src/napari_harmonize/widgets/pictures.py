"""From a slice of numbers to a picture of bytes: cutting, windowing, comparing, colouring.

Pictures are (across, up) arrays in the order of the voxels; the screen is turned, never the picture.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_harmonize.session.display import Window
    from napari_harmonize.widgets.letters import Layout

SIDE_BY_SIDE, CURTAIN, CHECKERBOARD = "side by side", "curtain", "checkerboard"
COMPARISONS = (SIDE_BY_SIDE, CURTAIN, CHECKERBOARD)
_TILES = 8


def cut(data: NDArray[Any], placed: Layout, index: int) -> NDArray[Any]:
    """Slice (across, up) of a volume at a position through the screen; a view."""
    return data.transpose(placed.through, placed.across, placed.up)[index]


def to_bytes(values: NDArray[Any], window: Window) -> NDArray[np.uint8]:
    """Put values into 0..255 between the window's black and white; NaN is black."""
    scaled = np.subtract(values, window.low, dtype=np.float32)
    scaled *= 255.0 / (window.high - window.low)
    np.clip(np.nan_to_num(scaled, copy=False, nan=0.0), 0.0, 255.0, out=scaled)
    return scaled.astype(np.uint8)


def curtain(first: NDArray[np.uint8], second: NDArray[np.uint8], share: float, right: int) -> NDArray[np.uint8]:
    """Put the first picture left of a curtain and the second right of it.

    Parameters
    ----------
    first, second : (across, up) uint8
        Pictures of one size.
    share : float
        Where the curtain hangs, 0 left to 1 right on the screen.
    right : int
        +1 where the first axis runs to the right of the screen, else -1.
    """
    drawn = first.copy()
    edge = round(share * len(first))
    if right > 0:
        drawn[edge:] = second[edge:]
    else:
        drawn[: len(first) - edge] = second[: len(first) - edge]
    return drawn


def checkerboard(first: NDArray[np.uint8], second: NDArray[np.uint8], spacing: tuple[float, float]) -> NDArray[np.uint8]:
    """Alternate two pictures in square tiles, eight along the longer side.

    Parameters
    ----------
    first, second : (across, up) uint8
        Pictures of one size.
    spacing : (float, float)
        mm between voxels along both axes, so that the tiles are square on the screen.
    """
    extent = [length * step for length, step in zip(first.shape, spacing, strict=True)]
    tile = max(extent) / _TILES
    rows, columns = (np.floor(np.arange(length) * step / tile).astype(int) for length, step in zip(first.shape, spacing, strict=True))
    return np.where((rows[:, None] + columns[None]) % 2 == 0, first, second)


@lru_cache(maxsize=32)
def lookup_table(name: str) -> NDArray[np.uint8]:
    """Colours (256, 4) uint8 of a colormap by the name napari knows it by."""
    from napari.utils.colormaps import ensure_colormap

    table = (ensure_colormap(name).map(np.linspace(0, 1, 256)) * 255).round().astype(np.uint8)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=1)
def diverging_table() -> NDArray[np.uint8]:
    """Colours (256, 4) uint8 from blue over black at zero to orange."""
    table = np.concatenate([lookup_table("bop blue")[::-2], lookup_table("bop orange")[1::2]])
    table.flags.writeable = False
    return table
