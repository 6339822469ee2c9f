"""The unified step against closed forms and against another library, and the walk's refusals."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from napari_harmonize.diffusion.objective import NOISE
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.rules import PUBLISHED, UNIFIED, corrected, published
from napari_harmonize.diffusion.sampling import coefficients, normal, start
from napari_harmonize.diffusion.schedules import bridge, linear_beta
from napari_harmonize.diffusion.settings import BridgeSettings, LinearBetaSettings
from napari_harmonize.errors import SettingsError

BRIDGE, DIFFUSION = bridge(BridgeSettings()), linear_beta(LinearBetaSettings())


def _draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*(shape or (2, 3, 4)), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _constant(x0: torch.Tensor):
    def denoise(x, t):
        yield 1, 1
        return x0

    return denoise


def _finish(run):
    while True:
        try:
            next(run)
        except StopIteration as stop:
            return stop.value


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


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_equal_to_ddim_of_another_library(eta):
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(1000, 1e-4, 0.02, "linear", clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(10)
    x, visited = _draw(0), scheduler.timesteps.tolist()
    for t, n in itertools.zip_longest(visited, visited[1:]):
        predicted, fresh = _draw(t + 1), _draw(t + 2)
        theirs = scheduler.step(predicted, t, x, eta=eta, variance_noise=fresh).prev_sample
        x0 = NOISE.x0(DIFFUSION.at(t), predicted, x, None)
        if n is None:
            torch.testing.assert_close(x0, theirs, rtol=1e-4, atol=1e-4)
            break
        step = corrected(DIFFUSION.at(t), DIFFUSION.at(n), eta)
        ours = step.x0 * x0 + step.x * x + step.noise * fresh
        # the other library holds its schedule in float32
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        x = theirs


def test_equal_to_ddpm_of_another_library():
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(1000, 1e-4, 0.02, "linear", variance_type="fixed_small", clip_sample=False)
    x = _draw(0)
    for t in (999, 500, 50, 2):
        predicted = _draw(t)
        theirs = scheduler.step(predicted, t, x, generator=torch.Generator().manual_seed(t)).prev_sample
        fresh = torch.randn(x.shape, generator=torch.Generator().manual_seed(t), dtype=x.dtype)
        x0 = NOISE.x0(DIFFUSION.at(t), predicted, x, None)
        step = corrected(DIFFUSION.at(t), DIFFUSION.at(t - 1), 1.0)
        torch.testing.assert_close(step.x0 * x0 + step.x * x + step.noise * fresh, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("sampler", "rule"), [(UNIFIED, corrected), (PUBLISHED, published)])
def test_walk_is_the_rule_applied_in_turn(sampler, rule):
    x, y, x0 = _draw(0), _draw(1), _draw(2)
    seen, draws = [], [_draw(10 + step) for step in range(3)]

    def denoise(state, t):
        seen.append((t, state.clone()))
        yield 1, 1
        return x0

    given = iter(draws)
    _finish(sampler(denoise, BRIDGE, x, y, Grid((999, 500, 20, 0)), eta=0.5, noise=lambda state: next(given)))
    for (t, before), (n, after), fresh in zip(seen, seen[1:], draws, strict=False):
        step = rule(BRIDGE.at(t), BRIDGE.at(n), 0.5)
        torch.testing.assert_close(after, step.x0 * x0 + step.y * y + step.x * before + step.noise * fresh)


def test_clipping():
    x = torch.zeros(4)
    assert float(_finish(UNIFIED(_constant(x + 3), BRIDGE, x, x, Grid((999, 0)), clip=True)).max()) == 1
    assert float(_finish(UNIFIED(_constant(x + 3), BRIDGE, x, x, Grid((999, 0)))).max()) == 3


def test_nothing_given_is_written_to():
    x, y, x0 = _draw(0), _draw(1), _draw(2)
    kept = [part.clone() for part in (x, y, x0)]
    _finish(UNIFIED(_constant(x0), BRIDGE, x, y, BRIDGE.grid(5), eta=1.0, noise=torch.Generator()))
    assert all(torch.equal(part, copy) for part, copy in zip((x, y, x0), kept, strict=True))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"eta": 1.5}, "between 0 and 1"),
        ({"eta": -0.1}, "between 0 and 1"),
        ({"eta": 0.5}, "no generator"),
        ({"grid": Grid(())}, "at least one"),
    ],
)
def test_refusals(changes, sentence):
    x = torch.zeros(4)
    given = {"grid": Grid((999, 0))} | changes
    with pytest.raises(SettingsError, match=sentence):
        _finish(UNIFIED(_constant(x), BRIDGE, x, x, **given))


def test_start():
    y = _draw(0)
    assert start(BRIDGE, y) is y
    generator = torch.Generator().manual_seed(4)
    assert torch.equal(start(DIFFUSION, y, generator), normal(y, torch.Generator().manual_seed(4)).to(y))
    with pytest.raises(SettingsError, match="Give a seed"):
        start(DIFFUSION, y)


def test_every_item_its_own_time():
    c = coefficients(BRIDGE, torch.tensor([0, 700]), torch.zeros(2, 3, 4, 4))
    assert c.a.shape == (2, 1, 1, 1)
    assert c.s.flatten().tolist() == pytest.approx([BRIDGE.at(0).s, BRIDGE.at(700).s])
