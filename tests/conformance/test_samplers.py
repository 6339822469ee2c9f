"""What every sampler must do, tried with a denoiser in closed form."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.diffusion import OBJECTIVES, PATHS, SAMPLERS, Correction
from napari_harmonize.diffusion.consistency import CoPrediction, Corrector, Independent
from napari_harmonize.diffusion.path import times
from napari_harmonize.diffusion.sampling import start

MEAN, SPREAD, SOURCE = 0.6, 0.8, -0.4
CELLS = [(name, path) for name, row in SAMPLERS.items() for path, kind in PATHS.items() if kind.kind in row.paths]
every_cell = pytest.mark.parametrize(("sampler", "path"), CELLS)


def _grid(name: str):
    row = PATHS[name]
    return row.load()(row.settings())


def _gaussian(path, y, batches: int = 1, heard: list | None = None):
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
        gain = c.a * SPREAD**2 / (c.a**2 * SPREAD**2 + c.s**2)
        return MEAN + gain * (x - c.a * MEAN - c.b * y)

    return denoise


def _finish(run):
    ticks = []
    while True:
        try:
            ticks.append(next(run))
        except StopIteration as stop:
            return stop.value, ticks


def _walk(sampler, path, eta, seed, steps=10, shape=(64,)):
    grid, y = _grid(path), torch.full(shape, SOURCE, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    begin = start(grid, y, generator)
    run = SAMPLERS[sampler].load()(_gaussian(grid, y), grid, begin, y, times(grid, steps), eta=eta, noise=generator)
    return _finish(run)[0]


@every_cell
def test_mean_and_spread_of_what_comes_out(sampler, path):
    grid, generator = _grid(path), torch.Generator().manual_seed(0)
    y = torch.full((20_000,), SOURCE, dtype=torch.float64)
    clean = MEAN + SPREAD * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    c = grid.at(grid.T - 1)
    begin = c.a * clean + c.b * y + c.s * torch.randn(y.shape, generator=generator, dtype=torch.float64)
    run = SAMPLERS[sampler].load()(_gaussian(grid, y), grid, begin, y, times(grid, 200), eta=1.0, noise=generator)
    result, _ = _finish(run)
    assert float(result.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(result.std()) == pytest.approx(SPREAD, rel=0.04)


@every_cell
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_a_seed_matters_where_it_is_said_to(sampler, path, eta):
    first, again, other = (_walk(sampler, path, eta, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(first, other) is not SAMPLERS[sampler].seed_matters(eta)


@every_cell
@pytest.mark.parametrize("repeats", [0, 1, 2])
@pytest.mark.parametrize("batches", [1, 3])
def test_ticks_come_as_promised(sampler, path, repeats, batches):
    grid, y, steps = _grid(path), torch.zeros(8), 5
    denoise = _gaussian(grid, y, batches)

    class Nothing:
        def __init__(self):
            self.repeats = repeats

        def __call__(self, x, t):
            yield from denoise(x, t)
            return x

    run = SAMPLERS[sampler].load()(denoise, grid, y, y, times(grid, steps), correct=Nothing() if repeats else None)
    _, ticks = _finish(run)
    evaluations = SAMPLERS[sampler].evaluations(steps, repeats)
    heard = [tick for tick in ticks if tick.kind == "batch"]
    assert [tick.done for tick in heard] == list(range(1, evaluations * batches + 1))
    assert {tick.total for tick in heard} == {evaluations * batches}
    walked = [tick for tick in ticks if tick.kind == "step"]
    assert [(tick.done, tick.total) for tick in walked] == [(step, steps) for step in range(1, steps + 1)]
    assert [tick.t for tick in walked] == list(times(grid, steps))
    assert all(tick.x0.shape == y.shape for tick in walked)
    assert all(tick.x0 is None for tick in heard)


@every_cell
def test_closing_stops_between_batches(sampler, path):
    grid, y, heard = _grid(path), torch.zeros(8), []
    run = SAMPLERS[sampler].load()(_gaussian(grid, y, 4, heard), grid, y, y, times(grid, 5))
    next(run), next(run)
    run.close()
    assert heard == [grid.T - 1, grid.T - 1, "closed"]
    with pytest.raises(StopIteration):
        next(run)


@every_cell
def test_the_last_step_returns_its_clean_image(sampler, path):
    grid, y = _grid(path), torch.zeros(8)
    result, ticks = _finish(SAMPLERS[sampler].load()(_gaussian(grid, y), grid, y, y, times(grid, 3)))
    assert torch.equal(result, ticks[-1].x0)


@every_cell
@pytest.mark.parametrize("kind", [Independent, CoPrediction])
@pytest.mark.parametrize(("slices", "radius"), [(7, 1), (2, 2), (4, 0)])
def test_batches_do_not_change_the_result(sampler, path, kind, slices, radius):
    grid, source = _grid(path), torch.rand(slices, 4, 5, generator=torch.Generator().manual_seed(3)) * 2 - 1

    def result(batch):
        def evaluate(stacks, sources, t):
            for first in range(0, len(stacks), batch):
                rows = slice(first, min(first + batch, len(stacks)))
                yield rows, 0.7 * stacks[rows].flip(1) - 0.2 * sources[rows]

        state = kind(source, radius, grid, OBJECTIVES["clean"].load(), evaluate)
        generator = torch.Generator().manual_seed(5)
        correct = Corrector(state, Correction()) if kind is CoPrediction else None
        begin = start(grid, state.y, generator)
        run = SAMPLERS[sampler].load()(state.denoise, grid, begin, state.y, times(grid, 4), eta=0.5, noise=generator, correct=correct)
        return state.centre(_finish(run)[0])

    whole = result(100)
    assert whole.shape == source.shape
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
