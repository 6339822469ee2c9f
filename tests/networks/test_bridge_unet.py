"""The published network: its size, its variants, its refusals."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.errors import HarmonizeError, ModelError, SettingsError, StyleError, VolumeError
from napari_harmonize.networks.blocks import AttentionBlock, GroupNorm32, SpatialTransformer, sinusoid
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings
from napari_harmonize.settings import replace


@pytest.mark.parametrize(("bins", "parameters"), [(128, 254_149_507), (0, 237_094_787)])
def test_published_size(bins, parameters):
    with torch.device("meta"):
        network = BridgeUNet(BridgeUNetSettings(bins=bins))
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert not list(network.buffers())
    assert (network.channels, network.multiple, network.bins, network.needs_style) == (3, 4, bins, bins > 0)


@pytest.mark.slow
def test_published_size_computes():
    with torch.inference_mode():
        network = BridgeUNet(BridgeUNetSettings())
        x = torch.zeros(1, 3, 32, 32)
        assert network(x, torch.tensor([999]), Condition(x, torch.zeros(1, 3, 128))).shape == x.shape


def _published_without_weights(**changes) -> list[str]:
    with torch.device("meta"):
        return list(BridgeUNet(BridgeUNetSettings(**changes)).state_dict())


def test_attention_sits_in_the_middle_alone_unless_asked():
    middle = [name for name in _published_without_weights() if ".norm." in name]
    assert {name.split(".")[0] for name in middle} == {"middle_block"}
    listed = _published_without_weights(attention=(4,))
    # with attention as child 1, the resampling block becomes child 2
    assert "output_blocks.2.1.norm.weight" in listed
    assert "output_blocks.2.2.in_layers.2.weight" in listed


@pytest.mark.parametrize(
    "changes",
    [
        {"multipliers": (2, 4)},
        {"multipliers": ()},
        {"width": 48},
        {"head_width": 48},
        {"multipliers": (1, 3), "width": 32, "head_width": 64},
    ],
)
def test_impossible_settings_are_refused(changes):
    with pytest.raises(SettingsError, match="multiplier of 1"):
        BridgeUNetSettings(**changes)


def _tiny(**changes) -> BridgeUNet:
    return BridgeUNet(replace(BridgeUNetSettings.tiny(), **changes))


@pytest.mark.parametrize(
    ("x", "condition", "error", "sentence"),
    [
        (torch.zeros(1, 3, 7, 8), Condition(torch.zeros(1, 3, 7, 8), torch.zeros(1, 3, 16)), VolumeError, "divisible by 2.*7 x 8"),
        (torch.zeros(1, 2, 8, 8), Condition(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 16)), VolumeError, "stacks of 3 slices.*2"),
        (torch.zeros(1, 3, 8, 8), Condition(None, torch.zeros(1, 3, 16)), ModelError, "source slices.*none"),
        (torch.zeros(1, 3, 8, 8), Condition(torch.zeros(1, 1, 8, 8), torch.zeros(1, 3, 16)), ModelError, "3 source slices.*1"),
        (torch.zeros(1, 3, 8, 8), Condition(torch.zeros(1, 3, 8, 8)), StyleError, "16 bins.*none"),
        (torch.zeros(1, 3, 8, 8), Condition(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 128)), StyleError, r"16 bins.*\(3, 128\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, condition, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        _tiny()(x, torch.tensor([5]), condition)
    assert isinstance(caught.value, HarmonizeError)


def test_without_source_only_the_noisy_stack_is_seen():
    network = _tiny(source_channels=0, bins=0)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert network(x, torch.tensor([3, 4]), Condition()).shape == x.shape


def test_sinusoid_has_cosines_first():
    found = sinusoid(torch.tensor([0, 100]), 4)
    assert found[0].tolist() == [1, 1, 0, 0]
    angle = torch.tensor([100.0, 100.0 * 10000 ** (-0.5)])
    torch.testing.assert_close(found[1], torch.cat([angle.cos(), angle.sin()]))


def test_group_norm_is_computed_wide():
    norm = GroupNorm32(32)
    x = (1000 + torch.randn(2, 32, 4, 4, generator=torch.Generator().manual_seed(0))).half()
    found = norm(x)
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), norm(x.float()), rtol=0, atol=2e-3)


@pytest.mark.parametrize("heads", [1, 2])
def test_old_attention_by_hand(heads):
    """Heads are cut first, and query, key and value inside each head; both are scaled by width^(-1/4)."""
    block, x = AttentionBlock(32, 32 // heads), torch.randn(2, 32, 3, 4, generator=torch.Generator().manual_seed(0))
    per_head = block.qkv(block.norm(x.flatten(2))).reshape(2 * heads, 3 * 32 // heads, 12)
    q, k, v = per_head.split(32 // heads, dim=1)
    scale = (32 // heads) ** -0.25
    weight = torch.softmax((q * scale).transpose(1, 2) @ (k * scale), dim=-1)
    mixed = (v @ weight.transpose(1, 2)).reshape(2, 32, 12)
    torch.testing.assert_close(block(x), (x.flatten(2) + block.proj_out(mixed)).reshape(x.shape), rtol=1e-5, atol=1e-6)


def test_transformer_looks_at_every_token_of_the_key():
    block = SpatialTransformer(32, 16, 32)
    x, key = (torch.randn(*shape, generator=torch.Generator().manual_seed(0)) for shape in ((1, 32, 3, 4), (1, 3, 16)))
    before = block(x, key)
    for token in range(3):
        other = key.clone()
        other[:, token] += 1
        assert not torch.equal(block(x, other), before)
