"""The spine system's networks at published size, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.errors import HarmonizeError, ModelError, SettingsError, VolumeError
from napari_harmonize.networks import NETWORKS
from napari_harmonize.networks.pix2pix_unet import Pix2PixUNet, Pix2PixUNetSettings
from napari_harmonize.networks.sa_blocks import fold, unfold
from napari_harmonize.networks.sa_unet import SaUNet, SaUNetSettings
from napari_harmonize.networks.unet_3d import UNet3d, UNet3dSettings

PUBLISHED = [
    ("sa-unet", {}, 287, 32.63e6),
    ("sa-unet", {"learns_variance": True}, 287, 32.63e6),
    ("unet-3d", {}, 224, 87.31e6),
    ("pix2pix-unet", {}, None, 397.0e6),
    ("pix2pix-unet", {"levels": 5}, None, 99e6),
    ("resnet-generator", {}, None, 0.48e6),
]


@pytest.mark.parametrize(("name", "changes", "tensors", "parameters"), PUBLISHED)
def test_published_size(name, changes, tensors, parameters):
    row = NETWORKS[name]
    with torch.device("meta"):
        network = row.load()(row.settings(**changes))
    assert tensors is None or len(network.state_dict()) == tensors
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(parameters, rel=0.007)


def test_the_three_dimensional_form_with_attention_differs_by_its_names():
    attentive = SaUNet(SaUNetSettings(width=8, multipliers=(1.0, 2.0), dimensions=3, position=True))
    plain = UNet3d(UNet3dSettings(width=8, multipliers=(1.0, 2.0)))
    assert any(name.startswith("mid_attn.") for name in attentive.state_dict())
    assert not any("attn" in name or ".fn." in name for name in plain.state_dict())
    x = torch.randn(2, 1, 4, 6, 2)
    condition = Condition(torch.randn_like(x), position=torch.rand(2, 3, 4, 6, 2))
    assert attentive(x, torch.tensor([3, 900]), condition).shape == x.shape
    assert all(value.ndim in (1, 2, 5) for value in attentive.state_dict().values())


def test_folding_goes_round_and_the_network_takes_folded_images():
    x = torch.randn(2, 3, 4, 6)
    assert torch.equal(unfold(fold(x, 2), 2), x)
    network = SaUNet(SaUNetSettings(width=8, multipliers=(1.0, 1.0), patch=2))
    assert network.multiple == 4
    image = torch.randn(1, 1, 8, 12)
    assert network(image, torch.tensor([5]), Condition(image)).shape == image.shape


def test_a_generator_does_not_hear_the_time():
    network = UNet3d(UNet3dSettings(source_channels=0, timed=False, width=8, multipliers=(1.0,)))
    x, position = torch.randn(1, 1, 2, 2, 2), Condition(position=torch.rand(1, 3, 2, 2, 2))
    assert network.direct
    assert torch.equal(network(x, torch.tensor([7]), position), network(x, torch.tensor([1]), position))


def test_sides_too_short_for_reflection_are_refused():
    network = Pix2PixUNet(Pix2PixUNetSettings.tiny())
    with pytest.raises(VolumeError, match="at least 16"):
        network(torch.zeros(1, 1, 8, 16), torch.zeros(1), Condition())


@pytest.mark.parametrize(
    ("cls", "changes"),
    [
        (SaUNetSettings, {"width": 12}),
        (SaUNetSettings, {"multipliers": ()}),
        (SaUNetSettings, {"dimensions": 3, "patch": 2}),
        (UNet3dSettings, {"timed": False}),
    ],
)
def test_settings_that_cannot_be_built_are_refused(cls, changes):
    with pytest.raises(SettingsError):
        cls(**changes)


def test_other_channels_are_refused():
    network = SaUNet(SaUNetSettings.tiny())
    with pytest.raises(VolumeError, match="stacks of 1"):
        network(torch.zeros(1, 2, 4, 4), torch.zeros(1), Condition())
    with pytest.raises(ModelError, match="source of 1 channels"):
        network(torch.zeros(1, 1, 4, 4), torch.zeros(1), Condition(torch.zeros(1, 2, 4, 4)))
    assert issubclass(ModelError, HarmonizeError)
