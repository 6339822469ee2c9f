"""From slices the network made back to the source's own grid."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_harmonize.errors import SettingsError
from napari_harmonize.prepare import undo
from napari_harmonize.translation.frame import Frame
from napari_harmonize.volumes import from_array
from napari_harmonize.volumes.volume import Meaning, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_harmonize.translation.kept import Kept
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.prepared import Prepared

WHOLE = 1e-3


def onto_source(slices: NDArray[np.float32], prepared: Prepared, package: ModelPackage, kept: Kept | None = None) -> Volume:
    """Put translated slices onto the source's own grid, in the units of the recipe's target.

    Parameters
    ----------
    slices : (n, row, column) float32, 0..1
        Slices ``prepared.first`` to ``prepared.last``.
    prepared : Prepared
        Where they came from.
    package : ModelPackage
        Says what 0..1 means.
    kept : Kept, optional
        What the result keeps of the source.

    Returns
    -------
    Volume
        float32, with the source's shape, affine and codes. Outside the mask, where the recipe masks, and outside what
        was cut away, it holds the target's low value.
    """
    whole = np.zeros(prepared.slices.shape, np.float32)
    whole[prepared.first : prepared.last + 1] = slices
    made = prepared.volume.replace(data=prepared.frame.from_slices(whole))
    data = undo(made, prepared.records).data
    target = package.recipe.target
    data = np.clip(data, 0, 1) if target.bounded else data
    if kept is not None:
        data = np.where(prepared.mask.data, kept.mixed(data, prepared.shown), data)
    if masks(package):
        data = np.where(prepared.mask.data, data, np.float32(0))
    data = (target.low + data * np.float32(target.high - target.low)).astype(np.float32)
    return synthetic(prepared.reorientation.undo(data), prepared.source, Meaning(target.meaning), target.modality, package.card.title)


def masks(package: ModelPackage) -> bool:
    """Whether the recipe blanks what lies outside the mask."""
    return any(name == "mask" for name, _ in package.recipe.steps)


def synthetic(data: NDArray[np.float32], source: Volume, meaning: Meaning, modality: str, made_by: str) -> Volume:
    """Make a result's volume: the source's grid and codes, and a note that it is synthetic.

    Parameters
    ----------
    data : (i, j, k) float32
        In the source's own order.
    source : Volume
        Whose grid it is on.
    meaning, modality
        What the numbers mean.
    made_by : str
        Title of the model.
    """
    header = dataclasses.replace(source.header, dtype="float32", slope=1.0, intercept=0.0)
    return from_array(
        np.ascontiguousarray(data),
        source.affine,
        meaning=meaning,
        modality=modality,
        name=f"{source.name}_desc-synthetic",
        header=header,
        notes=(f"Synthetic image made from {source.name} by {made_by}; research use, not for diagnosis.",),
    )


class Window:
    """A few slices of the source's canonical grid, and the prepared slices they are made from.

    Parameters
    ----------
    prepared : Prepared
        The case.
    slices : sequence of int
        Positions along the model's axis on the canonical grid.

    Raises
    ------
    SettingsError
        A slice lies outside the volume.
    """

    def __init__(self, prepared: Prepared, slices: Sequence[int]) -> None:
        self._prepared, self._slices = prepared, tuple(slices)
        count = prepared.canonical.shape[prepared.frame.axis]
        outside = [index for index in slices if not 0 <= index < count]
        if outside or not slices:
            raise SettingsError(f"Slices to preview are between 0 and {count - 1}", f"{outside or 'none'} arrived")
        inner = np.linalg.inv(prepared.volume.affine) @ prepared.canonical.affine
        self._step, self._start = np.diag(inner)[:3], inner[:3, 3]

    @property
    def needed(self) -> list[int]:
        """Prepared slices that hold some of the body and are needed, rising."""
        low, high = self._prepared.first, self._prepared.last
        wanted = {index for position in self._slices for index, _ in self._sources(position)}
        return sorted(index for index in wanted if low <= index <= high)

    def onto_source(
        self, found: Mapping[int, NDArray[np.float32]], *, masked: bool = False, kept: Kept | None = None
    ) -> dict[int, NDArray[np.float32]]:
        """Bring prepared slices onto the canonical grid, rows along the later axis; those not among them count as 0.

        Parameters
        ----------
        found : mapping of int to (row, column) float32
            Prepared slices.
        masked : bool
            Whether what lies outside the mask is 0, as in the whole result of a recipe that masks.
        kept : Kept, optional
            What the result keeps of the source.
        """
        pictures = {position: self._slice(position, found) for position in self._slices}
        axes = Frame(self._prepared.frame.axis).axes
        inside = self._prepared.mask.data.transpose(axes)
        if kept is not None:
            source = self._prepared.shown.transpose(axes)
            mixed = {position: kept.mixed(picture, source[position]) for position, picture in pictures.items()}
            pictures = {position: np.where(inside[position], mixed[position], picture) for position, picture in pictures.items()}
        if not masked:
            return pictures
        return {position: np.where(inside[position], picture, np.float32(0)) for position, picture in pictures.items()}

    def _sources(self, position: int) -> list[tuple[int, float]]:
        """Prepared slices a canonical one lies between, with their weights."""
        axis = self._prepared.frame.axis
        place = self._start[axis] + self._step[axis] * position
        if abs(place - round(place)) < WHOLE:
            return [(round(place), 1.0)]
        low = int(np.floor(place))
        return [(low, low + 1 - place), (low + 1, place - low)]

    def _slice(self, position: int, found: Mapping[int, NDArray[np.float32]]) -> NDArray[np.float32]:
        axes = Frame(self._prepared.frame.axis).axes[1:]
        shape = tuple(self._prepared.canonical.shape[axis] for axis in axes)
        mixed = np.zeros(tuple(self._prepared.volume.shape[axis] for axis in axes), np.float32)
        for index, weight in self._sources(position):
            if index in found:
                mixed += np.float32(weight) * self._prepared.frame.upright(found[index])
        step, start = (np.array([values[axis] for axis in axes]) for values in (self._step, self._start))
        read = ndimage.affine_transform(mixed, step, start, output_shape=shape, order=1, mode="constant")
        return np.asarray(np.clip(read, 0, 1), np.float32)
