"""The published network: names, shapes, and what it computes, inner features included."""

from __future__ import annotations

import json

import pytest
import torch

from bridge_set import loaded, network_settings, style_of
from napari_harmonize.condition import Condition
from napari_harmonize.networks.blocks import sinusoid
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings


def _features(network: BridgeUNet, *arguments) -> dict[str, torch.Tensor]:
    """Run the network and keep what goes in and out of its middle."""
    kept = {}

    def keep(name):
        def hook(module, given, result):
            kept[f"{name}_in"], kept[f"{name}_out"] = given[0], result

        return hook

    first, attention, last = network.middle_block
    hooks = [
        first.register_forward_hook(keep("first")),
        attention.register_forward_hook(keep("st")),
        last.register_forward_hook(keep("last")),
    ]
    hooks.append(network.time_embed.register_forward_hook(keep("embed")))
    kept["out"] = network(*arguments)
    for hook in hooks:
        hook.remove()
    names = {"t_emb": "embed_in", "emb": "embed_out", "mid_in": "first_in", "mid_out": "last_out"}
    return kept | {name: kept[ours] for name, ours in names.items()}


def _worst(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).abs().max())


def test_forward_and_inner_features(ct2mri):
    arrays, network = ct2mri.tensors("unet_forward.npz"), loaded(ct2mri)
    tolerance = ct2mri.tolerance("UNet forward", 1e-5)
    style = style_of(arrays["crossattn"]) if network.needs_style else None
    found = _features(network, arrays["x"], arrays["timesteps"], Condition(arrays["concat"], style))
    compared = {name for name in found if name in arrays}
    assert "out" in compared
    assert _worst(found["out"], arrays["out"]) <= tolerance
    for name in compared:
        # inner features reach magnitudes of 17, where float32 itself is no better than 1e-5
        assert _worst(found[name], arrays[name]) <= tolerance * max(1.0, float(arrays[name].abs().max())), name


def test_each_item_has_its_own_key(ct2mri):
    arrays, network = ct2mri.tensors("unet_forward.npz"), loaded(ct2mri)
    if "out_with_keys_swapped" not in arrays:
        pytest.skip("this set swaps no keys")
    condition = Condition(arrays["concat"], style_of(arrays["crossattn"]).flip(0))
    found = network(arrays["x"], arrays["timesteps"], condition)
    assert _worst(found, arrays["out_with_keys_swapped"]) <= ct2mri.tolerance("UNet forward", 1e-5)
    assert _worst(found, arrays["out"]) > 1e-4


def test_forward_without_style_key(ct2mri):
    arrays, network = ct2mri.tensors("pure.npz"), loaded(ct2mri, "pure")
    assert not network.needs_style
    found = network(arrays["x"], arrays["timesteps"], Condition(arrays["concat"]))
    assert _worst(found, arrays["out"]) <= ct2mri.tolerance("UNet forward", 1e-5)


def test_time_embedding(ct2mri):
    arrays = ct2mri.tensors("unet_forward.npz")
    found = sinusoid(arrays["timesteps"], arrays["t_emb"].shape[1])
    assert _worst(found, arrays["t_emb"]) <= ct2mri.tolerance("UNet forward", 1e-5)


@pytest.mark.parametrize("which", ["", "pure"])
def test_the_set_has_exactly_our_tensors(ct2mri, which):
    prefix = f"{which}_" if which else ""
    state = ct2mri.state(f"{prefix}state_dict.safetensors")
    theirs = {key: tuple(value.shape) for key, value in state.items() if key.startswith("denoise_fn.")}
    with torch.device("meta"):
        network = BridgeUNet(network_settings(ct2mri.config[f"{prefix}unet"]))
    assert {f"denoise_fn.{key}": tuple(value.shape) for key, value in network.state_dict().items()} == theirs


@pytest.mark.parametrize(("layout", "bins"), [("skc", 128), ("pure", 0)])
def test_published_layout(ct2mri, layout, bins):
    published = json.loads(ct2mri.file("published_layout.json").read_text())[layout]
    with torch.device("meta"):
        network = BridgeUNet(BridgeUNetSettings(bins=bins))
    assert {f"denoise_fn.{key}": list(value.shape) for key, value in network.state_dict().items()} == published["parameters"]
    assert sum(value.numel() for value in network.parameters()) == published["n_parameters"]
