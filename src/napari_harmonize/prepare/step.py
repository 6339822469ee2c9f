"""What a preparation step is, and what is written down about it.

A step draws its parameters from the volume (plain numbers), applies them, and where it changed the geometry takes
that change back. Intensities are never undone: what a result's numbers mean is the recipe's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_harmonize.errors import VolumeError
from napari_harmonize.volumes import Volume, resample_onto, same_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_harmonize.settings import Settings

Params = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Context:
    """What a step may know besides the volume.

    Parameters
    ----------
    mask : Volume, optional
        Voxels above 0.5 are the body part the model knows; any grid, the volume's space.
    multiple : int
        What the size of a slice must be divisible by.
    axis : int
        Axis the slices are stacked along, 0..2.
    dimensions : int
        2 where the model sees slices, 3 where it sees volumes, whose every size must be divisible.
    least : int
        The shortest side the model accepts.
    """

    mask: Volume | None = None
    multiple: int = 1
    axis: int = 2
    dimensions: int = 2
    least: int = 1

    @property
    def divided(self) -> tuple[int, ...]:
        """Axes whose size must be divisible by ``multiple``."""
        return tuple(axis for axis in range(3) if axis != self.axis or self.dimensions == 3)


@dataclass(frozen=True)
class Record:
    """One step as it was done; enough, with the same mask, to do it again.

    Parameters
    ----------
    step : str
        Key of ``STEPS``.
    settings : mapping
        The step's settings as JSON values.
    params : mapping
        What the step drew, as JSON values; ``{"skipped": sentence}`` where there was nothing to do.
    """

    step: str
    settings: Mapping[str, Any]
    params: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Write as plain JSON values."""
        return {"step": self.step, "settings": dict(self.settings), "params": dict(self.params)}


class Step(Protocol):
    """One step of preparation.

    Parameters
    ----------
    settings : Settings
        An instance of the class's ``Settings``.
    """

    def __init__(self, settings: Any = None) -> None: ...

    @property
    def settings(self) -> Settings:
        """What the step was asked to do."""
        ...

    def draw(self, volume: Volume, context: Context) -> Params:
        """Measure what the step needs, as JSON values; ``{"skipped": sentence}`` where there is nothing to do."""
        ...

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Do the step; the volume that arrives is left as it is."""
        ...

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Take the step's change of geometry back; voxels that had been cut away become 0."""
        ...


class IntensityStep:
    """A step that leaves the geometry alone, so that there is nothing to undo."""

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Return the volume as it is."""
        return volume


def foreground(volume: Volume) -> Volume:
    """Tell the body from a constant background.

    The background is the value all eight corners share, 0 where they differ.

    Parameters
    ----------
    volume : Volume
        A volume whose outside was set to one value (skull-stripped, say).

    Returns
    -------
    Volume
        bool, true in the foreground.
    """
    corners = volume.data[:: max(volume.shape[0] - 1, 1), :: max(volume.shape[1] - 1, 1), :: max(volume.shape[2] - 1, 1)]
    background = corners.flat[0] if (corners == corners.flat[0]).all() else 0
    return volume.replace(data=np.asarray(volume.data != background), name="non-zero voxels")


def mask_on(volume: Volume, context: Context) -> NDArray[np.bool_]:
    """Give the context's mask on the volume's grid.

    Returns
    -------
    (i, j, k) bool

    Raises
    ------
    VolumeError
        The mask is empty there.
    """
    mask = context.mask if context.mask is not None else foreground(volume)
    if not same_grid(mask, volume):
        mask = resample_onto(mask.replace(data=mask.data.astype(np.float32)), volume, order=0)
    inside = np.asarray(mask.data > 0)
    if not inside.any():
        raise VolumeError(
            "The mask marks at least one voxel of the volume",
            f"{mask.name} is empty where {volume.name} lies",
            "Give a mask of the same subject in the same space",
        )
    return inside
