"""Slice consistency for networks that see single slices: one volume, asked along all three axes.

A network trained on isotropic voxels answers for axial, coronal and sagittal slices alike. :class:`ThreePlanes` asks it for
all three stacks at every step and averages the answers in the volume, so that no axis is the one across which slices
were made alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_harmonize.diffusion.consistency import Stacked
from napari_harmonize.errors import SettingsError

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.diffusion.consistency import Evaluate, Parts


@dataclass(frozen=True, eq=False)
class ThreePlanes(Stacked):
    """One volume (Z, H, W) whose clean image is the mean of three predictions.

    Parameters
    ----------
    source, radius, path, objective, evaluate, clip, dropped
        As for every state; the radius is 0.
    kept : int, optional
        How many of the first slices belong to the patient; the rest is padding. All where absent.

    Raises
    ------
    SettingsError
        The radius is above 0.
    """

    kept: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.radius:
            raise SettingsError("Three planes are asked of a network that sees single slices", f"a radius of {self.radius} arrived")

    @property
    def y(self) -> Tensor:
        """Source (Z, H, W)."""
        return self.source

    @property
    def stacks(self) -> int:
        """Slices along all three axes."""
        return sum(self.source.shape)

    def centre(self, x: Tensor) -> Tensor:
        """Slices (Z, H, W) without the padding."""
        return x[: self.kept]

    def _predict(self, x: Tensor, t: float, parts: int, evaluate: Evaluate) -> Parts:
        found, done = tuple(torch.zeros_like(x) for _ in range(parts)), 0
        for axis in range(3):
            stacks, sources = (volume.movedim(axis, 0)[:, None] for volume in (x, self.y))  # (N, 1, row, column)
            for rows, *answers in self._clean(stacks, sources, t, evaluate):
                for whole, answer in zip(found, answers, strict=False):
                    whole.movedim(axis, 0)[rows] += answer[:, 0]
                yield done + rows.stop, self.stacks
            done += x.shape[axis]
        return tuple(whole.div_(3) for whole in found)
