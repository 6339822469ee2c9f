"""What every path must be, whatever its settings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from napari_harmonize.diffusion import PATHS
from napari_harmonize.diffusion.path import times
from napari_harmonize.diffusion.sampling import corrected
from napari_harmonize.settings import declarations


def _cases():
    """Every path with its defaults, and with every choice its settings offer."""
    for name, row in PATHS.items():
        yield pytest.param(row.load()(row.settings()), id=name)
        for setting, declared in declarations(row.settings).items():
            for choice in declared.allowed():
                yield pytest.param(row.load()(row.settings(**{setting: choice})), id=f"{name}-{choice}")


every_path = pytest.mark.parametrize("path", list(_cases()))


@every_path
def test_endpoints(path):
    assert path.a[0] > 0.99
    if path.kind == "bridge":
        assert path.b[0] < 0.01
        assert path.b[-1] > 0.99
        assert np.allclose(path.a + path.b, 1)
    else:
        assert not path.b.any()
        assert path.a[-1] < 0.1
        assert np.allclose(path.a**2 + path.s**2, 1)


@every_path
def test_spread_is_positive_and_the_signal_fades(path):
    assert (path.s > 0).all()
    assert (np.diff(path.s / path.a) > 0).all()
    assert all(path.one_step_variance(t) > 0 for t in range(path.T))


@every_path
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [3, 10, 77])
def test_one_step_keeps_the_marginal(path, eta, steps):
    visited = times(path, steps)
    for t, t_next in itertools.pairwise(visited):
        c, n = path.at(t), path.at(t_next)
        step = corrected(c, n, eta)
        assert step.x0 + step.x * c.a == pytest.approx(n.a, abs=1e-12)
        assert step.y + step.x * c.b == pytest.approx(n.b, abs=1e-12)
        assert math.hypot(step.x * c.s, step.noise) == pytest.approx(n.s, rel=1e-9)


@every_path
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50, 1000])
def test_step_lists_fall_from_the_end_to_zero(path, steps):
    visited = times(path, steps)
    assert len(visited) == steps
    assert visited[0] == path.T - 1
    assert steps == 1 or visited[-1] == 0
    assert all(first >= second for first, second in itertools.pairwise(visited))
