"""Stacks, the volume they overlap in, and the correction."""

from __future__ import annotations

import math

import pytest
import torch

from napari_harmonize.diffusion.consistency import CoPrediction, Corrector, Independent, average, cover, cut, pad
from napari_harmonize.diffusion.objective import CLEAN
from napari_harmonize.diffusion.schedules import bridge
from napari_harmonize.diffusion.settings import BridgeSettings, Correction
from napari_harmonize.errors import SettingsError

PATH = bridge(BridgeSettings())


def _draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _evaluator(answer, batch: int = 2, seen: list | None = None):
    """Predict ``answer(stacks, sources, rows)`` in batches."""

    def evaluate(stacks, sources, t):
        for first in range(0, len(stacks), batch):
            rows = slice(first, min(first + batch, len(stacks)))
            if seen is not None:
                seen.append((stacks[rows].clone(), sources[rows].clone(), t))
            yield rows, answer(stacks[rows], sources[rows], rows)

    return evaluate


def _finish(work):
    said = []
    while True:
        try:
            said.append(next(work))
        except StopIteration as stop:
            return stop.value, said


@pytest.mark.parametrize(
    ("slices", "radius", "counts"),
    [(5, 1, [1, 2, 3, 3, 3, 2, 1]), (2, 1, [1, 2, 2, 1]), (1, 1, [1, 1, 1]), (4, 0, [1, 1, 1, 1]), (2, 2, [1, 2, 2, 2, 2, 1])],
)
def test_true_cover_counts(slices, radius, counts):
    assert cover(slices, radius).tolist() == counts


def test_stacks_are_views_of_the_volume():
    padded = _draw(6, 3, 4)
    stacks = cut(padded, 1)
    assert stacks.shape == (4, 3, 3, 4)
    assert stacks.untyped_storage().data_ptr() == padded.untyped_storage().data_ptr()
    assert all(torch.equal(stacks[b, c], padded[b + c]) for b in range(4) for c in range(3))


@pytest.mark.parametrize(("slices", "radius"), [(5, 1), (1, 2), (3, 0)])
def test_averaging_consistent_stacks_gives_the_volume_back(slices, radius):
    padded = _draw(slices + 2 * radius, 3, 4)
    torch.testing.assert_close(average(cut(padded, radius)), padded)


def test_outside_the_volume_is_background():
    padded = pad(torch.zeros(2, 3, 4), 2)
    assert padded[:, 0, 0].tolist() == [-1, -1, 0, 0, -1, -1]


@pytest.mark.parametrize("kind", [Independent, CoPrediction])
def test_network_sees_stacks_of_the_padded_volume(kind):
    source, seen = _draw(5, 4, 4), []
    state = kind(source, 1, PATH, CLEAN, _evaluator(lambda x, y, rows: x, seen=seen))
    x = state.y + 1
    result, said = _finish(state.denoise(x, 700))
    assert said == [(2, 5), (4, 5), (5, 5)]
    whole = cut(pad(source, 1), 1)
    assert torch.equal(torch.cat([sources for _, sources, _ in seen]), whole)
    assert torch.equal(torch.cat([stacks for stacks, _, _ in seen]), whole + 1)
    assert {t for _, _, t in seen} == {700}
    torch.testing.assert_close(result, x)
    torch.testing.assert_close(state.centre(result), source + 1)


def test_predictions_are_averaged_where_stacks_overlap():
    source, stacks = _draw(5, 4, 4), _draw(5, 3, 4, 4, seed=1)
    state = CoPrediction(source, 1, PATH, CLEAN, _evaluator(lambda x, y, rows: stacks[rows]))
    torch.testing.assert_close(_finish(state.denoise(state.y, 5))[0], average(stacks))


def test_single_stacks_are_clipped_before_they_are_averaged():
    source, stacks = _draw(5, 4, 4), 3 * _draw(5, 3, 4, 4, seed=1)
    state = CoPrediction(source, 1, PATH, CLEAN, _evaluator(lambda x, y, rows: stacks[rows]), clip=True)
    torch.testing.assert_close(_finish(state.denoise(state.y, 5))[0], average(stacks.clamp(-1, 1)))


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_centres_and_what_lies_outside(slices):
    """Outside the patient the first and the last stack speak."""
    source, stacks = _draw(slices, 4, 4), _draw(slices, 5, 4, 4, seed=1)
    state = CoPrediction(source, 2, PATH, CLEAN, _evaluator(lambda x, y, rows: stacks[rows]))
    found = _finish(state.denoise_centres(state.y, 5))[0]
    assert torch.equal(found[2 : 2 + slices], stacks[:, 2])
    assert torch.equal(found[:2], stacks[0, :2])
    assert torch.equal(found[2 + slices :], stacks[-1, 3:])


def _corrector(answer, **changes):
    source = _draw(4, 3, 5)
    state = CoPrediction(source, 1, PATH, CLEAN, _evaluator(answer))
    return state, Corrector(state, Correction(**changes))


@pytest.mark.parametrize(("scale", "factor"), [("released", math.sqrt(15)), ("published", 15)])
def test_correction_in_closed_form(scale, factor):
    stacks, t = _draw(4, 3, 3, 5, seed=1), 333
    state, corrector = _corrector(lambda x, y, rows: stacks[rows], scale=scale, weight=0.7)
    x, c = _draw(6, 3, 5, seed=2), PATH.at(t)
    score = -(x - c.a * average(stacks) - c.b * state.y) / c.s**2
    gamma = 0.7 * PATH.one_step_variance(t) * factor / score.square().sum((1, 2))
    torch.testing.assert_close(_finish(corrector(x, t))[0], x + gamma[:, None, None] * score)


def test_centre_score_uses_each_stacks_own_slice():
    stacks, t = _draw(4, 3, 3, 5, seed=1), 333
    _, averaged = _corrector(lambda x, y, rows: stacks[rows])
    _, centred = _corrector(lambda x, y, rows: stacks[rows], score="centre")
    x = _draw(6, 3, 5, seed=2)
    one, other = (_finish(corrector(x, t))[0] for corrector in (averaged, centred))
    assert not torch.allclose(one[2], other[2])
    # a slice that a single stack covers has one score either way
    torch.testing.assert_close(one[0], other[0])


def test_a_slice_without_score_stays_as_it_is():
    state, corrector = _corrector(lambda x, y, rows: torch.zeros_like(x))
    t = 333
    x = PATH.at(t).b * state.y
    x[3] += 1
    result, _ = _finish(corrector(x, t))
    assert result.isfinite().all()
    assert torch.equal(result[[0, 1, 2, 4, 5]], x[[0, 1, 2, 4, 5]])
    assert not torch.equal(result[3], x[3])


def test_single_slices_have_one_score():
    source = _draw(4, 3, 5)
    results = []
    for score in ("average", "centre"):
        state = CoPrediction(source, 0, PATH, CLEAN, _evaluator(lambda x, y, rows: x * 0.5))
        results.append(_finish(Corrector(state, Correction(score=score))(state.y, 200))[0])
    assert torch.equal(*results)


def test_narrow_predictions_leave_the_state_wide():
    source = _draw(4, 3, 5)
    state = CoPrediction(source, 1, PATH, CLEAN, _evaluator(lambda x, y, rows: x.bfloat16()))
    assert _finish(state.denoise(state.y, 5))[0].dtype == torch.float32


@pytest.mark.parametrize(("shape", "radius"), [((4, 4), 1), ((0, 4, 4), 1), ((3, 4, 4), -1)])
def test_sources_that_are_no_slices_are_refused(shape, radius):
    with pytest.raises(SettingsError, match="radius"):
        CoPrediction(torch.zeros(shape), radius, PATH, CLEAN, _evaluator(lambda x, y, rows: x))
