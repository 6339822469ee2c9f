"""Schedules, step lists, objectives, losses and the overlap of stacks."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from bridge_set import OURS, loaded, objective_of, path_of, style_of
from napari_harmonize.condition import Condition
from napari_harmonize.diffusion import OBJECTIVES, PATHS
from napari_harmonize.diffusion.consistency import average, cover, cut
from napari_harmonize.diffusion.objective import mix
from napari_harmonize.diffusion.sampling import coefficients
from napari_harmonize.diffusion.schedules import buffers


def _bridge(schedule: str, steps: int, max_var: float):
    row = PATHS["bridge"]
    return row.load()(row.settings(schedule, steps, max_var))


def test_schedule_buffers(ct2mri):
    tolerance = ct2mri.tolerance("schedule buffers", 1e-7)
    for key, theirs in ct2mri.arrays("schedule.npz").items():
        schedule, steps, max_var, name = re.fullmatch(r"(\w+?)_T(\d+)_s([\d.]+)_(\w+)", key).groups()
        ours = buffers(_bridge(schedule, int(steps), float(max_var)))[name]
        assert np.abs(ours - theirs).max() <= tolerance, key


def test_schedule_in_the_checkpoint(ct2mri):
    state, ours = ct2mri.state("state_dict.safetensors"), buffers(path_of(ct2mri.config["bridge"]))
    for name, values in ours.items():
        assert np.abs(state[name].numpy() - values).max() <= ct2mri.tolerance("schedule buffers", 1e-7), name


def test_step_lists(ct2mri):
    for key, theirs in ct2mri.config["steps"].items():
        steps, visited = (int(part[1:]) for part in key.split("_"))
        assert list(_bridge("linear", steps, 1.0).grid(visited).times) == theirs, key


@pytest.mark.parametrize("name", ["grad", "noise", "ysubx"])
def test_objectives(ct2mri, name):
    arrays, path = ct2mri.tensors("objectives.npz"), path_of(ct2mri.config["bridge"])
    objective = OBJECTIVES[OURS.get(name, name)].load()
    x0, y, noise = arrays["x0"], arrays["y"], arrays["noise"]
    c = coefficients(path, arrays["t"], x0)
    x_t = mix(c, x0, y, noise)
    torch.testing.assert_close(x_t, arrays["x_t"], rtol=0, atol=1e-6)
    torch.testing.assert_close(objective.target(c, x0, y, noise), arrays[f"target_{name}"], rtol=0, atol=1e-6)
    found = objective.x0(c, arrays["pred"], arrays["x_t"], y)
    # far from the clean image the noise objective divides rounding by a = 0.001
    torch.testing.assert_close(found, arrays[f"x0_from_pred_{name}"], rtol=1e-5, atol=1e-6 / float(c.a.min()))


def test_losses(ct2mri):
    arrays, path, network = ct2mri.tensors("objectives.npz"), path_of(ct2mri.config["bridge"]), loaded(ct2mri)
    x0, y, noise, t = (arrays[name] for name in ("x0", "y", "noise", "t"))
    style = style_of(ct2mri.tensors("sampling.npz")["context"][:1]).expand(len(x0), -1, -1)
    c = coefficients(path, t, x0)
    error = network(mix(c, x0, y, noise), t, Condition(y, style)) - objective_of(ct2mri.config["bridge"]).target(c, x0, y, noise)
    assert float(error.abs().mean()) == pytest.approx(float(arrays["loss_l1"]), rel=1e-5)
    assert float(error.square().mean()) == pytest.approx(float(arrays["loss_l2"]), rel=1e-5)


def test_overlap_of_stacks(ct2mri):
    arrays, seen = ct2mri.tensors("overlap.npz"), 0
    for key, batch in arrays.items():
        if not key.startswith("batch_"):
            continue
        seen += 1
        name = key.removeprefix("batch_")
        slices, channels = batch.shape[:2]
        volume = average(batch)
        if slices >= channels:
            torch.testing.assert_close(volume, arrays[f"avgvol_{name}"], rtol=0, atol=1e-6)
            torch.testing.assert_close(cut(volume, channels // 2), arrays[f"rebatch_{name}"], rtol=0, atol=1e-6)
        else:
            torch.testing.assert_close(volume, _by_hand(batch), rtol=0, atol=1e-6)
    assert seen


def _by_hand(batch: torch.Tensor) -> torch.Tensor:
    """Average with true counts; upstream's divisors are wrong where there are fewer slices than channels."""
    slices, channels = batch.shape[:2]
    covering = [[batch[p - c, c] for c in range(channels) if 0 <= p - c < slices] for p in range(slices + channels - 1)]
    assert cover(slices, channels // 2).tolist() == [len(found) for found in covering]
    return torch.stack([torch.stack(found).mean(0) for found in covering])
