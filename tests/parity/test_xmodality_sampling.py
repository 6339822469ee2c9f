"""Schedules, single steps and whole chains of the published samplers, state by state, with their own noise."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.diffusion import OBJECTIVES, PATHS, SAMPLERS
from napari_harmonize.diffusion.objective import mix
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.rules import corrected
from napari_harmonize.diffusion.sampling import coefficients
from xmodality_set import arrays, every_file, every_set, images, loaded, worst

# published name: ours, whether the clean image is clipped at every step, tolerance of a chain
PUBLISHED = {
    "ddpm": ("ddpm", True, 2e-4),
    "ddim": ("ddim", True, 2e-4),
    "addim": ("addim-xmodality", True, 2e-4),
    "dpm1": ("dpm-1", False, 3e-3),
    "dpm2": ("dpm-2", True, 3e-2),
    "dpm3": ("dpm3-xmodality", False, 3e-3),
    "dpmpp2s": ("dpm++2s", True, 2e-4),
}
OBJECTIVE = {"v": "velocity", "eps": "noise", "start": "clean"}
ONE_STEP = 5e-5
ULP = 2.0**-23


def _path(schedule: str = "cosine", **settings):
    row = PATHS["log-snr"]
    return row.load()(row.settings(schedule, **settings))


def _schedule(name: str):
    """Path of a stored schedule; none for those no network was trained or sampled with."""
    shifted, sigmoid = re.fullmatch(r"cosine_shifted_d(\d+)", name), re.fullmatch(r"sigmoid_tau([\d.]+)", name)
    if shifted:
        return _path("shifted-cosine", size=int(shifted[1]))
    if sigmoid:
        return _path("sigmoid", tau=float(sigmoid[1]))
    return _path(name) if name in ("cosine", "linear") else None


@dataclass
class Walk:
    """One run of a sampler with everything it passes through kept."""

    sampler: str
    predict: object
    objective: str = "velocity"
    clip: bool = True
    states: list = field(default_factory=list)
    told: list = field(default_factory=list)
    answers: list = field(default_factory=list)
    path: object = field(default_factory=_path)

    def denoise(self, x, t):
        told = self.path.told(t)
        answer = self.predict(x, told)
        self.states.append(x.clone())
        self.told.append(told)
        self.answers.append(answer)
        yield 1, 1
        return OBJECTIVES[self.objective].load().x0(self.path.at(t), answer, x, None)

    def run(self, start, grid: Grid, noise=None) -> torch.Tensor:
        row = SAMPLERS[self.sampler]
        draws = iter(() if noise is None else noise)
        walk = row.load()(self.denoise, self.path, start, None, grid, noise=lambda x: next(draws), clip=self.clip)
        while True:
            try:
                next(walk)
            except StopIteration as stop:
                return stop.value


def _denoiser(folder, arch: str, source: torch.Tensor):
    network = loaded(folder, arch)
    return lambda x, told: network(x, torch.full((len(x),), told), Condition(source))


def _same(ours: list, theirs: torch.Tensor, tolerance: float, what: str) -> None:
    assert len(ours) == len(theirs), what
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert worst(one, other) <= tolerance, f"{what} {number}"


@every_file("chain_*_*.npz")
def test_chain(path):
    _, arch, name = path.stem.split("_")
    sampler, clip, tolerance = PUBLISHED[name]
    found = arrays(path)
    z, steps = images(found["z"]), len(found["t"]) - 1
    walk = Walk(sampler, _denoiser(path.parent, arch, images(found["condition"])), clip=clip)
    grid = walk.path.grid(steps)
    assert np.allclose(grid.times, found["t"][:-1], atol=1e-6)
    result = walk.run(z[0], grid, images(found["noise"]) if "noise" in found else None)
    assert np.abs(np.array(walk.told)[:, None] - found["model_time"]).max() <= ONE_STEP
    passes = len(walk.states) // steps
    _same(walk.states[::passes], z[:-1], tolerance, "z")
    if not clip:
        assert worst(result, z[-1]) <= tolerance
    if "model_in" in found:
        _same(walk.states, images(found["model_in"]), tolerance, "model_in")
    _same(walk.answers, images(found["model_out"]), max(tolerance, 1e-3), "model_out")
    assert worst(result.clamp(-1, 1), images(found["final"])) <= tolerance


@every_file("chain_*_*[!123].npz")
def test_each_step_from_the_stored_state(path):
    """Not of dpm1 to dpm3, of which upstream's own runs differ by more in a single step."""
    _, arch, name = path.stem.split("_")
    sampler, clip, _ = PUBLISHED[name]
    found = arrays(path)
    z, times = images(found["z"]), [float(t) for t in found["t"]]
    noise = images(found["noise"]) if "noise" in found else z
    predict = _denoiser(path.parent, arch, images(found["condition"]))
    passes = len(found["model_time"]) // (len(times) - 1)
    for step in range(len(times) - 2):
        walk = Walk(sampler, predict, clip=clip)
        walk.run(z[step], Grid(tuple(times[step : step + 2]), walk.path.end), noise[step : step + 1])
        assert worst(walk.states[passes], z[step + 1]) <= ONE_STEP, step


@every_file("single_step_objectives_*.npz")
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
@pytest.mark.parametrize("objective", OBJECTIVE)
def test_single_step(path, sampler, objective):
    found = arrays(path)
    answer = images(found["model_out"])
    walk = Walk(PUBLISHED[sampler][0], lambda x, told: answer, OBJECTIVE[objective])
    grid = Grid((float(found["t"]), float(found["t_next"])), walk.path.end)
    walk.run(images(found["x"]), grid, [images(found["noise"])])
    assert worst(walk.states[1], images(found[f"{sampler}_{objective}"])) <= ONE_STEP


@every_set
def test_schedules(folder):
    found = arrays(folder / "schedules.npz")
    names = [key.removesuffix("_alpha") for key in found if key.endswith("_alpha")]
    compared = {name: _schedule(name) for name in names if _schedule(name) is not None}
    assert len(compared) >= 7
    for name, path in compared.items():
        times = found["t"].astype(float)
        c, log_snr = path.weights(times), path.log_snr(times)
        theirs = found[f"{name}_logsnr"]
        finite = np.isfinite(theirs)
        assert np.array_equal(np.isposinf(log_snr), np.isposinf(theirs)), name
        # a signal weight is a float32 difference of numbers near 1 upstream, so that small ones keep few digits or none
        lost = 2 * ULP / c.a[finite] if name.startswith(("sigmoid", "linear")) else 0
        bound = ONE_STEP if name == "cosine" else 1e-4 * np.maximum(np.abs(theirs[finite]), 1) + lost
        assert (np.abs(log_snr[finite] - theirs[finite]) <= bound).all(), name
        assert np.abs(c.a - found[f"{name}_alpha"]).max() <= 1e-4, name
        assert np.abs(c.s - found[f"{name}_sigma"]).max() <= 1e-4, name


@every_set
def test_inverse_of_the_cosine(folder):
    found = arrays(folder / "schedules.npz")
    back = [_path().when(float(value)) for value in found["cosine_logsnr"]]
    assert np.abs(np.array(back) - found["inv_cosine_of_cosine_logsnr"]).max() <= 1e-4


@every_set
def test_sampling_grid(folder):
    found, path = arrays(folder / "schedules.npz"), _path()
    steps = len(found["sampling_grid_t"]) - 1
    grid = path.grid(steps)
    places = [path.at(t) for t in grid.times] + [grid.end]
    assert np.allclose(grid.times, found["sampling_grid_t"][:-1], atol=1e-6)
    assert np.abs([path.told(t) for t in grid.times] - found["sampling_grid_logsnr_cosine"][:-1]).max() <= ONE_STEP
    for step in range(steps):
        weights = corrected(places[step], places[step + 1], 1.0)
        assert abs(weights.noise - found["sampling_grid_posterior_std"][step]) <= 1e-5
        assert abs(weights.x0 / places[step + 1].a - found["sampling_grid_c"][step]) <= 1e-5


@every_file("training_loss_*.npz")
def test_what_training_asks_for(path):
    found, route = arrays(path), _path()
    arch = path.stem.rpartition("_")[2]
    source, target = (images(2 * found[name] - 1) for name in ("source01", "target01"))
    noise, t = images(found["noise"]), torch.from_numpy(found["times"]).double()
    c = coefficients(route, t, noise)
    noised = mix(c, target, None, noise)
    velocity = OBJECTIVES["velocity"].load()
    assert np.abs(route.log_snr(found["times"].astype(float)) - found["logsnr"]).max() <= ONE_STEP
    assert worst(noised, images(found["x_noised"])) <= 2e-5
    assert worst(velocity.target(c, target, None, noise), images(found["v_target"])) <= 2e-5
    answer = loaded(path.parent, arch)(noised, torch.from_numpy(found["logsnr"]), Condition(source))
    assert worst(answer, images(found["model_out"])) <= 1e-4
    assert worst(velocity.x0(c, velocity.target(c, target, None, noise), noised, None), target) <= 1e-5
    direct = loaded(path.parent, "unet")(source, t, Condition())
    loss = float((direct - target).square().mean())
    assert loss == pytest.approx(float(found["loss_unet_baseline"]), rel=1e-5)
