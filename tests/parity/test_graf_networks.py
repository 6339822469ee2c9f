"""The spine system's networks: names, shapes, which weights count, and what they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from graf_set import FORWARD, close, condition_of, every_diffusion_set, folder_root, graf_sets, loaded, multipliers, params
from napari_harmonize.condition import Condition
from napari_harmonize.networks.pix2pix_unet import Pix2PixUNet, Pix2PixUNetSettings
from napari_harmonize.networks.resnet_generator import ResnetGenerator, ResnetGeneratorSettings
from napari_harmonize.networks.sa_blocks import fold, unfold
from napari_harmonize.networks.unet_3d import UNet3d, UNet3dSettings


@every_diffusion_set()
def test_forward_and_which_weights_count(found):
    arrays = found.arrays
    given = arrays["fwd.x_t"], arrays["fwd.t"], condition_of(arrays["fwd.cond"])
    assert found.config["weights_used_by_upstream_inference"] == found.config["state_dict_prefix_online"]
    assert close(loaded(found)(*given), arrays["fwd.out"], FORWARD)
    assert close(loaded(found, "ema")(*given), arrays["fwd.out_ema_weights"], FORWARD)
    assert not close(arrays["fwd.out_ema_weights"], arrays["fwd.out"], 1e-2)


@every_diffusion_set()
def test_time_embedding(found):
    arrays = found.arrays
    if "fwd.sinusoidal" not in arrays:
        pytest.skip("this set holds no time embedding")
    embedding = loaded(found).time_mlp
    assert close(embedding[0](arrays["fwd.t"]), arrays["fwd.sinusoidal"], FORWARD)
    assert close(embedding(arrays["fwd.t"]), arrays["fwd.time_mlp"], FORWARD)


@every_diffusion_set()
def test_forward_of_a_batch_with_and_without_time(found):
    arrays = found.arrays
    if "fwd_b2.net_in" not in arrays:
        pytest.skip("this set holds no batch of inputs")
    network, x = loaded(found), arrays["fwd_b2.net_in"]
    given = x[:, :1], condition_of(x[:, 1:])
    assert close(network(given[0], arrays["fwd_b2.t"], given[1]), arrays["fwd_b2.out"], FORWARD)
    assert close(network(given[0], torch.ones(len(x)), given[1]), arrays["fwd_b2.out_time_none"], FORWARD)


def _generators():
    found = graf_sets("lightning_2d_gan")
    return pytest.mark.parametrize("found", params(found, [one.name for one in found]))


def _generator(found) -> torch.nn.Module:
    options, prefix = found.options, found.config["state_dict_prefix_generator"]
    width = options["net_G_channel"]
    if options["model_name"] == "base_unet":
        network = Pix2PixUNet(Pix2PixUNetSettings(width=width, levels=options["net_G_depth"] // 2, dropout=options["net_G_drop_out"]))
    else:
        network = ResnetGenerator(ResnetGeneratorSettings(1, width, options["net_G_downsampling"], options["net_G_depth"]))
    network.load_state_dict(found.weights(prefix))
    return network.requires_grad_(False).eval()


@_generators()
def test_generators(found):
    network, arrays = _generator(found), found.arrays
    time = torch.zeros(len(arrays["real_A"]))
    assert close(network(arrays["real_A"], time, Condition()), arrays["fake_B"], FORWARD)
    if "idt_B" in arrays:
        assert close(network(arrays["real_B"], time, Condition()), arrays["idt_B"], FORWARD)


@_generators()
def test_inner_features(found):
    """Features by index: each level on the way down, the bridge, each on the way up; or children of the Sequential."""
    network, arrays = _generator(found), found.arrays
    if isinstance(network, Pix2PixUNet):
        layers = [*network.downs, network.bridgeBlock, *network.ups]
        wanted = {f"unet_layer{index}": layer for index, layer in enumerate(layers)}
    else:
        indices = [int(part) for part in found.options["nce_layers"].split(",")]
        wanted = {f"nce{order}.feat_k_map": network.model[index] for order, index in enumerate(indices)}
    kept = {}
    for name, layer in wanted.items():
        layer.register_forward_hook(lambda _m, _i, out, name=name: kept.update({name: out[0] if isinstance(out, tuple) else out}))
    network(arrays["real_A"], torch.zeros(len(arrays["real_A"])), Condition())
    compared = [name for name in kept if name in arrays]
    assert compared
    for name in compared:
        assert close(kept[name], arrays[name], FORWARD), name


@pytest.mark.parametrize("found", params(graf_sets(""), [one.name for one in graf_sets("")]))
def test_the_volume_generator(found):
    generator = found.config["generator"]
    assert generator["time"] is None
    settings = UNet3dSettings(
        source_channels=0, width=generator["dim"], multipliers=multipliers(generator["dim_multiples"]), position=True, timed=False
    )
    network = UNet3d(settings).requires_grad_(False).eval()
    network.load_state_dict(found.weights("generator."))
    x = found.arrays["gen.in"]
    assert x.shape[1] == generator["channels"] + generator["conditional_dimensions"]
    assert close(network(x[:, :1], torch.full((len(x),), 500), Condition(position=x[:, 1:])), found.arrays["gen.out"], FORWARD)


def test_folding_of_pixels():
    path = next(iter(sorted(folder_root().rglob("patchify.npz"))), None)
    if path is None:
        pytest.skip("no patchify.npz below HARMONIZE_REFERENCE")
    with np.load(path) as arrays:
        image, side = torch.from_numpy(arrays["image"]), int(arrays["p"])
        assert np.array_equal(fold(image, side).numpy(), arrays["to_patches"])
        assert np.array_equal(unfold(fold(image, side), side).numpy(), arrays["roundtrip"])
