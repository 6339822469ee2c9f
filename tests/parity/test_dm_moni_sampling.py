"""Schedules, single steps and whole chains of the contrast-harmonisation system."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from dm_moni_set import Chain, chains_of, grid_of, loaded, path_of
from napari_harmonize.condition import Condition
from napari_harmonize.diffusion import OBJECTIVES, SAMPLERS
from napari_harmonize.diffusion.objective import mix
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.rules import corrected, published
from napari_harmonize.diffusion.sampling import coefficients

STATE, CLEAN, LOG_VARIANCE, UNCLIPPED, FORWARD = 1e-3, 5e-3, 1e-4, 1e-4, 1e-4
MUCH = 1e4


def _worst(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max())


def _limit(chain: Chain, theirs: torch.Tensor, clipped: float) -> float:
    return clipped if chain.clip else UNCLIPPED * float(theirs.abs().max())


def _published_arrays(a: np.ndarray, s: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays upstream derives, from ours: weights of image and noise at the times that are visited."""
    kept, lost = a**2, s**2
    before, lost_before = np.append(1.0, kept[:-1]), np.append(0.0, lost[:-1])
    betas = lost - lost_before * kept / before
    variance = betas * lost_before / lost
    return {
        "betas": betas,
        "alphas_cumprod": kept,
        "alphas_cumprod_prev": before,
        "alphas_cumprod_next": np.append(kept[1:], 0.0),
        "sqrt_alphas_cumprod": a,
        "sqrt_one_minus_alphas_cumprod": s,
        "log_one_minus_alphas_cumprod": np.log(lost),
        "sqrt_recip_alphas_cumprod": 1 / a,
        "sqrt_recipm1_alphas_cumprod": s / a,
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.append(variance[1], variance[1:])),
        "posterior_mean_coef1": betas * np.sqrt(before) / lost,
        "posterior_mean_coef2": lost_before * np.sqrt(kept / before) / lost,
    }


def test_schedules(dm_moni):
    arrays = dm_moni.arrays("schedules.npz")
    assert dm_moni.config["schedules"]
    for name, process in dm_moni.config["schedules"].items():
        path = path_of(process)
        visited = grid_of(process, path).times[::-1]
        assert arrays[f"{name}/timestep_map"].tolist() == list(visited), name
        ours = _published_arrays(*(np.array([getattr(path.at(t), name) for t in visited]) for name in "as"))
        assert {f"{name}/{key}" for key in ours} == {key for key in arrays if key.startswith(f"{name}/")} - {f"{name}/timestep_map"}
        # upstream subtracts from 1, and so knows small differences, and logarithms of numbers near 1, to the rounding of 1
        rtol = max(1e-12, 1e-16 / float(1 - ours["alphas_cumprod"][0]))
        for key, values in ours.items():
            np.testing.assert_allclose(values, arrays[f"{name}/{key}"], rtol=rtol, atol=1e-15, err_msg=f"{name}/{key}")


def _much(like: torch.Tensor) -> torch.Tensor:
    """Noise so strong that what it is added to does not round its share."""
    return torch.full_like(like, MUCH)


def _log_variance(mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    return 2 * ((spread - mean).double() / MUCH).log().float()


def _step(path, t: int, x: torch.Tensor, said: torch.Tensor, clip: bool, fresh: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of our sampler from a recorded answer of the network, with noise of one value; the state and the clean image."""
    reached = []

    def denoise(state, time):
        reached.append(state)
        eps, fraction = said.chunk(2, dim=1)
        yield 1, 1
        return OBJECTIVES["noise"].load().x0(path.at(time), eps, state, None), fraction

    grid = Grid((t, t - 1) if t else (t,))
    run = SAMPLERS["ddpm-learned"].load()(denoise, path, x, None, grid, noise=lambda state: torch.full_like(state, fresh), clip=clip)
    ticks = []
    while True:
        try:
            ticks.append(next(run))
        except StopIteration as stop:
            clean = next(tick.x0 for tick in ticks if tick.kind == "step")
            return (reached[1] if t else stop.value), clean


def test_mean_and_variance_of_a_step(dm_moni):
    arrays, path = dm_moni.tensors("p_mean_variance.npz"), path_of(dm_moni.config["schedules"]["linear1000"])
    network = loaded(dm_moni, "tiny")
    for row, t in enumerate(arrays["t"].tolist()):
        with torch.inference_mode():
            said = network(arrays["x_t"], arrays["t"][row : row + 1], Condition(arrays["source"]))
        recorded = arrays["model_out"][row : row + 1]
        assert _worst(said, recorded) <= FORWARD
        for kind, clip in (("clip", True), ("noclip", False)):
            mean, clean = _step(path, t, arrays["x_t"], recorded, clip, 0.0)
            for ours, name in ((mean, f"mean_{kind}"), (clean, f"pred_xstart_{kind}")):
                theirs = arrays[name][row : row + 1]
                # a clean image is the network's answer times s / a
                assert _worst(ours, theirs) <= 2e-6 * max(1.0, path.at(t).s / path.at(t).a, float(theirs.abs().max())), (name, t)
        if t:  # the last step draws nothing
            mean, spread = (_step(path, t, arrays["x_t"], recorded, True, noise)[0] for noise in (0.0, MUCH))
            assert _worst(_log_variance(mean, spread), arrays["log_variance"][row : row + 1]) <= LOG_VARIANCE, t


def test_forward_process_and_posterior(dm_moni):
    arrays, path = dm_moni.tensors("p_mean_variance.npz"), path_of(dm_moni.config["schedules"]["linear1000"])
    c = coefficients(path, arrays["t"], arrays["q_noise"])
    torch.testing.assert_close(mix(c, arrays["q_x0"], None, arrays["q_noise"]), arrays["q_x_t"], rtol=0, atol=1e-6)
    for row, t in enumerate(arrays["t"].tolist()):
        if not t:
            assert torch.equal(arrays["posterior_mean"][row : row + 1], arrays["q_x0"])
            continue
        now, to = path.at(t), path.at(t - 1)
        weights = published(now, to, 0.0)
        mean = weights.x0 * arrays["q_x0"] + weights.x * arrays["x_t"]
        torch.testing.assert_close(mean, arrays["posterior_mean"][row : row + 1], rtol=0, atol=1e-5)
        assert corrected(now, to, 1.0).noise ** 2 == pytest.approx(float(arrays["posterior_variance"][row]), rel=1e-5)


def test_chain(dm_moni_chain):
    chain = Chain(*dm_moni_chain)
    scale = chain.network.settings.time_scale
    assert [time * scale for time in chain.grid.times] == pytest.approx(
        chain.arrays["t_model"].tolist() if "t_model" in chain.arrays else [time * scale for time in reversed(range(chain.path.T))]
    )
    states, clean = chain.walk()
    assert chain.states
    for number, theirs in chain.states.items():
        assert _worst(states[number], theirs) <= _limit(chain, theirs, STATE), f"state {number}"
    for number, theirs in chain.clean.items():
        assert _worst(clean[number], theirs) <= _limit(chain, theirs, CLEAN), f"clean image {number}"
    if "target" in chain.arrays:
        error = float((states[-1] - chain.arrays["target"]).square().mean())
        assert error == pytest.approx(float(chain.reference.arrays(f"{chain.file}.npz")[f"mse_{chain.about['sampler']}_target"]), rel=1e-3)


def test_each_step_alone(dm_moni):
    """From every recorded state, the next mean and variance: nothing adds up, so that late errors hide behind no early ones."""
    found = [Chain(*about) for about in chains_of(dm_moni) if f"{about[2]['prefix']}mean" in dm_moni.config["arrays"][about[1]]]
    assert found
    for chain in found:
        for step, (t, to) in enumerate(itertools.pairwise(chain.grid.times)):
            mean, spread = (chain.walk(chain.arrays["x"][step], Grid((t, to)), noise)[0][1] for noise in (torch.zeros_like, _much))
            assert _worst(mean, chain.arrays["mean"][step]) <= STATE, f"{chain.file}, step {step}"
            variance = _worst(_log_variance(mean, spread), chain.arrays["log_variance"][step])
            assert variance <= LOG_VARIANCE, f"{chain.file}, step {step}"


def _listening(network, seen: list):
    def ask(x, t, condition):
        seen.append(condition.source.clone())
        return network(x, t, condition)

    return ask


def test_the_shipped_ddim_is_no_target(dm_moni, monkeypatch):
    """It lets the source drift; ours keeps it, and ends elsewhere."""
    found = [about for about in chains_of(dm_moni) if about[2]["verbatim_upstream_bug"]]
    if not found:
        pytest.skip("this set documents no defect")
    for about in found:
        chain = Chain(*about)
        shipped, source = chain.arrays["x"], chain.arrays["source"]
        drifting, state = shipped[:, :, :1], shipped[:, :, 1:]
        assert _worst(drifting[0], source) == 0
        assert _worst(drifting[-1], source) > 0.1
        chain.arrays["x"] = state
        seen = []
        monkeypatch.setattr(chain, "network", _listening(chain.network, seen))
        states, _ = chain.walk()
        assert all(torch.equal(each, source) for each in seen)
        assert _worst(states[1], state[1]) <= STATE  # the first step saw the true source
        assert _worst(states[-1], state[-1]) > 10 * STATE


def test_noise_prediction_of_a_training_batch(dm_moni):
    arrays, network = dm_moni.tensors("training.npz"), loaded(dm_moni, "tiny")
    path = path_of(dm_moni.config["schedules"]["linear1000"])
    source, target = arrays["x_start"].chunk(2, dim=1)
    x_t = mix(coefficients(path, arrays["t"], target), target, None, arrays["noise"])
    with torch.inference_mode():
        eps = network(x_t, arrays["t"], Condition(source))[:, :1]
    assert _worst(eps, arrays["model_eps"]) <= FORWARD
    mse = (eps - arrays["noise"]).double().square().mean((1, 2, 3))
    torch.testing.assert_close(mse, arrays["mse"], rtol=1e-4, atol=0)
