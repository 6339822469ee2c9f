"""States that hold one volume for networks of single slices and of three dimensions."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.diffusion.consistency import CoPrediction, Corrector, Independent
from napari_harmonize.diffusion.objective import CLEAN
from napari_harmonize.diffusion.patches import Patched, boxes, ramps
from napari_harmonize.diffusion.planes import ThreePlanes
from napari_harmonize.diffusion.schedules import bridge
from napari_harmonize.diffusion.settings import BridgeSettings, Correction
from napari_harmonize.errors import SettingsError

PATH = bridge(BridgeSettings())


def _draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _evaluator(answer, batch=2):
    def evaluate(stacks, sources, t):
        for first in range(0, len(stacks), batch):
            rows = slice(first, min(first + batch, len(stacks)))
            yield rows, answer(stacks[rows], sources[rows])

    return evaluate


def _finish(work):
    said = []
    while True:
        try:
            said.append(next(work))
        except StopIteration as stop:
            return stop.value, said


def _states(answer, **more):
    source = _draw(6, 8, 10)
    yield Independent(source, 0, PATH, CLEAN, _evaluator(answer), **more)
    yield CoPrediction(source, 0, PATH, CLEAN, _evaluator(answer), **more)
    yield ThreePlanes(source, 0, PATH, CLEAN, _evaluator(answer), **more)
    yield Patched(source, 0, PATH, CLEAN, _evaluator(answer), patch=(4, 4, 6), overlap=0.4, **more)


@pytest.mark.parametrize("number", range(4))
def test_what_every_voxel_says_alone_is_what_the_volume_says(number):
    """A pointwise answer does not depend on how the volume was cut."""
    state = list(_states(lambda x, y: 2 * x + y))[number]
    x = _draw(*state.y.shape, seed=1)
    found, said = _finish(state.denoise(x, 300))
    torch.testing.assert_close(found, 2 * x + state.y)
    assert said[-1] == (state.stacks, state.stacks)
    assert [done for done, _ in said] == sorted({done for done, _ in said})
    torch.testing.assert_close(state.centre(found).reshape(6, 8, 10), (2 * x + state.y).reshape(6, 8, 10))


@pytest.mark.parametrize("number", range(4))
def test_the_variance_fraction_is_put_together_like_the_image(number):
    state = list(_states(lambda x, y: torch.cat([x, 3 * y], dim=1)))[number]
    x = _draw(*state.y.shape, seed=1)
    (x0, fraction), _ = _finish(state.denoise_with_variance(x, 300))
    torch.testing.assert_close(x0, x)
    torch.testing.assert_close(fraction, 3 * state.y)
    torch.testing.assert_close(_finish(state.denoise(x, 300))[0], x)


@pytest.mark.parametrize("number", range(4))
def test_guidance_asks_on_dropped_conditions(number):
    state = list(_states(lambda x, y: x, dropped=_evaluator(lambda x, y: x - 5)))[number]
    x = _draw(*state.y.shape, seed=1)
    torch.testing.assert_close(_finish(state.unconditional(x, 300))[0], x - 5)
    with pytest.raises(SettingsError, match="dropped"):
        _finish(next(iter(_states(lambda x, y: x))).unconditional(x, 300))


def test_three_planes_average_three_answers():
    """The network adds the mean over each row, which is another number along each axis."""
    state = list(_states(lambda x, y: x.mean(dim=3, keepdim=True).expand_as(x)))[2]
    x = _draw(6, 8, 10)
    rows, columns = x.mean(dim=2, keepdim=True), x.mean(dim=1, keepdim=True)
    expected = (2 * rows + columns).expand_as(x) / 3
    torch.testing.assert_close(_finish(state.denoise(x, 300))[0], expected)


def test_three_planes_refuse_stacks():
    with pytest.raises(SettingsError, match="single slices"):
        ThreePlanes(_draw(6, 8, 10), 1, PATH, CLEAN, _evaluator(lambda x, y: x))


def test_padding_of_three_planes_is_not_handed_out():
    state = ThreePlanes(_draw(8, 8, 10), 0, PATH, CLEAN, _evaluator(lambda x, y: x), kept=6)
    assert state.centre(state.y).shape == (6, 8, 10)


@pytest.mark.parametrize("shape", [(8, 8, 8), (20, 9, 33), (3, 40, 8)])
def test_patches_cover_every_voxel_within_the_volume(shape):
    covered = torch.zeros(shape)
    sizes = set()
    for box in boxes(shape, (8, 8, 8), 0.25):
        covered[box] += 1
        sizes.add(tuple(covered[box].shape))
    assert covered.min() > 0
    assert sizes == {tuple(min(size, 8) for size in shape)}


def test_patches_are_told_where_they_lie():
    source, seen = _draw(6, 8, 10), []

    def answer(x, y):
        seen.append(y)
        return x

    state = Patched(source, 0, PATH, CLEAN, _evaluator(answer), patch=(6, 4, 10), overlap=0.0, position=ramps((6, 8, 10)))
    _finish(state.denoise(source, 300))
    told = torch.cat(seen)
    assert told.shape == (2, 4, 6, 4, 10)
    torch.testing.assert_close(told[:, 2, 0, :, 0], torch.linspace(0, 1, 8).reshape(2, 4))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_correction_works_on_every_state_that_holds_one_volume(number):
    state = list(_states(lambda x, y: 0.5 * x))[number]
    x = _draw(*state.y.shape, seed=3)
    corrected, _ = _finish(Corrector(state, Correction(weight=0.3))(x, 400))
    assert corrected.shape == x.shape
    assert not torch.equal(corrected, x)
