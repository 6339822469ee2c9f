"""Samplers against whole published chains, fed the answers their networks gave and the noise they drew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graf_set import CHAIN, UPDATE, close, diffusion_sets, params
from napari_harmonize.diffusion import SAMPLERS
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.schedules import cosine_beta, linear_beta, log_snr
from napari_harmonize.diffusion.settings import CosineBetaSettings, LinearBetaSettings, LogSnrSettings
from napari_harmonize.diffusion.spacing import sections
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


def _grid(process: dict, path) -> tuple[float, ...]:
    respacing = process["timestep_respacing"]
    if respacing.startswith("ddim"):
        return path.grid(int(respacing.removeprefix("ddim")), "strided").times
    return sections(path.T, [int(part) for part in respacing.split(",")] if respacing else [path.T])


def test_contrast_harmonisation(dm_moni_chain):
    """Steps from the recorded clean images, and the recorded variances where there are any."""
    reference, file, chain = dm_moni_chain
    prefix, stored = chain["prefix"], reference.tensors(f"{file}.npz")
    found = {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
    learned = chain["sampler"] == "ddpm"
    if chain["verbatim_upstream_bug"] or not {"x", "pred_xstart"} <= set(found) or (learned and "log_variance" not in found):
        pytest.skip("this chain is a recorded bug, or its steps were not all kept")
    process, eta = chain["process"], chain["eta"] or 0.0
    steps = process["diffusion_steps"]
    path = (
        cosine_beta(CosineBetaSettings(steps)) if process["noise_schedule"] == "cosine" else linear_beta(LinearBetaSettings.scaled(steps))
    )
    times = _grid(process, path)
    replay = Replay(path, "clean", found["pred_xstart"], _fractions(path, times, found["log_variance"]) if learned else None)
    row = SAMPLERS["ddpm-learned" if learned else "ddim"]
    draws = found.get("noise", stored.get("noise"))
    noise = None if draws is None else in_turn(draws)
    result = finish(row.load()(replay.denoise, path, found["x"][0], None, Grid(times), eta=eta, noise=noise))
    for ours, theirs in zip([*replay.asked, result], found["x"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def _fractions(path, times, log_variances):
    """What the network must have said, -1..1, for the recorded variances; 0 at the last step, which draws nothing."""
    given = []
    for t, n, log_variance in zip(times, times[1:], log_variances, strict=False):
        c, m = path.at(t), path.at(n)
        largest = 1 - (c.a / m.a) ** 2
        smallest = largest * (m.s / c.s) ** 2
        share = (log_variance - np.log(smallest)) / np.log(largest / smallest)
        given.append(2 * share - 1)
    return [*given, given[-1] * 0]
