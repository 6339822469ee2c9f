"""The bias-field step: N4 by SimpleITK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.prepare.step import Context, IntensityStep, Params, mask_on
from napari_harmonize.settings import Settings, setting
from napari_harmonize.volumes.volume import Meaning, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True)
class BiasFieldSettings(Settings):
    """How the slowly varying shading of an MR image is removed."""

    enabled: bool = setting(False, help="Remove the bias field (N4).")
    shrink: int = setting(4, help="The field is fitted on every n-th voxel.", unit="voxels", low=1, high=16)
    iterations: int = setting(50, help="Iterations on each of the four levels.", low=1, high=500)


class BiasField(IntensityStep):
    """Divide by the bias field N4 finds inside the mask (Tustison 2010)."""

    Settings = BiasFieldSettings

    def __init__(self, settings: BiasFieldSettings | None = None) -> None:
        self.settings = settings or BiasFieldSettings()

    def draw(self, volume: Volume, context: Context) -> Params:
        """Tell whether there is anything to correct."""
        if not self.settings.enabled:
            return {"skipped": "bias correction is switched off"}
        if volume.meaning is Meaning.HU:
            return {"skipped": "a CT has no bias field"}
        return {"shrink": self._shrink(volume), "iterations": self.settings.iterations}

    def apply(self, volume: Volume, params: Mapping[str, Any], context: Context) -> Volume:
        """Fit the field on the shrunken volume and divide the full one by it."""
        inside = mask_on(volume, context)
        data = np.clip(volume.data, 0, None).astype(np.float32)
        log_field = _log_field(data, inside, params["shrink"], params["iterations"])
        return volume.replace(data=(data / np.exp(log_field)).astype(np.float32))

    def _shrink(self, volume: Volume) -> list[int]:
        """Shrink factor of each axis; N4's splines want at least four voxels left."""
        return [max(1, min(self.settings.shrink, size // 4)) for size in volume.shape]


def _log_field(data: NDArray[np.float32], inside: NDArray[np.bool_], shrink: list[int], iterations: int) -> NDArray[np.float64]:
    import SimpleITK as sitk

    image, mask = sitk.GetImageFromArray(data), sitk.GetImageFromArray(inside.astype(np.uint8))
    factors = shrink[::-1]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([iterations] * 4)
    n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
    field: NDArray[np.float64] = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).astype(np.float64)
    return field
