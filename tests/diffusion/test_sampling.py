"""The walk: what it does with a rule, what it refuses, how it starts."""

from __future__ import annotations

import pytest
import torch

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
