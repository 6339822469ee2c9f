"""What is compared, under which mask, on which scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import GeometryError, Undefined, VolumeError
from napari_harmonize.volumes.masks import check_mask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_harmonize.style import StyleKey

PERCENTILE = 99.5
# share of a volume that interpolation may leave below 0
UNDERSHOOT = 0.02


@dataclass(frozen=True, eq=False)
class Comparison:
    """A result and what it is measured against, all on one grid.

    Parameters
    ----------
    result : (i, j, k) array
        The translated volume.
    truth : (i, j, k) array, optional
        The ground truth.
    source : (i, j, k) array, optional
        What was translated.
    mask : (i, j, k) array, optional
        Where it is measured: not zero. Without one the whole volume counts.
    key : StyleKey, optional
        The look that was asked for.
    repeats : tuple of (i, j, k) array
        Further results of the same case.
    hounsfield : bool
        Whether result and truth are in Hounsfield units.
    scaled : bool
        Whether result and truth are on one scale of 0..1 already; otherwise each is brought to the acceptance scale by itself.
    inside : (i, j, k) array of bool
        The mask, or everything; made from ``mask``.

    Raises
    ------
    GeometryError
        The shapes differ.
    VolumeError
        An array is not of three axes and real numbers, the mask is empty, or a volume has a value inside the mask that is not finite.
    """

    result: NDArray[Any]
    truth: NDArray[Any] | None = None
    source: NDArray[Any] | None = None
    mask: NDArray[Any] | None = None
    key: StyleKey | None = None
    repeats: tuple[NDArray[Any], ...] = ()
    hounsfield: bool = False
    scaled: bool = False
    inside: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        inside = check_mask(self.result.shape, self.mask)
        for name, data in self._volumes():
            check_volume(name, data, self.result.shape)
            strange = int((~np.isfinite(data[inside])).sum())
            if strange:
                remedy = "A number over the others would hide them; look at the volume, or leave them out of the mask"
                raise VolumeError("Metrics need finite values inside the mask", f"the {name} has {strange} others", remedy)
        object.__setattr__(self, "inside", inside)

    @property
    def has(self) -> frozenset[str]:
        """Which of truth, source, mask, key and repeats are there; a mask always is, as the whole volume is one."""
        given = {name for name in ("truth", "source", "key") if getattr(self, name) is not None}
        return frozenset(given | {"mask"} | ({"repeats"} if self.repeats else set()))

    @cached_property
    def scaled_result(self) -> NDArray[np.float64]:
        """The result on the acceptance scale, 0..1."""
        return self._scaled(self.result, "result")

    @cached_property
    def scaled_truth(self) -> NDArray[np.float64]:
        """The truth on the acceptance scale, 0..1."""
        return self._scaled(self.need_truth(), "truth")

    def pair(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give result and truth inside the mask on the acceptance scale, (voxels,) each."""
        return self.scaled_result[self.inside], self.scaled_truth[self.inside]

    @cached_property
    def below_zero(self) -> str:
        """What the acceptance scale counts as 0 though it is less, by volume; empty where that is at most 2 % of each, or in HU."""
        if self.hounsfield:
            return ""
        volumes = {"result": self.result, "truth": self.truth}
        shares = {name: float((data[self.inside] < 0).mean()) for name, data in volumes.items() if data is not None}
        parts = [f"{share:.0%} of the {name}" for name, share in shares.items() if share > UNDERSHOOT]
        return f"{' and '.join(parts)} below 0 counted as 0" if parts else ""

    def need_truth(self) -> NDArray[Any]:
        """Give the truth, which a metric that asks for it must have."""
        if self.truth is None:
            raise Undefined("This number compares with the ground truth", "there is none")
        return self.truth

    def need_source(self) -> NDArray[Any]:
        """Give the source, which a metric that asks for it must have."""
        if self.source is None:
            raise Undefined("This number compares with the source", "there is none")
        return self.source

    def _scaled(self, data: NDArray[Any], name: str) -> NDArray[np.float64]:
        return np.asarray(np.clip(data, 0, 1), np.float64) if self.scaled else scale(data, self.inside, name)

    def _volumes(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield "result", self.result
        for name in ("truth", "source"):
            if getattr(self, name) is not None:
                yield name, getattr(self, name)
        for number, repeat in enumerate(self.repeats, 1):
            yield f"repeat {number}", repeat


def check_volume(name: str, data: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Refuse an array that is no volume of the given shape.

    Parameters
    ----------
    name : str
        What to call it in the sentence.
    data : array
        The array.
    shape : tuple of int
        The shape all share.

    Raises
    ------
    VolumeError
        It has not three axes, is empty, or holds no real numbers.
    GeometryError
        Its shape is another.
    """
    if data.ndim != 3 or 0 in data.shape or data.dtype.kind not in "buif":
        raise VolumeError("Metrics compare volumes of real numbers with three axes", f"the {name} is {data.dtype} of shape {data.shape}")
    if data.shape != shape:
        remedy = "Resample one onto the grid of the other first"
        raise GeometryError("Metrics compare volumes on one grid", f"the {name} has shape {data.shape}, the result {shape}", remedy)


def scale(data: NDArray[Any], mask: NDArray[Any] | None = None, name: str = "volume") -> NDArray[np.float64]:
    """Bring a volume to the scale of acceptance: divide by its 99.5th percentile inside the mask, clip to 0..1.

    Parameters
    ----------
    data : array
        The volume.
    mask : array, optional
        Not zero inside; without one the whole volume counts.
    name : str
        What to call it in an error.

    Returns
    -------
    float64 array of the same shape
        0..1; what is outside the mask is scaled and clipped too.

    Raises
    ------
    GeometryError
        The mask has another shape.
    VolumeError
        The mask is empty.
    Undefined
        The percentile is not above zero, so nothing would be left.
    """
    inside = check_mask(data.shape, mask)
    top = float(np.percentile(data[inside].astype(np.float64), PERCENTILE))
    if not top > 0:
        raise Undefined(f"A volume is scaled by its {PERCENTILE}th percentile inside the mask", f"that of the {name} is {top:.6g}")
    return np.asarray(np.clip(data / np.float64(top), 0, 1), np.float64)
