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


def _path(name: str):
    return PATHS[name].load()(PATHS[name].settings())


@pytest.mark.parametrize(("objective", "path"), PAIRS)
def test_clean_image_from_the_perfect_answer(objective, path):
    found, path = OBJECTIVES[objective].load(), _path(path)
    x0, eps = _draw(0), _draw(1)
    y = None if path.kind == "diffusion" else _draw(2)
    c = coefficients(path, torch.tensor([0.0, 0.001, 0.5, 1.0], dtype=torch.float64) * path.last, x0)
    x_t = mix(c, x0, y, eps)
    torch.testing.assert_close(found.x0(c, found.target(c, x0, y, eps), x_t, y), x0, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("objective", "path"), PAIRS)
def test_one_time_for_all_is_the_same_as_one_each(objective, path):
    found, path = OBJECTIVES[objective].load(), _path(path)
    prediction, x_t, y = _draw(0), _draw(1), _draw(2)
    t = 0.4 * path.last
    each = found.x0(coefficients(path, torch.full((4,), t, dtype=torch.float64), x_t), prediction, x_t, y)
    torch.testing.assert_close(found.x0(path.at(t), prediction, x_t, y), each)
