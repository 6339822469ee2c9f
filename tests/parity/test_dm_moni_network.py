"""The published network: names, shapes, and what it computes, inner features included."""

from __future__ import annotations

import pytest
import torch

from dm_moni_set import by_recipe, loaded, network_settings, state_of
from napari_harmonize.condition import Condition
from napari_harmonize.networks.blocks import sinusoid
from napari_harmonize.networks.guided_unet import GuidedUNet

FORWARD = 1e-4


def _worst(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max())


def ask(network: GuidedUNet, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Ask with upstream's input, source channels first."""
    sources = network.settings.source_channels
    with torch.inference_mode():
        return network(x[:, sources:], t, Condition(x[:, :sources]))


def test_it_has_exactly_the_published_tensors(dm_moni_model):
    reference, name = dm_moni_model
    model = reference.config["models"][name]
    with torch.device("meta"):
        network = GuidedUNet(network_settings(model))
    assert [[key, list(value.shape)] for key, value in network.state_dict().items()] == [
        [key, shape] for key, shape, _ in model["state_dict"]
    ]
    assert sum(value.numel() for value in network.parameters()) == model["n_params"]


def test_the_written_recipe_gives_the_weights(dm_moni_model):
    reference, name = dm_moni_model
    model = reference.config["models"][name]
    state = state_of(reference, name)
    for key, _, total in model["state_dict"]:
        assert float(state[key].double().sum()) == pytest.approx(total, abs=1e-9), key
    if model["weights_from_recipe"] and model["weights_file"]:
        half = next(iter(reference.state(model["weights_file"]).values())).dtype == torch.float16
        again = by_recipe(model["state_dict"], reference.config["seed"], half)
        assert all(torch.equal(again[key], value) for key, value in state.items())


def test_forward_and_inner_features(dm_moni):
    arrays, network, kept = dm_moni.tensors("tiny_unet.npz"), loaded(dm_moni, "tiny"), {}
    names = {"act_" + key.replace(".", "_"): module for key, module in network.named_modules()}
    wanted = [name for name in arrays if name.startswith("act_")]
    hooks = []
    for name in wanted:
        # the middle block is a list for us: its last part gives what upstream's gives
        module = names[name if name != "act_middle_block" else "act_middle_block_2"]
        module = module[-1] if isinstance(module, torch.nn.ModuleList) else module
        hooks.append(module.register_forward_hook(lambda module, given, result, name=name: kept.update({name: result})))
    out = ask(network, arrays["x"], arrays["t"])
    for hook in hooks:
        hook.remove()
    assert _worst(out, arrays["out"]) <= FORWARD
    assert len(kept) == len(wanted) > 0
    for name, value in kept.items():
        assert _worst(value, arrays[name]) <= FORWARD, name


def test_every_time_is_told_apart(dm_moni):
    arrays, network = dm_moni.tensors("tiny_unet.npz"), loaded(dm_moni, "tiny")
    t = arrays["sweep_t"]
    out = ask(network, arrays["sweep_x"].expand(len(t), -1, -1, -1), t)
    assert _worst(out, arrays["sweep_out"]) <= FORWARD


def test_time_embedding(dm_moni):
    arrays = dm_moni.tensors("tiny_unet.npz")
    embedded = {name: value for name, value in arrays.items() if name.startswith("temb_") and name != "temb_t"}
    assert embedded
    for name, value in embedded.items():
        assert _worst(sinusoid(arrays["temb_t"], value.shape[1]), value) <= FORWARD, name


def test_variant_with_heads_attention_and_scale_shift(dm_moni):
    arrays, network = dm_moni.tensors("variant.npz"), loaded(dm_moni, "variant")
    # the set gives times as the network hears them, after upstream's rescaling
    heard = network.settings.time_scale
    assert heard > 1
    for t, out in (("unet_t", "unet_out"), ("unet_t_float", "unet_out_t_float")):
        assert _worst(ask(network, arrays["unet_x"], arrays[t] / heard), arrays[out]) <= FORWARD, t


@pytest.mark.parametrize("size", ["64", pytest.param("224", marks=pytest.mark.slow)])
def test_published_size(dm_moni, size):
    arrays, network = dm_moni.tensors("published_unet.npz"), loaded(dm_moni, "published")
    assert _worst(ask(network, arrays[f"x_{size}"], arrays[f"t_{size}"]), arrays[f"out_{size}"]) <= FORWARD
