"""Steps that change the grid: resample, crop, pad (slices or volumes) and fit. Each keeps the affine true and can be taken back.

``x_mm = affine @ (i, j, k, 1)`` holds before and after; ``undo`` gives shape and affine back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_harmonize.errors import GeometryError, SettingsError, VolumeError
from napari_harmonize.prepare.step import Context, Params, mask_on
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_harmonize.volumes.volume import Volume

FINEST = 0.05
SIDES = ("LR", "PA", "IS")


@dataclass(frozen=True)
class ResampleSettings(Settings):
    """The spacing the model works at."""

    spacing: tuple[float, ...] = setting(
        (1.0, 1.0, 1.0), help="Voxel size along the three axes; 0 keeps that of an axis.", unit="mm", low=0, high=50
    )
    order: int = setting(1, help="Degree of the interpolating spline: 0 nearest, 1 linear, 3 cubic.", low=0, high=3)
    tolerance: float = setting(0.01, help="Relative difference of spacing that is left alone.", low=0, high=0.5)
    smooth: bool = setting(True, help="Blur before making voxels larger, so that nothing aliases.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.spacing) != 3 or any(0 < size < FINEST for size in self.spacing):
            raise SettingsError(f"A spacing has three numbers, each 0 or at least {FINEST:g}", f"{self.spacing} arrived")


class Resample:
    """Bring the volume to the model's spacing about its own centre."""

    Settings = ResampleSettings

    def __init__(self, settings: ResampleSettings | None = None) -> None:
        self.settings = settings or ResampleSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Work out the new shape, and the old index of the new first voxel."""
        old, asked = np.array(volume.spacing), np.array(self.settings.spacing)
        new = np.where(asked > 0, asked, old)
        if np.allclose(old, new, rtol=self.settings.tolerance, atol=0):
            return {"skipped": f"the spacing is {_mm(old)} already"}
        shape = np.maximum(np.ceil(np.round(np.array(volume.shape) * old / new, 6)), 1).astype(int)
        step = new / old
        start = ((np.array(volume.shape) - 1) - (shape - 1) * step) / 2
        return {**grid_of(volume), "to_shape": shape.tolist(), "step": step.tolist(), "start": start.tolist()}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Interpolate onto the new grid."""
        step, start = np.array(params["step"]), np.array(params["start"])
        data = volume.data.astype(np.float32)
        if self.settings.smooth and (step > 1).any():
            data = ndimage.gaussian_filter(data, np.maximum(step - 1, 0) / 2, mode="nearest", truncate=3.0)
        data = _interpolate(data, step, start, params["to_shape"], self.settings.order)
        return volume.replace(data=data, affine=affine_of(volume, step, start))

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Interpolate back onto the old grid."""
        must_fit(volume, params)
        step = 1 / np.array(params["step"])
        start = -np.array(params["start"]) * step
        data = _interpolate(volume.data.astype(np.float32), step, start, params["from_shape"], self.settings.order)
        return volume.replace(data=data, affine=np.array(params["from_affine"]))


@dataclass(frozen=True)
class CropSettings(Settings):
    """How much is kept around the foreground."""

    margin: float = setting(4.0, help="Kept around the foreground on every side.", unit="mm", low=0, high=500)
    above: float | None = setting(None, help="Crop to voxels above this value instead of to the mask.")


class CropToForeground:
    """Cut away what lies outside the foreground's bounding box."""

    Settings = CropSettings

    def __init__(self, settings: CropSettings | None = None) -> None:
        self.settings = settings or CropSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Find the box.

        Raises
        ------
        VolumeError
            Nothing is above the value asked for.
        """
        inside = mask_on(volume, context) if self.settings.above is None else volume.data > self.settings.above
        if not inside.any():
            raise VolumeError("There is something to crop to", f"no voxel of {volume.name} is above {self.settings.above}")
        start, stop = [], []
        for axis, spacing in enumerate(volume.spacing):
            hit = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
            margin = int(np.ceil(round(self.settings.margin / spacing, 6)))
            start.append(max(int(hit[0]) - margin, 0))
            stop.append(min(int(hit[-1]) + margin + 1, volume.shape[axis]))
        if [b - a for a, b in zip(start, stop, strict=True)] == list(volume.shape):
            return {"skipped": "the foreground fills the volume"}
        size = [b - a for a, b in zip(start, stop, strict=True)]
        return {**grid_of(volume), "to_shape": size, "start": start}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Cut the box out."""
        box = tuple(slice(a, a + n) for a, n in zip(params["start"], params["to_shape"], strict=True))
        return volume.replace(data=volume.data[box], affine=affine_of(volume, np.ones(3), np.array(params["start"])))

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Put the box back into zeros."""
        must_fit(volume, params)
        data = np.zeros(params["from_shape"], volume.data.dtype)
        data[tuple(slice(a, a + n) for a, n in zip(params["start"], params["to_shape"], strict=True))] = volume.data
        return volume.replace(data=data, affine=np.array(params["from_affine"]))


@dataclass(frozen=True)
class PadSettings(Settings):
    """How slices are grown to a size the network accepts."""

    fill: str = setting("edge", help="What the new border holds: the nearest value, or zero.", choices=("edge", "zero"))
    least: tuple[int, ...] = setting((0, 0), help="Slices are at least this large.", unit="voxels", low=0, high=4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.least) != 2:
            raise SettingsError("The least size of a slice has two numbers", f"{self.least} arrived")


class PadToMultiple:
    """Grow slices, or volumes where the network sees volumes, evenly on both sides until it can halve them as often as it must."""

    Settings = PadSettings

    def __init__(self, settings: PadSettings | None = None) -> None:
        self.settings = settings or PadSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Work out the border of each axis."""
        size = list(volume.shape)
        in_plane = [axis for axis in range(3) if axis != context.axis]
        for axis, least in zip(in_plane, self.settings.least, strict=True):
            size[axis] = max(size[axis], least)
        for axis in context.divided:
            size[axis] = -(-max(size[axis], context.least) // context.multiple) * context.multiple
        if size == list(volume.shape):
            return {"skipped": f"slices are a multiple of {context.multiple} already"}
        before = [(new - old) // 2 for new, old in zip(size, volume.shape, strict=True)]
        return {**grid_of(volume), "to_shape": size, "before": before}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Add the border."""
        sizes = zip(params["before"], params["to_shape"], volume.shape, strict=True)
        border = [(a, new - old - a) for a, new, old in sizes]
        data = np.pad(volume.data, border, mode="edge") if self.settings.fill == "edge" else np.pad(volume.data, border)
        return volume.replace(data=data, affine=affine_of(volume, np.ones(3), -np.array(params["before"])))

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Cut the border off."""
        return without_border(volume, params)


@dataclass(frozen=True)
class PadVolumeSettings(Settings):
    """How a whole volume is grown to a size a three-dimensional network accepts."""

    value: float = setting(0.0, help="What the border holds.")
    grow: bool = setting(False, help="Grow an axis that is divisible already by one more multiple, as the spine system does.")
    larger: str = setting("LPI", help="Sides that take the larger half of an odd border, one for each of the three axes.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.larger) != 3 or {pair.find(side) >= 0 for pair, side in zip(SIDES, self.larger, strict=True)} != {True}:
            raise SettingsError("Sides are one of L or R, one of P or A and one of I or S, in this order", f"{self.larger!r} arrived")


class PadVolume:
    """Grow all three axes until the network can halve them as often as it must."""

    Settings = PadVolumeSettings

    def __init__(self, settings: PadVolumeSettings | None = None) -> None:
        self.settings = settings or PadVolumeSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Work out the border of each axis."""
        multiple = context.multiple
        size = [(old // multiple + 1) * multiple if self.settings.grow else -(-old // multiple) * multiple for old in volume.shape]
        if size == list(volume.shape):
            return {"skipped": f"the volume is a multiple of {multiple} already"}
        border = [new - old for new, old in zip(size, volume.shape, strict=True)]
        first = [side == pair[0] for pair, side in zip(SIDES, self.settings.larger, strict=True)]
        before = [(width + low) // 2 for width, low in zip(border, first, strict=True)]
        return {**grid_of(volume), "to_shape": size, "before": before}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Add the border."""
        return with_border(volume, params, self.settings.value)

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Cut the border off."""
        return without_border(volume, params)


@dataclass(frozen=True)
class FitSettings(Settings):
    """The fixed size a model was trained at."""

    size: tuple[int, ...] = setting((176, 176, 160), help="Voxels along the three axes.", unit="voxels", low=1, high=4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.size) != 3:
            raise SettingsError("A size has three numbers", f"{self.size} arrived")


class FitToSize:
    """Pad short axes with zeros and squeeze long ones linearly, as the published preparation of BraTS does."""

    Settings = FitSettings

    def __init__(self, settings: FitSettings | None = None) -> None:
        self.settings = settings or FitSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Work out border (extra voxel at the end) and squeeze (first and last voxel stay) of each axis."""
        if volume.shape == self.settings.size:
            return {"skipped": f"the size is {volume.shape} already"}
        start, step = [], []
        for old, new in zip(volume.shape, self.settings.size, strict=True):
            start.append(-float((new - old) // 2) if new >= old else 0.0)
            step.append(1.0 if new >= old or new == 1 else (old - 1) / (new - 1))
        return {**grid_of(volume), "to_shape": list(self.settings.size), "step": step, "start": start}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Pad and squeeze."""
        step, start = np.array(params["step"]), np.array(params["start"])
        data = _interpolate(volume.data.astype(np.float32), step, start, params["to_shape"], 1, outside="grid-constant")
        return volume.replace(data=data, affine=affine_of(volume, step, start))

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Stretch and cut back."""
        must_fit(volume, params)
        step = 1 / np.array(params["step"])
        start = -np.array(params["start"]) * step
        data = _interpolate(volume.data.astype(np.float32), step, start, params["from_shape"], 1)
        return volume.replace(data=data, affine=np.array(params["from_affine"]))


def with_border(volume: Volume, params: Mapping[str, Any], value: float) -> Volume:
    """Add a border of one value that starts ``before`` the old first voxel."""
    sizes = zip(params["before"], params["to_shape"], volume.shape, strict=True)
    data = np.pad(volume.data, [(a, new - old - a) for a, new, old in sizes], constant_values=value)
    return volume.replace(data=data, affine=affine_of(volume, np.ones(3), -np.array(params["before"])))


def without_border(volume: Volume, params: Mapping[str, Any]) -> Volume:
    """Cut off a border that starts ``before`` the old first voxel."""
    must_fit(volume, params)
    box = tuple(slice(a, a + n) for a, n in zip(params["before"], params["from_shape"], strict=True))
    return volume.replace(data=volume.data[box], affine=np.array(params["from_affine"]))


def _interpolate(
    data: NDArray[np.float32],
    step: NDArray[np.float64],
    start: NDArray[np.float64],
    shape: list[int],
    order: int,
    outside: str = "nearest",
) -> NDArray[np.float32]:
    """Read ``data`` at ``start + step * index``; cubic splines may not leave the range of the data."""
    read: NDArray[np.float32] = ndimage.affine_transform(data, step, start, output_shape=tuple(shape), order=order, mode=outside)
    return np.clip(read, data.min(), data.max(), out=read) if order > 1 else read


def affine_of(volume: Volume, step: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Affine of a grid whose index 0 lies at ``start`` of the old one, ``step`` old voxels apart."""
    inner = np.diag([*step, 1.0])
    inner[:3, 3] = start
    affine: NDArray[np.float64] = volume.affine @ inner
    return affine


def grid_of(volume: Volume) -> Params:
    """Shape and affine a step is undone to."""
    return {"from_shape": list(volume.shape), "from_affine": volume.affine.tolist()}


def must_fit(volume: Volume, params: Mapping[str, Any]) -> None:
    """Refuse to undo a step on a grid it did not make.

    Raises
    ------
    GeometryError
        The shape is another.
    """
    if list(volume.shape) != list(params["to_shape"]):
        raise GeometryError(f"A step is undone on the grid it made, {tuple(params['to_shape'])}", f"{volume.name} has shape {volume.shape}")


def _mm(spacing: NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.3g}" for value in spacing) + " mm"
