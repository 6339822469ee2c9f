"""The guided-diffusion network: its published sizes, its switches, its refusals."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.errors import ModelError, SettingsError, VolumeError
from napari_harmonize.networks.blocks import AttentionBlock
from napari_harmonize.networks.guided_unet import GuidedUNet, GuidedUNetSettings
from napari_harmonize.settings import replace

published = GuidedUNetSettings.for_image_size


def _on_meta(settings: GuidedUNetSettings) -> GuidedUNet:
    with torch.device("meta"):
        return GuidedUNet(settings)


def _keys(**changes) -> dict[str, tuple[int, ...]]:
    network = _on_meta(published(**changes))
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        (published(), 11_402_370),
        (published(256, (16, 8)), 11_402_370),
        (published(heads=4), 11_402_370),
        (published(256, (32,)), 11_733_890),
        (published(64), 11_733_890),
        (published(scale_shift=True), 12_846_978),
        (published(resblock_updown=True), 12_684_930),
        (published(classes=2), 11_403_394),
        (published(128), 85_600_386),
        (published(64, (16, 8), heads=4, scale_shift=True), 13_510_018),
    ],
)
def test_published_sizes(settings, parameters):
    network = _on_meta(settings)
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert not list(network.buffers())
    assert (network.channels, network.dimensions, network.learns_variance, network.needs_style) == (1, 2, True, False)
    assert network.multiple == 2 ** (len(settings.multipliers) - 1)


def test_the_defaults_are_the_published_configuration():
    assert published() == GuidedUNetSettings()
    assert len(_keys()) == 272


def test_names_and_shapes_are_the_published_ones():
    keys = _keys()
    assert keys["time_embed.0.weight"] == (512, 128)
    assert keys["input_blocks.0.0.weight"] == (128, 2, 3, 3)
    assert keys["input_blocks.3.0.op.weight"] == keys["output_blocks.2.1.conv.weight"] == (128, 128, 3, 3)
    assert keys["middle_block.1.qkv.weight"] == (384, 128, 1)
    assert keys["output_blocks.11.0.skip_connection.weight"] == (128, 256, 1, 1)
    assert keys["out.2.weight"] == (2, 128, 3, 3)
    assert [name for name in keys if name.endswith("qkv.weight")] == ["middle_block.1.qkv.weight"]


def test_switches_move_names_as_published():
    # with attention as child 1, the convolution that doubles becomes child 2
    attentive = _keys(resolutions=(32,))
    assert "input_blocks.10.1.qkv.weight" in attentive
    assert "output_blocks.2.2.conv.weight" in attentive
    assert _keys(classes=2)["label_emb.weight"] == (2, 512)
    assert _keys(scale_shift=True)["input_blocks.1.0.emb_layers.1.weight"] == (256, 512)
    resampling = _keys(resblock_updown=True)
    assert "input_blocks.3.0.in_layers.0.weight" in resampling
    assert not [name for name in resampling if ".op." in name or ".conv." in name]
    assert _keys(source_channels=3)["input_blocks.0.0.weight"] == (128, 4, 3, 3)
    assert _keys(learned_variance=False)["out.2.weight"] == (1, 128, 3, 3)
    wide = _keys(multipliers=(2, 4), width=64)
    assert wide["input_blocks.0.0.weight"] == (128, 2, 3, 3)
    assert wide["out.2.weight"] == (2, 128, 3, 3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"multipliers": ()}, "divisible by 32"),
        ({"width": 48}, "divisible by 32"),
        ({"heads": 3}, "heads divide"),
        ({"heads_up": 3}, "heads divide"),
        ({"head_width": 48}, "heads divide"),
        ({"classes": 2, "label": 2}, "one of 2 classes"),
    ],
)
def test_impossible_settings_are_refused(changes, sentence):
    with pytest.raises(SettingsError, match=sentence):
        GuidedUNetSettings(**changes)


def test_other_image_sizes_need_multipliers():
    with pytest.raises(SettingsError, match=r"512, 256, 128, 64.*224"):
        published(224)
    assert published(224, (112, 7), multipliers=(1, 2)).attention == (2,)


def _tiny(**changes) -> GuidedUNet:
    """A tiny network in which no weight is zero."""
    network = GuidedUNet(replace(GuidedUNetSettings.tiny(), **changes))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(0.2 * torch.randn(value.shape, generator=generator))
    return network.eval()


def _random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"classes": 0, "label": 0},
        {"resblock_updown": True, "scale_shift": True, "dropout": 0.3},
        {"source_channels": 3, "learned_variance": False},
        {"source_channels": 0, "channels": 3},
        {"attention": (1, 2), "head_width": 32, "attention_order": "new"},
        {"heads": 4, "heads_up": 2, "multipliers": (2, 1)},
    ],
)
def test_every_switch_computes(changes):
    network = _tiny(**changes)
    settings = network.settings
    x, source = _random(2, settings.channels, 8, 12), _random(2, max(settings.source_channels, 1), 8, 12, seed=2)
    found = network(x, torch.tensor([3, 900]), Condition(source))
    assert found.shape == (2, settings.channels * (1 + settings.learned_variance), 8, 12)
    assert found.isfinite().all()
    assert torch.equal(found, network(x, torch.tensor([3, 900]), Condition(source)))


@torch.inference_mode()
def test_labels_order_and_rescaled_times_matter():
    x, source, t = _random(1, 1, 8, 8), Condition(_random(1, 1, 8, 8, seed=2)), torch.tensor([40])
    plain = _tiny()(x, t, source)
    assert not torch.allclose(_tiny(label=0)(x, t, source), plain, atol=1e-4)
    assert not torch.allclose(_tiny(attention_order="new")(x, t, source), plain, atol=1e-4)
    torch.testing.assert_close(_tiny(time_scale=20.0)(x, torch.tensor([2]), source), plain)


def test_it_begins_by_predicting_nothing():
    network = GuidedUNet(GuidedUNetSettings.tiny())
    x = _random(1, 1, 8, 8)
    assert not network(x, torch.tensor([5]), Condition(x)).any()


@pytest.mark.parametrize(
    ("x", "source", "error", "sentence"),
    [
        (torch.zeros(1, 1, 7, 8), torch.zeros(1, 1, 7, 8), VolumeError, "divisible by 2.*7 x 8"),
        (torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8), VolumeError, "1 noisy slices.*2"),
        (torch.zeros(1, 1, 8, 8), None, ModelError, "1 source slices.*none"),
        (torch.zeros(1, 1, 8, 8), torch.zeros(1, 2, 8, 8), ModelError, "1 source slices.*2"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, source, error, sentence):
    with pytest.raises(error, match=sentence):
        _tiny()(x, torch.tensor([5]), Condition(source))


@pytest.mark.parametrize("heads", [1, 4])
def test_new_attention_by_hand(heads):
    """Query, key and value are split first, then heads."""
    block, x = AttentionBlock(32, 32 // heads, heads_first=False), _random(2, 32, 3, 4)
    parts = block.qkv(block.norm(x.flatten(2))).chunk(3, dim=1)
    q, k, v = (part.reshape(2 * heads, 32 // heads, 12) for part in parts)
    weight = torch.softmax(q.transpose(1, 2) @ k / (32 // heads) ** 0.5, dim=-1)
    mixed = (v @ weight.transpose(1, 2)).reshape(2, 32, 12)
    torch.testing.assert_close(block(x), (x.flatten(2) + block.proj_out(mixed)).reshape(x.shape), rtol=1e-5, atol=1e-6)
