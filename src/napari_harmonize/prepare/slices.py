"""Steps that treat every slice for itself, as Koch et al. prepare angiographies: strip, resample, scale and pad.

Slices are stacked along ``context.axis``; "in-plane" are the other two axes, the earlier one first. Two faults of the
published scripts are left out: one slice of a single value does not spoil the whole volume, and the last row and column
of a resampled slice are never lost to rounding.

Paper: Koch et al., "Cross-modality image synthesis from TOF-MRA to CTA using diffusion-based models", Medical Image
Analysis 105, 2025.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_harmonize.errors import SettingsError, VolumeError
from napari_harmonize.prepare.grid import affine_of, grid_of, must_fit, with_border, without_border
from napari_harmonize.settings import Settings, setting
from napari_harmonize.volumes.volume import Meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_harmonize.prepare.step import Context, Params
    from napari_harmonize.volumes.volume import Volume

ENDS = ("LR", "PA", "IS")


def flat_slices(data: NDArray[Any], axis: int, tolerance: float) -> NDArray[np.bool_]:
    """Tell which slices along an axis hold one value only, up to a relative spread."""
    others = tuple({0, 1, 2} - {axis})
    low, high = data.min(others), data.max(others)
    return np.asarray(np.isclose(high, low, rtol=tolerance, atol=1e-8))


@dataclass(frozen=True)
class StripFlatSlicesSettings(Settings):
    """What counts as empty."""

    tolerance: float = setting(1e-5, help="Relative spread up to which a slice holds one value only.", low=0, high=0.1)


class StripFlatSlices:
    """Cut away the slices of one value only at both ends of the stack."""

    Settings = StripFlatSlicesSettings

    def __init__(self, settings: StripFlatSlicesSettings | None = None) -> None:
        self.settings = settings or StripFlatSlicesSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Count them.

        Raises
        ------
        VolumeError
            No slice holds more than one value.
        """
        kept = np.flatnonzero(~flat_slices(volume.data, context.axis, self.settings.tolerance))
        if not len(kept):
            raise VolumeError("A volume to translate shows something", f"every slice of {volume.name} holds one value only")
        start, size = [0, 0, 0], list(volume.shape)
        start[context.axis], size[context.axis] = int(kept[0]), int(kept[-1] - kept[0] + 1)
        if size == list(volume.shape):
            return {"skipped": "no slice at either end holds one value only"}
        return {**grid_of(volume), "to_shape": size, "start": start}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Cut them away."""
        return volume.replace(data=volume.data[_box(params)], affine=affine_of(volume, np.ones(3), np.array(params["start"])))

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Put them back, as zeros."""
        must_fit(volume, params)
        data = np.zeros(params["from_shape"], volume.data.dtype)
        data[_box(params)] = volume.data
        return volume.replace(data=data, affine=np.array(params["from_affine"]))


def _box(params: Mapping[str, Any]) -> tuple[slice, ...]:
    return tuple(slice(a, a + n) for a, n in zip(params["start"], params["to_shape"], strict=True))


@dataclass(frozen=True)
class ResampleSlicesSettings(Settings):
    """The number of pixels a model was trained at, whatever their size in mm."""

    size: tuple[int, ...] = setting((256, 256), help="Pixels along the two in-plane axes.", unit="voxels", low=1, high=4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.size) != 2:
            raise SettingsError("The size of a slice has two numbers", f"{self.size} arrived")


class ResampleSlices:
    """Resample every slice by a prefiltered cubic spline; the first and the last pixel of each row and column keep their places."""

    Settings = ResampleSlicesSettings

    def __init__(self, settings: ResampleSlicesSettings | None = None) -> None:
        self.settings = settings or ResampleSlicesSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Work out shape and step."""
        size = list(volume.shape)
        for axis, new in zip(_in_plane(context.axis), self.settings.size, strict=True):
            size[axis] = new
        if size == list(volume.shape):
            return {"skipped": f"slices are {' x '.join(map(str, self.settings.size))} already"}
        return {**grid_of(volume), "to_shape": size, "axis": context.axis, "step": _steps(volume.shape, size)}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Interpolate; a spline may leave the range of the data."""
        data = _splines(volume.data, params["axis"], params["to_shape"])
        return volume.replace(data=data, affine=affine_of(volume, np.array(params["step"]), np.zeros(3)))

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Interpolate back, by the same kind of spline."""
        must_fit(volume, params)
        data = _splines(volume.data, params["axis"], params["from_shape"])
        return volume.replace(data=data, affine=np.array(params["from_affine"]))


def _in_plane(axis: int) -> list[int]:
    return [other for other in range(3) if other != axis]


def _steps(old: tuple[int, ...], new: list[int]) -> list[float]:
    """Old voxels from one new voxel to the next, the corners kept."""
    return [(a - 1) / (b - 1) if a > 1 and b > 1 else 1.0 for a, b in zip(old, new, strict=True)]


def _splines(data: NDArray[Any], axis: int, shape: list[int]) -> NDArray[np.float32]:
    slices = np.moveaxis(data, axis, 0)
    size = [shape[other] for other in _in_plane(axis)]
    step = _steps(slices.shape[1:], size)
    made = np.empty((len(slices), *size), np.float32)
    for single, out in zip(slices, made, strict=True):
        # "mirror" is how the spline continues beyond the border; a place one rounding step outside is then still read
        out[...] = ndimage.affine_transform(single.astype(np.float32), step, output_shape=tuple(size), order=3, mode="mirror")
    return np.moveaxis(made, 0, axis)


@dataclass(frozen=True)
class ScaleSlicesSettings(Settings):
    """Which slices cannot be scaled."""

    tolerance: float = setting(1e-5, help="Relative spread up to which a slice holds one value only.", low=0, high=0.1)


class ScaleSlices:
    """Scale every slice to 0..1 by its own smallest and largest value.

    A slice of one value only becomes 0, and so does its translation, because nothing is known of it.
    """

    Settings = ScaleSlicesSettings

    def __init__(self, settings: ScaleSlicesSettings | None = None) -> None:
        self.settings = settings or ScaleSlicesSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Measure every slice."""
        others = tuple(_in_plane(context.axis))
        low, high = volume.data.min(others), volume.data.max(others)
        flat = np.flatnonzero(flat_slices(volume.data, context.axis, self.settings.tolerance)).tolist()
        params = {"axis": context.axis, "low": low.astype(float).tolist(), "high": high.astype(float).tolist(), "flat": flat}
        if flat:
            params["note"] = f"{len(flat)} of {len(low)} slices hold one value only; nothing is known there, and the result is left empty."
        return params

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Subtract and divide, slice by slice."""
        shape = [1, 1, 1]
        shape[params["axis"]] = -1
        low, high = (np.array(params[name], np.float32).reshape(shape) for name in ("low", "high"))
        width = high - low
        width.reshape(-1)[params["flat"]] = np.inf
        return volume.replace(data=(volume.data.astype(np.float32) - low) / width, meaning=Meaning.UNIT)

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Empty what was made from slices of one value only; intensities are not undone."""
        if not params["flat"]:
            return volume
        data = np.array(volume.data)
        np.moveaxis(data, params["axis"], 0)[params["flat"]] = 0
        return volume.replace(data=data)


@dataclass(frozen=True)
class PadSlicesSettings(Settings):
    """How slices are grown at one end."""

    value: float = setting(0.0, help="What the border holds.")
    multiple: int = setting(1, help="Sizes are divisible by this, besides by what the network needs.", unit="voxels", low=1, high=1024)
    least: tuple[int, ...] = setting((0, 0), help="Slices are at least this large.", unit="voxels", low=0, high=4096)
    ends: str = setting(
        "RAS", help="Side that grows, one letter for each of the three axes; that of the slices' own axis is not looked at."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.least) != 2:
            raise SettingsError("The least size of a slice has two numbers", f"{self.least} arrived")
        if len(self.ends) != 3 or not all(end in pair for end, pair in zip(self.ends, ENDS, strict=True)):
            raise SettingsError("Sides are one of L or R, one of P or A and one of I or S, in this order", f"{self.ends!r} arrived")


class PadSlices:
    """Grow slices at the end of each in-plane axis until the network takes them."""

    Settings = PadSlicesSettings

    def __init__(self, settings: PadSlicesSettings | None = None) -> None:
        self.settings = settings or PadSlicesSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Work out the border."""
        size, multiple = list(volume.shape), math.lcm(context.multiple, self.settings.multiple)
        for axis, least in zip(_in_plane(context.axis), self.settings.least, strict=True):
            size[axis] = -(-max(size[axis], least) // multiple) * multiple
        if size == list(volume.shape):
            return {"skipped": f"slices are a multiple of {multiple} already"}
        grows_first = [end == pair[0] for end, pair in zip(self.settings.ends, ENDS, strict=True)]
        start = [new - old if first else 0 for new, old, first in zip(size, volume.shape, grows_first, strict=True)]
        return {**grid_of(volume), "to_shape": size, "before": start}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Add the border."""
        return with_border(volume, params, self.settings.value)

    def undo(self, volume: Volume, params: Mapping[str, Any]) -> Volume:
        """Cut the border off."""
        return without_border(volume, params)
