"""The spine system's schedules and sampling chains, state by state, with the noise they drew."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from graf_set import CHAIN, SCHEDULE, UPDATE, close, condition_of, diffusion_sets, every_diffusion_set, folder_root, loaded, params
from napari_harmonize.diffusion import OBJECTIVES, SAMPLERS
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.sampling import Guide
from napari_harmonize.translation.importers.graf_layout import schedule


def _schedules() -> list:
    found = {}
    for path in sorted(folder_root().rglob("schedule.npz")):
        with np.load(path) as arrays:
            for name in {key.split(".")[0] for key in arrays if key.endswith(".ddim_a_bar")}:
                inside = {key.removeprefix(f"{name}."): arrays[key] for key in arrays if key.startswith(f"{name}.")}
                found[name] = inside | {"name": name}
    return params([found[name] for name in sorted(found)], sorted(found))


@pytest.mark.parametrize("arrays", _schedules())
def test_schedule(arrays):
    name, _, steps = arrays["name"].partition("_T")
    path = schedule(name, int(steps))
    signal, beta = path.a**2, arrays["betas"].astype(float)
    before = np.append(1.0, signal[:-1])
    posterior = beta * (1 - before) / (1 - signal)
    wanted = {
        "betas": 1 - signal / before,
        "sqrt_a_bar": path.a,
        "sqrt_one_minus_a_bar": path.s,
        "ddim_a_bar": signal,
        "posterior_variance": posterior,
        "posterior_mean_coef1": beta * np.sqrt(before) / (1 - signal),
        "posterior_mean_coef2": (1 - before) * np.sqrt(1 - beta) / (1 - signal),
    }
    for key, values in wanted.items():
        # the published pi is one of single precision, which shows in the last few betas, where a cosine is almost 0
        assert np.abs(values - arrays[key]).max() <= (1e-5 if key == "betas" else SCHEDULE), key
    if name == "cosine":
        assert np.abs(_cosine_betas(int(steps), float(np.float32(np.pi))) - arrays["betas"]).max() <= SCHEDULE
        assert np.abs(_cosine_betas(int(steps), np.pi) - wanted["betas"]).max() <= 1e-12
    # where almost nothing of the image is left, its weight has few digits in the stored single precision
    recip = np.abs(1 / path.a - arrays["sqrt_recip_a_bar"]) / arrays["sqrt_recip_a_bar"]
    assert recip.max() <= 2e-4
    assert np.abs(np.log(np.maximum(posterior, 1e-20)) - arrays["posterior_log_variance_clipped"])[1:].max() <= 1e-5


def _cosine_betas(steps: int, pi: float) -> np.ndarray:
    u = np.arange(steps + 1) / steps
    kept = np.cos((u + 0.008) / 1.008 * pi / 2) ** 2
    return np.clip(1 - kept[1:] / kept[:-1], 0, 0.999)


def _runs():
    found = [(one, run) for one in diffusion_sets() for run in one.runs]
    return pytest.mark.parametrize("run", params(found, [f"{one.name}-{name}" for one, name in found]))


@dataclass
class Replay:
    """One run of the published sampler, with everything it passes through kept."""

    found: object
    name: str
    states: list = field(default_factory=list)
    said: list = field(default_factory=list)
    unconditional: list = field(default_factory=list)
    clean: list = field(default_factory=list)

    def array(self, key: str) -> torch.Tensor | None:
        return self.found.arrays.get(f"{self.name}.{key}")

    @property
    def weight(self) -> int:
        return int(self.array("net_out_uncond") is not None)

    @property
    def options(self) -> dict:
        return self.found.options

    def path(self):
        times = [int(t) for t in self.array("t")]
        steps = max(times) + 1 if "_full" in self.name else int(self.options["timesteps"])
        return schedule("linear" if self.options["linear"] else "cosine", steps)

    def row(self) -> str:
        if self.name.startswith("ddim"):
            return "ddim-graf" if self.options["image_mode"] else "ddim"
        return "ddpm-learned" if self.options["learned_variance"] and "fixedvar" not in self.name else "ddpm"

    def ask(self, path, objective, variance: bool):
        """``denoise`` and its unconditional twin, on the set's own network."""
        condition, network = condition_of(self.found.arrays["cond"]), loaded(self.found)

        def predict(x, t, given, kept):
            yield 1, 1
            with torch.inference_mode():
                said = network(x, torch.full((len(x),), float(t)), given)
            kept.append(said)
            x0 = objective.x0(path.at(t), said[:, :1], x, None)
            return (x0, said[:, 1:]) if variance and given is condition else x0

        def denoise(x, t):
            self.states.append(x)
            return predict(x, t, condition, self.said)

        return denoise, lambda x, t: predict(x, t, condition.dropped(), self.unconditional)

    def run(self, x=None, times=(), noise=None) -> torch.Tensor:
        """Walk from the stored start, or from ``x`` through ``times`` with ``noise``."""
        path = self.path()
        row = SAMPLERS[self.row()]
        objective = OBJECTIVES["clean" if self.options["image_mode"] else "noise"].load()
        denoise, unconditional = self.ask(path, objective, row.learned_variance)
        times = times or tuple(int(t) for t in self.array("t"))
        drawn = iter(self.array("injected_noise") if noise is None else noise)
        eta = 1.0 if self.name.startswith("ddpm") else float(self.name.removeprefix("ddim_eta").split("_")[0])
        walk = row.load()(
            denoise,
            path,
            self.array("xT") if x is None else x,
            None,
            Grid(times),
            eta=eta,
            noise=lambda x: next(drawn),
            clip=self.name.startswith("ddpm"),
            guide=Guide(unconditional, self.weight) if self.weight else None,
        )
        while True:
            try:
                tick = next(walk)
            except StopIteration as end:
                return end.value
            if tick.kind == "step":
                self.clean.append(tick.x0)


@_runs()
def test_whole_chains(run):
    """From the same start with the same noise: every state, every answer and the result."""
    replay = Replay(*run)
    if "skip" in replay.name:
        _single_updates(replay)
        return
    result = replay.run()
    assert close(result * 0.5 + 0.5, replay.array("result01"), CHAIN)
    assert len(replay.states) == len(replay.array("x_t"))
    assert close(torch.stack(replay.states), replay.array("x_t"), CHAIN)
    assert close(torch.stack(replay.said), replay.array("net_out_cond"), CHAIN)
    if replay.weight:
        assert close(torch.stack(replay.unconditional), replay.array("net_out_uncond"), CHAIN)
    if replay.array("x0_pred") is not None:
        assert close(torch.stack(replay.clean), replay.array("x0_pred"), CHAIN)


def _single_updates(replay) -> None:
    """The option to skip steps takes the coefficients of single steps all the same: each update is one from t to t - 1."""
    states, times = replay.array("x_t"), [int(t) for t in replay.array("t")]
    for index, t in enumerate(times[:-1]):
        replay.states.clear()
        replay.run(states[index], (t, t - 1), replay.array("injected_noise")[index : index + 1])
        assert close(replay.states[1], states[index + 1], UPDATE), t
    assert close(replay.run(states[-1], tuple(times[-1:])) * 0.5 + 0.5, replay.array("result01"), UPDATE)


@every_diffusion_set()
def test_published_time_list(found):
    """The ascending list a chain was given, read backwards, is the strided spacing."""
    path = schedule("linear" if found.options["linear"] else "cosine", int(found.options["timesteps"]))
    listed = [int(t) for t in found.arrays["ddim.seq"]]
    assert list(path.grid(len(listed), "strided").times) == listed[::-1]
