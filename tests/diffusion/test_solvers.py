"""Samplers of higher order against another library, step by step, and the published one that is none."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.schedules import bridge, linear_beta, log_snr
from napari_harmonize.diffusion.settings import BridgeSettings, LinearBetaSettings, LogSnrSettings
from replay import finish

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:`algorithm_types=dpmsolver` is deprecated:FutureWarning"),
]
"""Of the other library's own doings."""

DIFFUSION = linear_beta(LinearBetaSettings())
LIBRARY = (1000, 1e-4, 0.02, "linear")
START = torch.tensor([1.3, -0.2, 0.6], dtype=torch.float64)


def _clean(x, t):
    """Some clean image that bends with state and time."""
    return torch.tanh(0.7 * x + math.cos(0.004 * t))


def _recording(asked: list):
    def denoise(x, t):
        asked.append((t, x.clone()))
        yield 1, 1
        return _clean(x, t)

    return denoise


def _walk(sampler, grid, path=DIFFUSION, y=None, start=START):
    asked: list = []
    return finish(sampler(_recording(asked), path, start, y, grid)), asked


def _library(kind: str, **config):
    diffusers = pytest.importorskip("diffusers")
    return getattr(diffusers, kind)(*LIBRARY, prediction_type="sample", **config)


def test_multistep():
    theirs = _library("DPMSolverMultistepScheduler", solver_order=2)
    theirs.set_timesteps(7)
    times = theirs.timesteps.tolist()
    result, asked = _walk(SAMPLERS["dpm++2m"].load(), Grid(tuple(times)))
    x = START
    for t, (our_t, ours) in zip(times, asked, strict=True):
        assert t == our_t
        torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)
        x = theirs.step(_clean(x, t), t, x).prev_sample
    torch.testing.assert_close(result, x, rtol=1e-4, atol=1e-4)


def test_heun():
    theirs = _library("HeunDiscreteScheduler")
    theirs.set_timesteps(7)
    visited = [DIFFUSION.when(-2 * math.log(float(sigma))) for sigma in theirs.sigmas[:-1]]
    times = [t for t, before in zip(visited, [None, *visited], strict=False) if t != before]
    result, asked = _walk(SAMPLERS["heun"].load(), Grid(tuple(times)))
    scaled = START / DIFFUSION.at(times[0]).a
    for t, given, (our_t, ours) in zip(visited, theirs.timesteps, asked, strict=True):
        assert t == pytest.approx(our_t, abs=1e-6)
        x = scaled * DIFFUSION.at(t).a
        torch.testing.assert_close(ours, x, rtol=1e-4, atol=1e-4)
        scaled = theirs.step(_clean(x, t), given, scaled).prev_sample
    torch.testing.assert_close(result, scaled, rtol=1e-4, atol=1e-4)


def _updated(kind: str, solver: str, points: list[float], answers: list, order: str):
    """State at the last of several times by one update of the other library, from answers at the earlier ones."""
    theirs = _library(
        "DPMSolverSinglestepScheduler", algorithm_type=kind, solver_type=solver, solver_order=len(answers), final_sigmas_type="sigma_min"
    )
    theirs.sigmas = torch.tensor([DIFFUSION.at(t).s / DIFFUSION.at(t).a for t in points], dtype=torch.float64)
    theirs._step_index = len(points) - 2
    return getattr(theirs, f"singlestep_dpm_solver_{order}_order_update")(answers, sample=START)


def _said(kind: str, t: float, x):
    """What the other library's update works with: the clean image or the noise."""
    c = DIFFUSION.at(t)
    return _clean(x, t) if kind == "dpmsolver++" else (x - c.a * _clean(x, t)) / c.s


@pytest.mark.parametrize(("name", "kind"), [("dpm-2", "dpmsolver"), ("dpm++2s", "dpmsolver++")])
def test_singlestep_of_second_order(name, kind):
    result, asked = _walk(SAMPLERS[name].load(), Grid((700,), DIFFUSION.at(500)))
    answers = [_said(kind, t, x) for t, x in asked]
    theirs = _updated(kind, "midpoint", [700, asked[1][0], 500], answers, "second")
    torch.testing.assert_close(result, theirs)
    middle, _ = _walk(SAMPLERS["dpm-1"].load(), Grid((700,), DIFFUSION.at(asked[1][0])))
    torch.testing.assert_close(asked[1][1], middle)


def test_singlestep_of_third_order():
    result, asked = _walk(SAMPLERS["dpm-3"].load(), Grid((700,), DIFFUSION.at(500)))
    times = [700, asked[1][0], asked[2][0], 500]
    answers = [_said("dpmsolver", t, x) for t, x in asked]
    torch.testing.assert_close(asked[2][1], _updated("dpmsolver", "heun", times[:3], answers[:2], "second"))
    torch.testing.assert_close(result, _updated("dpmsolver", "midpoint", times, answers, "third"))


def test_the_source_only_shifts_a_bridge():
    path, y = bridge(BridgeSettings()), torch.tensor([0.4, -0.9, 0.1], dtype=torch.float64)
    times = (999, 700, 400, 100)
    result, asked = _walk(SAMPLERS["bridge-2"].load(), Grid(times), path, y)
    points, clean = [path.at(t) for t in times], [_clean(x, t) for t, x in asked]
    half = [math.log(c.a / c.s) for c in points]
    for step, (c, n) in enumerate(itertools.pairwise(points)):
        h = half[step + 1] - half[step]
        slope = (clean[step] - clean[step - 1]) / (half[step] - half[step - 1]) if step else 0 * y
        bent = clean[step] + slope * h / 2
        expected = n.s / c.s * (asked[step][1] - c.b * y) + n.a * (1 - math.exp(-h)) * bent + n.b * y
        torch.testing.assert_close(asked[step + 1][1], expected)
    assert torch.equal(result, clean[-1])


def test_the_step_into_the_end_of_a_bridge_is_of_first_order():
    path, y = bridge(BridgeSettings()), torch.tensor([0.4, -0.9, 0.1], dtype=torch.float64)
    times = (999, 600, 300, 0)
    _, bent = _walk(SAMPLERS["bridge-2"].load(), Grid(times), path, y)
    for place, straight in ((1, False), (2, True)):
        (t, x), (to, reached) = bent[place], bent[place + 1]
        _, first = _walk(SAMPLERS["bridge"].load(), Grid((t, to)), path, y, x)
        assert torch.allclose(first[1][1], reached) == straight


@pytest.mark.parametrize("name", ["dpm-2", "dpm-3", "dpm3-xmodality", "dpm++2s", "dpm++2m", "heun"])
@pytest.mark.parametrize("tau", [0.5, 0.008])
def test_steps_that_go_nowhere_do_no_harm(name, tau):
    """A steep sigmoid stands still for most of its time."""
    path = log_snr(LogSnrSettings("sigmoid", tau=tau))
    result, asked = _walk(SAMPLERS[name].load(), path.grid(40), path)
    assert torch.isfinite(result).all()
    assert all(torch.isfinite(x).all() for _, x in asked)
    assert len(asked) == SAMPLERS[name].cost(path, 40)


def test_the_published_third_order_is_of_no_order():
    """Its error does not even fall in proportion to the step."""
    exact, _ = _walk(SAMPLERS["dpm-3"].load(), Grid(tuple(range(700, 300, -2)), DIFFUSION.at(300)))

    def error(stride):
        result, _ = _walk(SAMPLERS["dpm3-xmodality"].load(), Grid(tuple(range(700, 300, -stride)), DIFFUSION.at(300)))
        return float((result - exact).abs().max())

    assert error(20) > 0.9 * error(40) / 2
