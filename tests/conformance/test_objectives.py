"""Every objective undoes itself on every path it makes sense on."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.diffusion import OBJECTIVES, PATHS
from napari_harmonize.diffusion.objective import mix
from napari_harmonize.diffusion.sampling import coefficients

PAIRS = [(objective, path) for objective, row in OBJECTIVES.items() for path, kind in PATHS.items() if kind.kind in row.paths]


def _draw(seed: int) -> torch.Tensor:
    return torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("objective", "path"), PAIRS)
def test_clean_image_from_the_perfect_answer(objective, path):
    found, row = OBJECTIVES[objective].load(), PATHS[path]
    grid = row.load()(row.settings())
    x0, eps = _draw(0), _draw(1)
    y = _draw(2) if row.kind == "bridge" else None
    c = coefficients(grid, torch.tensor([0, 1, grid.T // 2, grid.T - 1]), x0)
    x_t = mix(c, x0, y, eps)
    torch.testing.assert_close(found.x0(c, found.target(c, x0, y, eps), x_t, y), x0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_one_time_for_all_is_the_same_as_one_each(objective):
    found, row = OBJECTIVES[objective].load(), PATHS["bridge"]
    grid = row.load()(row.settings())
    prediction, x_t, y = _draw(0), _draw(1), _draw(2)
    each = found.x0(coefficients(grid, torch.full((4,), 417), x_t), prediction, x_t, y)
    torch.testing.assert_close(found.x0(grid.at(417), prediction, x_t, y), each)
