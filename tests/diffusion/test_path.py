"""Paths: coefficients, published buffers, step lists, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.diffusion.path import Coefficients, Indexed, variance_preserving
from napari_harmonize.diffusion.schedules import bridge, buffers, direct, linear_beta
from napari_harmonize.diffusion.settings import BridgeSettings, DirectSettings, LinearBetaSettings
from napari_harmonize.diffusion.spacing import sections
from napari_harmonize.errors import SettingsError


def test_bridge_in_closed_form():
    path = bridge(BridgeSettings(steps=1000, max_var=2.0))
    m = 0.001 + 0.998 * 400 / 999
    c = path.at(400)
    assert c == pytest.approx(Coefficients(1 - m, m, np.sqrt(4 * m * (1 - m))))
    assert path.T == 1000


def test_one_step_variance_in_closed_form():
    path = bridge(BridgeSettings(max_var=3.0))
    for t in (1, 500, 999):
        m, before = path.b[t], path.b[t - 1]
        assert path.one_step_variance(t) == pytest.approx(2 * 3.0 * (1 - m) * (m - before) / (1 - before))
    assert path.one_step_variance(0) == pytest.approx(path.s[0] ** 2)


@pytest.mark.parametrize("schedule", ["linear", "sin", "control"])
def test_buffers_hang_together(schedule):
    path = bridge(BridgeSettings(schedule=schedule))
    found = buffers(path)
    assert found["m_tminus"][0] == found["variance_tminus"][0] == found["posterior_variance_t"][0] == 0
    assert np.array_equal(found["m_tminus"][1:], found["m_t"][:-1])
    assert found["variance_t_tminus"] == pytest.approx([path.one_step_variance(t) for t in range(path.T)])


def test_linear_beta_multiplies_what_is_kept():
    path = linear_beta(LinearBetaSettings(steps=4, first=0.1, last=0.4))
    assert path.a**2 == pytest.approx(np.cumprod([0.9, 0.8, 0.7, 0.6]))
    assert path.one_step_variance(2) == pytest.approx(0.3)


def test_published_step_lists():
    path = bridge(BridgeSettings())
    assert path.grid(5).times == (999, 666, 333, 1, 0)
    assert path.grid(10).times == (999, 874, 749, 624, 499, 374, 249, 124, 1, 0)
    # 999 - 14 * 999 / 126 is exactly 888, which floating strides miss by one
    assert path.grid(128).times[14] == 888
    assert path.grid(1).times == (999,)
    assert path.grid(2).times == (999, 0)
    assert path.grid(1000).times[-3:] == (1, 1, 0)


def test_strides_may_give_more_than_was_asked_for():
    path = linear_beta(LinearBetaSettings())
    assert path.grid(5, "strided").times == (800, 600, 400, 200, 0)
    assert [len(path.grid(steps, "strided").times) for steps in (10, 20, 25, 30, 50)] == [10, 20, 25, 31, 50]
    assert SAMPLERS["ddim-graf"].cost(path, 30) == 31
    assert SAMPLERS["ddim"].cost(path, 30, spacing="strided") == 31
    assert SAMPLERS["ddim"].cost(path, 30) == 30


def test_respacing_rounds_half_to_even_and_counts_by_sections():
    assert linear_beta(LinearBetaSettings()).grid(10, "respaced").times == tuple(range(999, -1, -111))
    assert sections(10, (3,)) == (9, 4, 0)
    assert sections(10, (2, 1)) == (5, 4, 0)
    with pytest.raises(SettingsError, match="5 times are walked in 1 to 5 steps"):
        sections(10, (6, 1))


def test_equal_steps_of_the_log_snr_are_kept_apart():
    path = bridge(BridgeSettings())
    assert path.grid(10, "log-snr").times == (999, 992, 967, 882, 661, 338, 117, 32, 7, 0)
    for steps in (1, 2, 50, 999, 1000):
        visited = path.grid(steps, "log-snr").times
        assert len(set(visited)) == steps
        assert list(visited) == sorted(visited, reverse=True)


def test_a_scaled_schedule_that_leaves_nothing_is_refused():
    assert LinearBetaSettings.scaled(1000) == LinearBetaSettings()
    with pytest.raises(SettingsError, match=r"more than 20.*20 arrived"):
        LinearBetaSettings.scaled(20)


def test_a_direct_generator_has_one_time():
    path = direct(DirectSettings())
    assert path.grid(1) == ((0,), (1, 0, 0))
    assert path.at(0) == (0, 1, 0)
    assert path.one_step_variance(0) == 0
    with pytest.raises(SettingsError, match=r"one step.*2 were asked"):
        path.grid(2)


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_step_lists_that_do_not_fit_are_refused(steps):
    with pytest.raises(SettingsError, match=str(steps)):
        bridge(BridgeSettings()).grid(steps)


@pytest.mark.parametrize("t", [-1, 1000])
def test_times_outside_the_grid_are_refused(t):
    with pytest.raises(SettingsError, match=f"0 to 999.*{t}"):
        bridge(BridgeSettings()).at(t)


def test_impossible_paths_are_refused():
    ones = np.ones(3)
    for a, s in ((np.ones(2), ones), (ones * np.nan, ones), (ones, np.zeros(3))):
        with pytest.raises(SettingsError, match="positive spread"):
            Indexed("odd", "bridge", a, np.ones(3), s, variance_preserving)


def test_arrays_cannot_be_written_to():
    path = bridge(BridgeSettings())
    with pytest.raises(ValueError, match="read-only"):
        path.a[0] = 2
