"""Samplers against whole published chains, fed the answers their networks gave and the noise they drew."""

from __future__ import annotations

import pytest

from graf_set import CHAIN, UPDATE, close, diffusion_sets, params
from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.schedules import cosine_beta, log_snr
from napari_harmonize.diffusion.settings import CosineBetaSettings, LogSnrSettings
from replay import Replay, finish, in_turn
from xmodality_set import arrays, every_file, images, worst

PUBLISHED = {"ddpm": "ddpm", "ddim": "ddim", "addim": "addim-xmodality", "dpm1": "dpm-1", "dpm2": "dpm-2", "dpm3": "dpm3-xmodality"}
STEP = {"dpm1": 3e-3, "dpm2": 3e-2, "dpm3": 3e-3}
"""Tolerances of whole chains; the first step of these multiplies by ratios of several hundred."""


@every_file("chain_*.npz")
def test_continuous_time(path):
    """The published networks predict a velocity, and every predicted clean image is clipped."""
    found, name = arrays(path), path.stem.rsplit("_", 1)[1]
    row = SAMPLERS[PUBLISHED.get(name, "dpm++2s")]
    diffusion, z = log_snr(LogSnrSettings()), images(found["z"])
    # of these two the published code does not clip
    clip = name not in ("dpm1", "dpm3")
    replay = Replay(diffusion, "velocity", images(found["model_out"]))
    noise = in_turn(images(found["noise"])) if "noise" in found else None
    result = finish(row.load()(replay.denoise, diffusion, z[0], None, row.grid(diffusion, len(z) - 1), noise=noise, clip=clip))
    assert len(replay.asked) == len(found["model_out"]) == row.cost(diffusion, len(z) - 1)
    assert replay.heard == pytest.approx(found["model_time"][:, 0].tolist(), abs=5e-4)
    limit = STEP.get(name, 2e-4)
    for ours, theirs in zip(replay.asked[:: row.passes], z, strict=False):
        assert worst(ours, theirs) <= limit * max(1.0, float(theirs.abs().max()))
    if "model_in" in found:
        assert all(worst(*pair) <= limit * 30 for pair in zip(replay.asked, images(found["model_in"]), strict=True))
    assert worst(result.clamp(-1, 1), images(found["final"])) <= limit


def _spine_runs() -> list:
    items = [(found, run) for found in diffusion_sets() for run in found.runs if run != "ddpm_T1000_skip"]
    return params(items, [f"{found.name}-{run}" for found, run in items])


@pytest.mark.parametrize("case", _spine_runs())
def test_the_spine_system(case):
    """Image mode walks with a noise of the wrong sign; noise mode does not."""
    found, run = case
    part = {key.removeprefix(f"{run}."): value for key, value in found.arrays.items() if key.startswith(f"{run}.")}
    x, outputs, times = part["xT"], part["net_out_cond"], [int(t) for t in part["t"]]
    image, channels = found.options["image_mode"], x.shape[1]
    learned = run.startswith("ddpm") and outputs.shape[2] > channels and "fixedvar" not in run
    row = SAMPLERS[("ddpm-learned" if learned else "ddpm") if run.startswith("ddpm") else "ddim-graf" if image else "ddim"]
    steps = int(run.split("_T")[1].split("_")[0]) if "_T" in run else found.options["timesteps"]
    diffusion = cosine_beta(CosineBetaSettings(steps))
    replay = Replay(diffusion, "clean" if image else "noise", outputs[:, :, :channels], outputs[:, :, channels:] if learned else None)
    weight = float(run.split("_w")[1].split("_")[0]) if "_w" in run else 0.0
    if weight:
        replay.dropped = part["net_out_uncond"][:, :, :channels]
    eta = float(run.split("_eta")[1].split("_")[0]) if "_eta" in run else 0.0
    given = {"eta": eta, "noise": in_turn(part["injected_noise"]), "clip": run.startswith("ddpm"), "guide": replay.guide(weight)}
    result = finish(row.load()(replay.denoise, diffusion, x, None, Grid(tuple(times)), **given))
    assert len(replay.asked) == len(times)
    for ours, theirs in zip(replay.asked, part["x_t"], strict=True):
        assert close(ours, theirs, UPDATE)
    assert close((result + 1) / 2, part["result01"], CHAIN)
