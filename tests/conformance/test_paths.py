"""What every path must be, whatever its settings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from napari_harmonize.diffusion import PATHS, SPACINGS
from napari_harmonize.diffusion.rules import corrected
from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import declarations


def _cases(*kinds: str):
    """Every path with its defaults, and with every choice its settings offer."""
    for name, row in PATHS.items():
        if row.kind in kinds:
            yield pytest.param(row.load()(row.settings()), id=name)
            for setting, declared in declarations(row.settings).items():
                for choice in declared.allowed():
                    yield pytest.param(row.load()(row.settings(**{setting: choice})), id=f"{name}-{choice}")


every_path = pytest.mark.parametrize("path", list(_cases("bridge", "diffusion", "direct")))
every_walk = pytest.mark.parametrize("path", list(_cases("bridge", "diffusion")))


def _times(path) -> np.ndarray:
    """Whole and fractional times all along a path."""
    return np.linspace(0, path.last, 1777)


@every_walk
def test_endpoints(path):
    clean, far = path.at(0), path.at(path.last)
    assert clean.a > 0.99
    assert clean.b < 0.01
    assert far.a < 0.1
    assert far.b > 0.99 or far.s > 0.99


@every_walk
def test_signal_fades_and_weights_hang_together(path):
    times = _times(path)[1:]
    a, b, s = path.weights(times)
    if path.kind == "bridge":
        np.testing.assert_allclose(a + b, 1)
    else:
        assert not b.any()
        np.testing.assert_allclose(a**2 + s**2, 1)
    assert (s > 0).all()
    assert (np.diff(s / a) >= 0).all()
    np.testing.assert_allclose(path.log_snr(times), 2 * np.log(a / s), rtol=1e-6, atol=1e-6)


@every_path
def test_one_time_is_the_same_as_many(path):
    for t in (0, path.last / 3, path.last):
        assert path.at(t) == tuple(float(weight[0]) for weight in path.weights(np.asarray([t])))
    for t in (-0.5, path.last + 0.5):
        with pytest.raises(SettingsError, match="Times of"):
            path.at(t)


@every_walk
def test_a_time_is_found_by_its_log_snr(path):
    for t in np.linspace(0.1, 0.6, 7) * path.last:
        log_snr = float(path.log_snr(np.asarray(t)))
        assert float(path.log_snr(np.asarray(path.when(log_snr)))) == pytest.approx(log_snr, rel=1e-9)
    assert path.when(1e9) == pytest.approx(0, abs=1e-12)
    assert path.when(-1e9) == pytest.approx(path.last)


@every_walk
def test_what_a_step_of_training_adds_is_positive(path):
    assert all(path.one_step_variance(t) >= 0 for t in np.linspace(0, path.last, 50))
    assert all(path.one_step_variance(t) > 0 for t in np.linspace(0.3, 0.6, 9) * path.last)


@every_path
def test_what_the_network_hears(path):
    for t in path.grid(1 if path.kind == "direct" else 7).times:
        told = path.told(t)
        if path.kind == "diffusion" and path.last == 1:
            assert told == np.float32(path.log_snr(np.asarray(t)))
        else:
            assert told == t
            assert isinstance(told, int)


@every_walk
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [3, 10, 77])
def test_one_step_keeps_the_marginal(path, eta, steps):
    for t, t_next in itertools.pairwise(path.grid(steps).times):
        c, n = path.at(t), path.at(t_next)
        step = corrected(c, n, eta)
        assert step.x0 + step.x * c.a == pytest.approx(n.a, abs=1e-12)
        assert step.y + step.x * c.b == pytest.approx(n.b, abs=1e-12)
        assert math.hypot(step.x * c.s, step.noise) == pytest.approx(n.s, rel=1e-9)


@every_walk
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50, 1000])
def test_usual_lists_fall_from_the_far_end(path, steps):
    times, end = path.grid(steps)
    assert len(times) == steps
    assert times[0] == path.last
    assert end == path.at(0) if path.last == 1 else end == (1, 0, 0)
    assert all(first >= second for first, second in itertools.pairwise(times))
    assert steps == 1 or path.last == 1 or times[-1] == 0


@every_path
@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_list_of_times_suits_a_path_or_is_refused_with_a_reason(path, spacing):
    row = SPACINGS[spacing]
    refusal = row.refusal(path.kind, indexed=hasattr(path, "T"))
    assert row.help
    if refusal:
        with pytest.raises(SettingsError, match=refusal[:30]):
            path.grid(1, spacing)
        return
    for steps in (1,) if path.kind == "direct" else (1, 7, 30):
        times, _ = path.grid(steps, spacing)
        assert len(times) >= steps
        assert all(first > second for first, second in itertools.pairwise(times))
    with pytest.raises(SettingsError):
        path.grid(0, spacing)


@every_path
def test_an_unknown_list_is_refused(path):
    with pytest.raises(SettingsError, match="nonsense"):
        path.grid(1, "nonsense")


@pytest.mark.parametrize("name", PATHS)
def test_rows_say_what_the_path_is(name):
    row = PATHS[name]
    path = row.load()(row.settings())
    assert row.help
    assert row.kind == path.kind
    assert row.indexed == hasattr(path, "T")
