"""Steps that change intensities: mask, window, normalise, divide by the maximum, and the rescaling released with CT2MRI for BraTS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import SettingsError, VolumeError
from napari_harmonize.prepare.step import Context, IntensityStep, Params, mask_on
from napari_harmonize.settings import Settings, setting
from napari_harmonize.volumes.volume import Meaning, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class MaskSettings(Settings):
    """How the outside is blanked."""

    outside: float = setting(0.0, help="Value outside the mask.")


class Mask(IntensityStep):
    """Blank everything outside the mask; without a mask the foreground of the source is kept."""

    Settings = MaskSettings

    def __init__(self, settings: MaskSettings | None = None) -> None:
        self.settings = settings or MaskSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Count the voxels kept and name the mask they come from."""
        inside = mask_on(volume, context)
        name = context.mask.name if context.mask is not None else "non-zero voxels"
        return {"mask": name, "inside": int(inside.sum()), "voxels": int(inside.size)}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Set the outside."""
        outside = np.float32(self.settings.outside)
        return volume.replace(data=np.where(mask_on(volume, context), volume.data, outside).astype(np.float32))


@dataclass(frozen=True)
class WindowSettings(Settings):
    """The Hounsfield window that becomes 0..1."""

    low: float = setting(0.0, help="Value that becomes 0.", unit="HU", low=-32768, high=32767)
    high: float = setting(80.0, help="Value that becomes 1.", unit="HU", low=-32768, high=32767)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low >= self.high:
            raise SettingsError("A window's low end lies below its high end", f"{self.low:g} and {self.high:g} arrived")


class Window(IntensityStep):
    """Clip Hounsfield units to a window and scale it to 0..1; volumes in other units pass unchanged."""

    Settings = WindowSettings

    def __init__(self, settings: WindowSettings | None = None) -> None:
        self.settings = settings or WindowSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Tell whether there is anything to window."""
        if volume.meaning is not Meaning.HU:
            return {"skipped": f"the numbers are {volume.meaning.value}, not HU"}
        return {"low": self.settings.low, "high": self.settings.high}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Scale ``low..high`` to 0..1."""
        scaled = (volume.data.astype(np.float32) - params["low"]) / (params["high"] - params["low"])
        return volume.replace(data=np.clip(scaled, 0, 1).astype(np.float32), meaning=Meaning.UNIT)


@dataclass(frozen=True)
class NormaliseSettings(Settings):
    """How intensities are brought to 0..1."""

    percentile: float = setting(99.5, help="Percentile inside the mask that becomes 1.", unit="%", low=50, high=100)
    lowest: float | None = setting(
        None, help="Percentile inside the mask that becomes 0; the value 0 itself where absent.", unit="%", low=0, high=50
    )


class Normalise(IntensityStep):
    """Divide by a high percentile inside the mask, above a low one if asked, and clip to 0..1."""

    Settings = NormaliseSettings

    def __init__(self, settings: NormaliseSettings | None = None) -> None:
        self.settings = settings or NormaliseSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Measure the percentiles.

        Raises
        ------
        VolumeError
            The upper one is not above the lower one, or above zero.
        """
        values = volume.data[mask_on(volume, context)].astype(np.float32)
        low = 0.0 if self.settings.lowest is None else float(np.percentile(values, self.settings.lowest))
        high = float(np.percentile(values, self.settings.percentile))
        if not high > low:
            below = "0" if self.settings.lowest is None else f"their percentile {self.settings.lowest:g}"
            raise VolumeError(
                f"Percentile {self.settings.percentile:g} of the values inside the mask is above {below}",
                f"{high:g} and {low:g} arrived in {volume.name}",
                "Check the mask, and whether the volume shows anything",
            )
        return {"low": low, "scale": high - low}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Subtract, divide and clip."""
        scaled = (volume.data.astype(np.float32) - np.float32(params["low"])) / np.float32(params["scale"])
        return volume.replace(data=np.clip(scaled, 0, 1), meaning=Meaning.UNIT)


@dataclass(frozen=True)
class RobustBratsSettings(Settings):
    """The rescaling released with CT2MRI for BraTS."""

    above: float = setting(0.001, help="Share of the non-zero voxels that may lie above 1.", low=0, high=0.5)
    bins: int = setting(1000, help="Bins of the histogram the limit is read from.", low=10, high=100000)


class RobustBrats(IntensityStep):
    """Subtract the minimum and scale so that all but a small share of the non-zero voxels fall into 0..1.

    The upper limit is two bins below the first histogram bin edge that all but ``above`` of the non-zero voxels lie
    under (the robust rescaling of FreeSurfer's conform, as the published preparation of BraTS uses it).
    """

    Settings = RobustBratsSettings

    def __init__(self, settings: RobustBratsSettings | None = None) -> None:
        self.settings = settings or RobustBratsSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Measure minimum and scale.

        Raises
        ------
        VolumeError
            The volume is constant, or so skewed that the limit falls on zero.
        """
        data = volume.data.astype(np.float32)
        minimum = float(data.min())
        data = data - np.float32(minimum)
        top = float(data.max())
        counts = np.histogram(data, bins=self.settings.bins, range=(0.0, top))[0] if top > 0 else np.zeros(1)
        below = np.concatenate([[0], counts.cumsum()])
        enough = data.size - int(self.settings.above * np.count_nonzero(np.abs(data) >= 1e-15))
        limit = (int(np.argmax(below >= enough)) - 2) * top / self.settings.bins
        if not limit > 0:
            raise VolumeError("A volume to rescale has more than one value", f"{volume.name} reaches from {minimum:g} to {minimum + top:g}")
        return {"minimum": minimum, "scale": 1 / limit}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Subtract, scale and clip."""
        shifted = volume.data.astype(np.float32) - np.float32(params["minimum"])
        return volume.replace(data=np.clip(shifted * params["scale"], 0, 1).astype(np.float32), meaning=Meaning.UNIT)


@dataclass(frozen=True)
class DivideByMaximumSettings(Settings):
    """How far the brightest voxel may lie below 1."""

    margin: float = setting(1.0, help="The maximum is multiplied by this first; 1 makes the brightest voxel 1.", low=1, high=10)


class DivideByMaximum(IntensityStep):
    """Set negative values to 0 and divide by the largest value of the whole volume, as the spine system does with MR."""

    Settings = DivideByMaximumSettings

    def __init__(self, settings: DivideByMaximumSettings | None = None) -> None:
        self.settings = settings or DivideByMaximumSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Measure the maximum.

        Raises
        ------
        VolumeError
            It is not above 0.
        """
        highest = float(volume.data.max())
        if not highest > 0:
            raise VolumeError(
                "The largest value of a volume to divide by it is above 0", f"that of {volume.name} is {highest:g}", "Check the volume"
            )
        return {"scale": highest * self.settings.margin}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Clip and divide."""
        scaled = np.clip(volume.data.astype(np.float32), 0, None) / np.float32(params["scale"])
        return volume.replace(data=scaled, meaning=Meaning.UNIT)
