"""What every network must do, tried on its tiny configuration."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch

import family_models
from napari_harmonize.condition import Condition
from napari_harmonize.errors import HarmonizeError
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import from_json, to_json

every_network = pytest.mark.parametrize("name", NETWORKS)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _tiny(name: str) -> torch.nn.Module:
    """A tiny network in which no weight is zero."""
    if name == "exported":
        settings, program = family_models.build(name)
        network = NETWORKS[name].load()(settings)
        network.load_state_dict(program)
        return network
    network = NETWORKS[name].load()(NETWORKS[name].settings.tiny())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(0.2 * torch.randn(value.shape, generator=generator) + (1.0 if value.ndim == 1 else 0.0))
    return network.eval()


def _fact(network: torch.nn.Module, name: str, usual):
    return getattr(network, name, usual)


def _inputs(network: torch.nn.Module, batch: int = 3):
    sides = [max(times * network.multiple, _fact(network, "least", 0)) for times in (2, 3)]
    sides = [network.multiple] * (_fact(network, "dimensions", 2) - 2) + sides
    x_t, source = (_random(batch, network.channels, *sides, seed=seed) for seed in (2, 3))
    style, source_style = (_random(batch, 3, max(network.bins, 8), seed=seed) for seed in (4, 5))
    position = torch.rand(batch, 3, *sides, generator=torch.Generator().manual_seed(6))
    return x_t, torch.arange(batch) * 300, Condition(source, style, source_style, position)


@every_network
def test_keeps_the_shape(name):
    network = _tiny(name)
    x_t, t, condition = _inputs(network)
    result = network(x_t, t, condition)
    assert result.shape == (len(x_t), x_t.shape[1] * (1 + _fact(network, "learns_variance", False)), *x_t.shape[2:])
    assert result.isfinite().all()


@every_network
def test_batch_items_are_independent(name):
    network = _tiny(name)
    x_t, t, condition = _inputs(network)
    whole = network(x_t, t, condition)
    for item in range(len(x_t)):
        rows = slice(item, item + 1)
        torch.testing.assert_close(network(x_t[rows], t[rows], condition.take(rows)), whole[rows], rtol=1e-4, atol=1e-5)


@every_network
def test_gradient_reaches_every_parameter(name):
    network = _tiny(name)
    network(*_inputs(network)).square().sum().backward()
    idle = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert not idle


@every_network
def test_looks_at_everything_it_is_given(name):
    network = _tiny(name)
    x_t, t, condition = _inputs(network)
    before = network(x_t, t, condition)
    changed = [network(x_t + 0.5 * _random(*x_t.shape, seed=7), t, condition)]
    others = [network(x_t, t + 57, condition), network(x_t, t, condition._replace(source=condition.source + 0.5))]
    if _fact(network, "direct", False):
        assert all(torch.equal(after, before) for after in others)
    else:
        changed += others
    if _fact(network, "dimensions", 2) == 3:
        changed.append(network(x_t, t, condition._replace(position=condition.position.flip(2, 3, 4))))
    if network.needs_style:
        changed.append(network(x_t, t, condition._replace(style=condition.style.flip(-1))))
    assert all(not torch.allclose(after, before, atol=1e-6) for after in changed)


@every_network
def test_sizes_that_do_not_divide_are_refused(name):
    network = _tiny(name)
    x_t, t, condition = _inputs(network)
    assert network.multiple > 1
    with pytest.raises(HarmonizeError, match=rf"divisible by {network.multiple}"):
        network(x_t[..., 1:], t, condition._replace(source=condition.source[..., 1:], position=condition.position[..., 1:]))


@every_network
def test_a_missing_condition_is_refused(name):
    network = _tiny(name)
    x_t, t, condition = _inputs(network)
    if not _fact(network, "direct", False):
        with pytest.raises(HarmonizeError, match="source"):
            network(x_t, t, condition._replace(source=None))
    if _fact(network, "dimensions", 2) == 3:
        with pytest.raises(HarmonizeError, match="position"):
            network(x_t, t, condition._replace(position=None))
    if network.needs_style:
        with pytest.raises(HarmonizeError, match="style key"):
            network(x_t, t, Condition(condition.source))


@every_network
def test_a_tiny_instance_takes_less_than_a_second(name):
    network = _tiny(name)
    before = time.process_time()
    network(*_inputs(network))
    assert time.process_time() - before < 1


@every_network
def test_settings_go_through_json(name):
    settings = NETWORKS[name].settings.tiny()
    assert from_json(NETWORKS[name].settings, to_json(settings)) == settings
    assert NETWORKS[name].help


@torch.inference_mode()
@every_network
def test_narrow_numbers_and_channels_last_change_little(name):
    network = _tiny(name)
    x_t, t, condition = _inputs(network)
    exact = network(x_t, t, condition)
    layout = torch.channels_last if x_t.ndim == 4 else torch.channels_last_3d
    last = network.to(memory_format=layout)(x_t.to(memory_format=layout), t, condition)
    torch.testing.assert_close(last, exact, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = network(x_t, t, condition)
    assert float((narrow.float() - exact).norm() / exact.norm()) < 0.1


def test_tables_are_read_without_torch():
    code = "import sys, napari_harmonize.networks, napari_harmonize.diffusion; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
