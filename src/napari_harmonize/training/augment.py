"""How training examples are varied: the augmentation of Graf et al. 2023, on stacks and on patches.

An example is (parts, slice, row, column): target, source and mask, then position ramps where there are any. Everything but
the brightness and contrast of the source is varied alike in all parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.training.settings import Augmentation

SOURCE = 1


def augment(parts: Tensor, how: Augmentation, left_right: int, rng: torch.Generator) -> Tensor:
    """Vary an example.

    Parameters
    ----------
    parts : (P, slice, row, column) float32
        Target, source, mask and position ramps, 0..1.
    how : Augmentation
        How far.
    left_right : int
        Which of slice, row and column runs from left to right.
    rng : torch.Generator
        Chance.

    Returns
    -------
    (P, slice, row, column) float32
        A new tensor.
    """
    if how.mirror and float(torch.rand((), generator=rng)) < 0.5:
        parts = parts.flip(1 + left_right)
    if how.elastic:
        parts = deform(parts, how.elastic, how.spacing, rng)
    if how.jitter:
        source = jitter(parts[SOURCE], how.jitter, rng)
        parts = torch.cat([parts[:SOURCE], source[None], parts[SOURCE + 1 :]])
    return parts.contiguous()


def jitter(image: Tensor, amount: float, rng: torch.Generator) -> Tensor:
    """Change brightness and contrast by factors of 1 - amount to 1 + amount, in random order, clamped to 0..1 each time."""
    brightness, contrast = (1 + amount * (2 * torch.rand(2, generator=rng) - 1)).tolist()

    order = (True, False) if float(torch.rand((), generator=rng)) < 0.5 else (False, True)
    for brighten in order:
        centre = image.mean() * (not brighten)
        image = ((image - centre) * (brightness if brighten else contrast) + centre).clamp(0, 1)
    return image


def deform(parts: Tensor, amount: float, spacing: int, rng: torch.Generator) -> Tensor:
    """Move everything along a smooth random field within rows and columns, and across slices where there are many.

    Parameters
    ----------
    parts : (P, slice, row, column) float32
        Values outside come from the border.
    amount : float
        Standard deviation of the movement in voxels.
    spacing : int
        Distance of the points that are moved independently.
    """
    shape = parts.shape[1:]
    coarse = [max(2, size // spacing + 2) for size in shape]
    field = F.interpolate(torch.randn(1, 3, *coarse, generator=rng), size=shape, mode="trilinear", align_corners=True)[0]
    moved = amount * field * torch.tensor([size > spacing for size in shape]).reshape(3, 1, 1, 1)
    lines = [torch.arange(size, dtype=torch.float32) for size in shape]
    places = torch.stack(torch.meshgrid(*lines, indexing="ij")) + moved
    limits = torch.tensor([max(size - 1, 1) for size in shape]).reshape(3, 1, 1, 1)
    grid = (2 * places / limits - 1).flip(0).permute(1, 2, 3, 0)[None]  # column, row, slice last
    warped: Tensor = F.grid_sample(parts[None], grid, mode="bilinear", padding_mode="border", align_corners=True)[0]
    return warped
