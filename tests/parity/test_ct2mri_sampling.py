"""Whole sampling runs of the published code, state by state."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from bridge_set import loaded, objective_of, path_of, style_of
from napari_harmonize.condition import Condition
from napari_harmonize.diffusion import SAMPLERS, Correction
from napari_harmonize.diffusion.consistency import CoPrediction, Corrector, Independent, average, cut, pad
from napari_harmonize.diffusion.objective import residual
from napari_harmonize.diffusion.path import Grid

SCORES = {"ISTA_average": "average", "ISTA_mid": "centre"}


@dataclass
class Replay:
    """One run of the published sampler, with everything it passes through kept."""

    state: Independent | CoPrediction
    corrector: Corrector | None
    times: tuple[int, ...]
    eta: float = 0.0
    noise: object = None
    states: list = field(default_factory=list)
    clean: list = field(default_factory=list)
    before: list = field(default_factory=list)
    added: list = field(default_factory=list)
    ticks: list = field(default_factory=list)

    @property
    def repeats(self) -> int:
        return self.corrector.repeats

    def denoise(self, x, t):
        self.states.append(x.clone())
        return self.state.denoise(x, t)

    def __call__(self, x, t):
        result = yield from self.corrector(x, t)
        self.before.append(x)
        self.added.append(result - x)
        return result

    def walk(self) -> torch.Tensor:
        sampler, y = SAMPLERS["bridge-published"].load(), self.state.y
        correct = self if self.corrector else None
        run = sampler(
            self.denoise, self.state.path, y, y, Grid(self.times), eta=self.eta, noise=self.noise, clip=self.state.clip, correct=correct
        )
        while True:
            try:
                tick = next(run)
            except StopIteration as stop:
                self.states.append(stop.value)
                return stop.value
            self.ticks.append(tick)
            if tick.kind == "step":
                self.clean.append(tick.x0)


def _evaluator(network, style, counted: list, batch: int = 7):
    def evaluate(stacks, sources, t):
        counted.append(t)
        for first in range(0, len(stacks), batch):
            rows = slice(first, min(first + batch, len(stacks)))
            t_rows = torch.full((rows.stop - rows.start,), t)
            yield rows, network(stacks[rows], t_rows, Condition(sources[rows], None if style is None else style[rows]))

    return evaluate


def _centres(batch: torch.Tensor) -> torch.Tensor:
    return batch[:, batch.shape[1] // 2]


def _replay(reference, run: str) -> tuple[Replay, list]:
    config, arrays = reference.config["runs"][run], reference.tensors("sampling.npz")
    network, counted = loaded(reference), []
    style = style_of(arrays["context_own" if config["key"] == "own" else "context"]) if network.needs_style else None
    kind = Independent if config["inference"] == "normal" else CoPrediction
    bridge = reference.config["bridge"]
    shared = (path_of(bridge), objective_of(bridge), _evaluator(network, style, counted), config["clip_denoised"])
    state = kind(_centres(arrays["y_batch"]), network.channels // 2, *shared)
    corrector = None
    if config["M"]:
        scale = config["correction_scale"].split(":")[0]
        corrector = Corrector(state, Correction(config["M"], config["lam"], scale, SCORES[config["inference"]]))
    return Replay(state, corrector, tuple(config["steps"]), config["eta"], _recorded(arrays.get(f"{run}/noise"))), counted


def _recorded(noise):
    """Give the recorded draws one after another; stacks that were not run get none."""
    draws = iter(() if noise is None else noise)

    def draw(x):
        drawn = next(draws)
        return torch.cat([drawn, torch.zeros_like(x[len(drawn) :])])

    return draw


def _same(ours, theirs: torch.Tensor, tolerance: float, what: str) -> None:
    ours = torch.stack(list(ours)) if not isinstance(ours, torch.Tensor) else ours
    worst = float((ours - theirs).abs().max())
    assert worst <= tolerance, f"{what}: {worst:.3g}"


def _finish(work):
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def test_run(ct2mri_run):
    reference, run = ct2mri_run
    arrays = {key.removeprefix(f"{run}/"): value for key, value in reference.tensors("sampling.npz").items() if key.startswith(f"{run}/")}
    tolerance = reference.tolerance(run, reference.tolerance("sampling states", 1e-4))
    config = reference.config["runs"][run]
    items = slice(config["items"])
    replay, counted = _replay(reference, run)
    final = replay.walk()
    state, steps = replay.state, len(replay.times)

    assert arrays["steps"].tolist() == list(replay.times) == list(state.path.grid(steps).times)
    row, passes = SAMPLERS["bridge-published"], int(arrays["n_unet_passes"])
    assert len(counted) == row.evaluations(steps, config["M"]) == passes
    final01 = (state.centre(final) / 2 + 0.5).clamp(0, 1)
    _same(final01[items], arrays["final01"], tolerance, "final01")
    if "x_batch" in arrays:
        _same([x[items] for x in replay.states], arrays["x_batch"], tolerance, "x_batch")
    if "x_vol" in arrays:
        _same(replay.states, arrays["x_vol"], tolerance, "x_vol")
    if "x_mid" in arrays:
        _same([state.centre(x)[items] for x in replay.states], arrays["x_mid"], tolerance, "x_mid")
    if "xbar_vol" in arrays:
        _same([*replay.before, final], arrays["xbar_vol"], tolerance, "xbar_vol")
    if "gamma_score_vol" in arrays:
        _same(replay.added, arrays["gamma_score_vol"], tolerance, "gamma_score_vol")
    if "delta_t_tm1" in arrays:
        ours = torch.tensor([state.path.one_step_variance(t) for t in replay.times[1:]])
        _same(ours, arrays["delta_t_tm1"], 1e-7, "delta_t_tm1")
    _check_single_stacks(state, arrays, tolerance)


def _check_single_stacks(state, arrays: dict, tolerance: float) -> None:
    """Predictions, scores and the first step of single stacks, before anything is averaged."""
    alone = Independent(state.source, state.radius, state.path, state.objective, state.evaluate, state.clip)
    steps = arrays["steps"].tolist()
    stacks = [x if x.ndim == 4 else cut(x, state.radius) for x in arrays.get("x_batch", arrays.get("x_vol", ()))]
    if "x0_mid" in arrays:
        clean = [alone.centre(_finish(alone.denoise(x, t))) for x, t in zip(stacks, steps, strict=False)]
        _same(clean, arrays["x0_mid"], tolerance, "x0_mid")
    if "x_raw_batch_step0" in arrays:
        first = Replay(alone, None, tuple(steps[:2]))
        first.walk()
        _same(first.states[1], arrays["x_raw_batch_step0"], tolerance, "x_raw_batch_step0")
        _same(average(first.states[1]), arrays.get("xbar_vol", arrays["x_vol"][1:])[0], tolerance, "averaged")
    if "score_batch_first" in arrays:
        x, c = cut(arrays["xbar_vol"][0], state.radius), state.path.at(steps[1])
        score = -residual(c, x, _finish(alone.denoise(x, steps[1])), alone.y) / c.s**2
        torch.testing.assert_close(score, arrays["score_batch_first"], rtol=1e-4, atol=tolerance / c.s**2)


def test_source_stacks(ct2mri):
    batch = ct2mri.tensors("sampling.npz")["y_batch"]
    radius = batch.shape[1] // 2
    assert torch.equal(cut(pad(_centres(batch), radius), radius), batch)


def test_sampling_without_style_key(ct2mri):
    arrays, network = ct2mri.tensors("pure.npz"), loaded(ct2mri, "pure")
    bridge = ct2mri.config["bridge"]
    source = _centres(ct2mri.tensors("sampling.npz")["y_batch"])
    runs = {key.removesuffix("_x_mid"): value for key, value in arrays.items() if key.endswith("_x_mid")}
    assert runs
    for name, recorded in runs.items():
        state = Independent(source, network.channels // 2, path_of(bridge), objective_of(bridge), _evaluator(network, None, []))
        replay = Replay(state, None, state.path.grid(len(recorded) - 1).times)
        final = state.centre(replay.walk())[: recorded.shape[1]]
        tolerance = ct2mri.tolerance("sampling states", 1e-4)
        _same([state.centre(x)[: recorded.shape[1]] for x in replay.states], recorded, tolerance, name)
        _same((final / 2 + 0.5).clamp(0, 1), arrays[f"{name}_final01"], tolerance, name)
