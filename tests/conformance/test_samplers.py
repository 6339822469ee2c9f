"""What every sampler must do, tried with a denoiser in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from napari_harmonize.diffusion import OBJECTIVES, PATHS, SAMPLERS, Correction
from napari_harmonize.diffusion.consistency import CoPrediction, Corrector, Independent
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.sampling import Guide, start

MEAN, SPREAD, SOURCE = 0.6, 0.8, -0.4
CELLS = [(name, path) for name, row in SAMPLERS.items() for path, kind in PATHS.items() if kind.kind in row.paths]
every_cell = pytest.mark.parametrize(("sampler", "path"), CELLS)
WALKS = [cell for cell in CELLS if cell[1] != "direct"]
every_walk = pytest.mark.parametrize(("sampler", "path"), WALKS)
DEFECTIVE = ("ddim-graf", "addim-xmodality", "dpm3-xmodality")
"""Published samplers that do not keep the spread; what they do is tested beside their rules."""


def _path(name: str):
    row = PATHS[name]
    return row.load()(row.settings())


def _gaussian(path, y, batches: int = 1, heard: list | None = None, learned: bool = False):
    """Exact denoiser for clean values drawn from N(MEAN, SPREAD^2): E[x0 | x_t]."""

    def denoise(x, t):
        c = path.at(t)
        try:
            for done in range(1, batches + 1):
                if heard is not None:
                    heard.append(t)
                yield done, batches
        finally:
            if heard is not None:
                heard.append("closed")
        gain = c.a * SPREAD**2 / (c.a**2 * SPREAD**2 + c.s**2) if c.a else 0.0
        x0 = MEAN + gain * (x - c.a * MEAN - c.b * y)
        return (x0, torch.zeros_like(x0)) if learned else x0

    return denoise


def _finish(run):
    ticks = []
    while True:
        try:
            ticks.append(next(run))
        except StopIteration as stop:
            return stop.value, ticks


def _few(sampler: str, steps: int) -> int:
    """As many steps as asked for, or the most the sampler takes."""
    low, high = SAMPLERS[sampler].limits
    return min(max(steps, low), high)


def _run(sampler, path, begin, y, steps, denoise=None, **given):
    """A run of a sampler on a path, and the grid it walks."""
    row = SAMPLERS[sampler]
    grid = row.grid(path, _few(sampler, steps))
    denoise = denoise or _gaussian(path, y, learned=row.learned_variance)
    return row.load()(denoise, path, begin, y, grid, **given), grid


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _walk(sampler, name, eta, seed, steps=10, shape=(64,)):
    path, y, generator = _path(name), torch.full(shape, SOURCE, dtype=torch.float64), _generator(seed)
    run, _ = _run(sampler, path, start(path, y, generator), y, steps, eta=eta, noise=generator)
    return _finish(run)[0]


@pytest.mark.parametrize(("sampler", "path"), [cell for cell in WALKS if cell[0] not in DEFECTIVE])
def test_mean_and_spread_of_what_comes_out(sampler, path):
    path, generator = _path(path), _generator(0)
    y = torch.full((20_000,), SOURCE, dtype=torch.float64)
    clean = MEAN + SPREAD * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    c = path.at(SAMPLERS[sampler].grid(path, 200).times[0])
    begin = c.a * clean + c.b * y + c.s * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    run, _ = _run(sampler, path, begin, y, 200, eta=1.0, noise=generator)
    result, _ = _finish(run)
    assert float(result.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(result.std()) == pytest.approx(SPREAD, rel=0.04)


def _error(sampler: str, path, steps: int) -> float:
    """Of a walk without fresh noise over the middle of a path, in equal steps of the log-SNR, against its closed form."""
    x, y = torch.tensor([1.0, -0.7], dtype=torch.float64), torch.full((2,), SOURCE, dtype=torch.float64)
    first, last = (float(path.log_snr(torch.tensor(share * path.last).numpy())) for share in (0.9, 0.1))
    times = [path.when(first + (last - first) * step / steps) for step in range(steps + 1)]
    c, n = path.at(times[0]), path.at(times[-1])
    spread = [(one.a**2 * SPREAD**2 + one.s**2) ** 0.5 for one in (c, n)]
    exact = n.a * MEAN + n.b * y + spread[1] / spread[0] * (x - c.a * MEAN - c.b * y)
    run = SAMPLERS[sampler].load()(_gaussian(path, y), path, x, y, Grid(tuple(times[:-1]), n))
    return float((_finish(run)[0] - exact).abs().max())


@pytest.mark.parametrize(("sampler", "path"), [cell for cell in WALKS if SAMPLERS[cell[0]].order])
def test_the_error_falls_with_the_order_that_is_promised(sampler, path):
    path, order = _path(path), SAMPLERS[sampler].order
    coarse, fine = (_error(sampler, path, steps) for steps in (160, 320))
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)


@every_cell
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_a_seed_matters_where_it_is_said_to(sampler, path, eta):
    first, again, other = (_walk(sampler, path, eta, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(first, other) is not SAMPLERS[sampler].seed_matters(eta)


@every_walk
def test_eta_has_an_effect_where_it_is_said_to(sampler, path):
    without, with_noise = (_walk(sampler, path, eta, 1) for eta in (0.0, 0.5))
    assert torch.equal(without, with_noise) is not SAMPLERS[sampler].takes_eta


@every_cell
@pytest.mark.parametrize("repeats", [0, 1, 2])
@pytest.mark.parametrize(("batches", "guided"), [(1, False), (3, False), (2, True)])
def test_ticks_come_as_promised(sampler, path, repeats, batches, guided):
    path, y, row = _path(path), torch.zeros(8), SAMPLERS[sampler]
    plain = _gaussian(path, y, batches)

    class Nothing:
        def __init__(self):
            self.repeats = repeats

        def __call__(self, x, t):
            yield from plain(x, t)
            return x

    given = {"noise": _generator(0), "correct": Nothing() if repeats else None, "guide": Guide(plain, 0.5) if guided else None}
    run, grid = _run(sampler, path, y, y, 5, _gaussian(path, y, batches, learned=row.learned_variance), **given)
    _, ticks = _finish(run)
    steps = len(grid.times)
    cost = row.cost(path, _few(sampler, 5), repeats, guided)
    assert cost == row.evaluations(steps, repeats, guided, whole=grid.end.s > 0)
    heard = [tick for tick in ticks if tick.kind == "batch"]
    assert [tick.done for tick in heard] == list(range(1, cost * batches + 1))
    assert {tick.total for tick in heard} == {cost * batches}
    walked = [tick for tick in ticks if tick.kind == "step"]
    assert [(tick.done, tick.total) for tick in walked] == [(step, steps) for step in range(1, steps + 1)]
    assert [tick.t for tick in walked] == list(grid.times)
    assert all(tick.x0.shape == y.shape for tick in walked)
    assert all(tick.x0 is None for tick in heard)


@every_cell
def test_closing_stops_between_batches(sampler, path):
    path, y, heard = _path(path), torch.zeros(8), []
    run, grid = _run(sampler, path, y, y, 5, _gaussian(path, y, 4, heard), noise=_generator(0))
    next(run), next(run)
    run.close()
    assert heard == [grid.times[0], grid.times[0], "closed"]
    with pytest.raises(StopIteration):
        next(run)


@every_cell
def test_closing_within_any_evaluation_closes_it(sampler, path):
    path, y, row = _path(path), torch.zeros(8), SAMPLERS[sampler]
    for batch in range(1, row.cost(path, _few(sampler, 3)) + 1):
        heard: list = []
        run, _ = _run(sampler, path, y, y, 3, _gaussian(path, y, 1, heard, row.learned_variance), noise=_generator(0))
        while next(run).done != batch:
            pass
        run.close()
        assert heard[-1] == "closed"


@every_cell
def test_the_clean_image_of_the_last_step_is_returned_where_the_walk_ends_in_it(sampler, path):
    path, y = _path(path), torch.zeros(8)
    run, grid = _run(sampler, path, y, y, 3, noise=_generator(0))
    result, ticks = _finish(run)
    shown = [tick.x0 for tick in ticks if tick.kind == "step"][-1]
    assert torch.equal(result, shown) is (grid.end.s == 0)


@every_cell
def test_guidance_of_weight_0_changes_nothing_and_of_another_does(sampler, path):
    path, y = _path(path), torch.full((8,), SOURCE)

    def result(guide):
        run, _ = _run(sampler, path, torch.ones(8), y, 4, noise=_generator(3), guide=guide)
        return _finish(run)[0]

    def other(x, t):
        yield 1, 1
        return x * 0 - 0.3

    torch.testing.assert_close(result(Guide(other, 0.0)), result(None), rtol=1e-6, atol=1e-6)
    assert not torch.allclose(result(Guide(other, 0.5)), result(None), atol=1e-3)


@every_cell
def test_clipping_holds_the_result_between_its_bounds(sampler, path):
    path, y = _path(path), torch.zeros(8)
    generator = _generator(0)
    run, _ = _run(sampler, path, 30 * torch.randn(8, generator=generator), y, 4, noise=generator, clip=True)
    assert float(_finish(run)[0].abs().max()) <= 1


@every_walk
@pytest.mark.parametrize("kind", [Independent, CoPrediction])
@pytest.mark.parametrize(("slices", "radius"), [(7, 1), (2, 2), (4, 0)])
def test_batches_do_not_change_the_result(sampler, path, kind, slices, radius):
    path, source = _path(path), torch.rand(slices, 4, 5, generator=_generator(3)) * 2 - 1

    def result(batch):
        def evaluate(stacks, sources, t):
            for first in range(0, len(stacks), batch):
                rows = slice(first, min(first + batch, len(stacks)))
                yield rows, 0.7 * stacks[rows].flip(1) - 0.2 * sources[rows]

        state = kind(source, radius, path, OBJECTIVES["clean"].load(), evaluate)

        def learned(x, t):
            x0 = yield from state.denoise(x, t)
            return x0, x0 * 0.1

        generator = _generator(5)
        correct = Corrector(state, Correction()) if kind is CoPrediction else None
        denoise = learned if SAMPLERS[sampler].learned_variance else state.denoise
        run, _ = _run(sampler, path, start(path, state.y, generator), state.y, 4, denoise, eta=0.5, noise=generator, correct=correct)
        return state.centre(_finish(run)[0])

    whole = result(100)
    assert whole.shape == source.shape
    assert torch.isfinite(whole).all()
    assert torch.equal(whole, result(1))
    assert torch.equal(whole, result(3))


@pytest.mark.parametrize("name", SAMPLERS)
def test_rows_say_what_suits_them(name):
    row = SAMPLERS[name]
    low, high = row.limits
    kind = row.paths[0]
    assert row.help
    assert low <= row.default_steps <= high
    assert row.refusal(kind, low) == row.refusal(kind, high) == ""
    assert str(low - 1) in row.refusal(kind, low - 1)
    assert str(high + 1) in row.refusal(kind, high + 1)
    assert "nonsense" in row.refusal("nonsense", low)
    assert ("variance" in row.refusal(kind, low, learns_variance=False)) is row.learned_variance
