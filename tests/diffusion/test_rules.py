"""Rules of one evaluation: closed forms, another library, and the published ones with their defects."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.diffusion.objective import NOISE
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.rules import corrected, large, published
from napari_harmonize.diffusion.sampling import Guide
from napari_harmonize.diffusion.schedules import bridge, linear_beta
from napari_harmonize.diffusion.settings import BridgeSettings, LinearBetaSettings
from napari_harmonize.errors import SettingsError
from replay import finish, in_turn

BRIDGE, DIFFUSION = bridge(BridgeSettings()), linear_beta(LinearBetaSettings())
LIBRARY = (1000, 1e-4, 0.02, "linear")
# the other library holds its schedule in float32
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def _draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (2, 3, 4)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _saying(answer):
    def denoise(x, t):
        yield 1, 1
        return answer

    return denoise


def _states(sampler: str, answer, x, **given) -> list[torch.Tensor]:
    """States at times 700 and 300 and the result, where the network always gives ``answer``."""
    seen: list = []

    def denoise(state, t):
        seen.append(state)
        yield 1, 1
        return answer

    seen.append(finish(SAMPLERS[sampler].load()(denoise, DIFFUSION, x, None, Grid((700, 300)), **given)))
    return seen


@pytest.mark.parametrize(("t", "n"), list(itertools.pairwise(BRIDGE.grid(7).times)))
def test_published_rule_in_closed_form(t, n):
    """At eta 0 it is rho x + (1 - rho) x0 with rho = m' / m; the source cancels."""
    step, rho = published(BRIDGE.at(t), BRIDGE.at(n), 0.0), BRIDGE.b[n] / BRIDGE.b[t]
    assert step == pytest.approx((1 - rho, 0.0, rho, 0.0), abs=1e-12)
    sigma = math.sqrt(2 * BRIDGE.b[n] * (BRIDGE.b[t] - BRIDGE.b[n]) / BRIDGE.b[t])
    assert published(BRIDGE.at(t), BRIDGE.at(n), 0.5).noise == pytest.approx(0.5 * sigma)


@pytest.mark.parametrize(("t", "n"), list(itertools.pairwise(BRIDGE.grid(7).times)))
def test_rules_agree_at_eta_one(t, n):
    assert corrected(BRIDGE.at(t), BRIDGE.at(n), 1.0) == pytest.approx(published(BRIDGE.at(t), BRIDGE.at(n), 1.0), abs=1e-12)


def test_published_rule_loses_spread_below_eta_one():
    """Standard deviations after one step from t = 700 to 300: 0.648 in truth."""
    c, n = BRIDGE.at(700), BRIDGE.at(300)
    for eta, spread in ((0.0, 0.279), (0.5, 0.403), (1.0, 0.648)):
        step = published(c, n, eta)
        assert math.hypot(step.x * c.s, step.noise) == pytest.approx(spread, abs=1e-3)
        step = corrected(c, n, eta)
        assert math.hypot(step.x * c.s, step.noise) == pytest.approx(0.648, abs=1e-3)


@pytest.mark.parametrize("rule", [corrected, published])
def test_a_time_visited_twice_changes_nothing(rule):
    assert rule(BRIDGE.at(1), BRIDGE.at(1), 1.0) == pytest.approx((0, 0, 1, 0), abs=1e-9)


def _library(kind: str, **config):
    diffusers = pytest.importorskip("diffusers")
    return getattr(diffusers, kind)(*LIBRARY, clip_sample=False, **config)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_of_another_library(eta):
    theirs = _library("DDIMScheduler", set_alpha_to_one=True)
    theirs.set_timesteps(10)
    times, x, fresh, asked = theirs.timesteps.tolist(), _draw(0), [_draw(step) for step in range(10)], []

    def denoise(state, t):
        asked.append(state)
        yield 1, 1
        return NOISE.x0(DIFFUSION.at(t), _draw(t), state, None)

    result = finish(SAMPLERS["ddim"].load()(denoise, DIFFUSION, x, None, Grid(tuple(times)), eta=eta, noise=in_turn(fresh)))
    for t, ours, draw in zip(times, asked, fresh, strict=True):
        torch.testing.assert_close(ours, x, **CLOSE)
        x = theirs.step(_draw(t), t, x, eta=eta, variance_noise=draw).prev_sample
    torch.testing.assert_close(result, x, **CLOSE)


@pytest.mark.parametrize(("name", "variance"), [("ddpm", "fixed_small"), ("ddpm-large", "fixed_large"), ("ddpm-learned", "learned_range")])
def test_ddpm_of_another_library(name, variance):
    theirs = _library("DDPMScheduler", variance_type=variance)
    theirs.set_timesteps(20)
    times, x, asked = theirs.timesteps.tolist(), _draw(0, 2, 1, 3, 4), []
    learned, draws = name == "ddpm-learned", iter(range(100, 200))

    def said(t):
        return torch.cat([_draw(t, 2, 1, 3, 4), _draw(t + 5000, 2, 1, 3, 4).clamp(-1, 1)], 1)

    def denoise(state, t):
        asked.append(state)
        yield 1, 1
        x0 = NOISE.x0(DIFFUSION.at(t), said(t)[:, :1], state, None)
        return (x0, said(t)[:, 1:]) if learned else x0

    def noise(state):
        return torch.randn(state.shape, generator=torch.Generator().manual_seed(next(draws)), dtype=state.dtype)

    result = finish(SAMPLERS[name].load()(denoise, DIFFUSION, x, None, Grid(tuple(times)), noise=noise))
    for step, (t, ours) in enumerate(zip(times, asked, strict=True)):
        torch.testing.assert_close(ours, x, **CLOSE)
        generator = torch.Generator().manual_seed(100 + step)
        x = theirs.step(said(t) if learned else said(t)[:, :1], t, x, generator=generator).prev_sample
    torch.testing.assert_close(result, x, **CLOSE)


def test_the_variances_of_ddpm_lie_between_one_another():
    c, n = DIFFUSION.at(700), DIFFUSION.at(300)
    small, most = corrected(c, n, 1.0), large(c, n, 1.0)
    assert small[:3] == pytest.approx(most[:3], abs=1e-12)
    assert small.noise < most.noise == pytest.approx(math.sqrt(1 - (c.a / n.a) ** 2))
    x, eps = _draw(0), _draw(1)
    for fraction, expected in ((-1, small.noise), (1, most.noise), (0, math.sqrt(small.noise * most.noise))):
        _, moved, _ = _states("ddpm-learned", (x * 0, torch.full_like(x, fraction)), x, noise=lambda state: eps)
        torch.testing.assert_close(moved, small.x * x + expected * eps)


def test_a_network_without_variance_is_refused_where_it_is_needed():
    with pytest.raises(SettingsError, match="predicts its variance"):
        _states("ddpm-learned", _draw(2), _draw(0), noise=lambda state: state)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_ddim_of_graf(eta, weight):
    """Noise of the wrong sign, which alone is guided; shown and returned is the unguided image."""
    x, x0, dropped, eps = (_draw(seed) for seed in range(4))
    c, n = DIFFUSION.at(700), DIFFUSION.at(300)
    wrong, other = ((clean * c.a - x) / c.s for clean in (x0, dropped))
    wrong = wrong + weight * (wrong - other)
    fresh = eta * math.sqrt((1 - n.a**2) / (1 - c.a**2) * (1 - c.a**2 / n.a**2))
    expected = n.a * x0 + math.sqrt(1 - n.a**2 - fresh**2) * wrong + fresh * eps
    given = {"eta": eta, "noise": lambda state: eps, "guide": Guide(_saying(dropped), weight) if weight else None}
    seen = _states("ddim-graf", x0, x, **given)
    torch.testing.assert_close(seen[1], expected)
    assert torch.equal(seen[2], x0)


def test_addim_of_koch():
    x, x0 = _draw(0), _draw(1)
    c, n = DIFFUSION.at(700), DIFFUSION.at(300)
    eps = (x - c.a * x0) / c.s
    variance = 0.1 / (2 + c.a**2 / c.s**2) * (n.a - c.a * n.s / c.s) ** 2
    expected = n.a * x0 + torch.sqrt(n.s**2 + 65536 / torch.linalg.norm(eps) ** 2 * variance) * eps
    torch.testing.assert_close(_states("addim-xmodality", x0, x)[1], expected)
