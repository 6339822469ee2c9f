"""Parts of the published networks: activations, norms, row attention, embeddings, folding, wavelet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from napari_harmonize.networks import wavelet
from napari_harmonize.networks.blocks import sinusoid
from napari_harmonize.networks.modality_blocks import EPS, Attention, GroupNorm, RMSNorm, gelu, positions, sines_first
from napari_harmonize.translation.importers import flax
from xmodality_set import arrays, every_set, images, worst

PART = 1e-5
EMBEDDING = 2e-5


@every_set
def test_activations(folder):
    found = arrays(folder / "primitives.npz")
    given = torch.from_numpy(found["act_in"])
    assert worst(gelu(given), found["gelu"]) <= PART
    assert worst(F.silu(given), found["silu"]) <= PART


@every_set
def test_norms(folder):
    found = arrays(folder / "primitives.npz")
    given = images(found["norm_in"])
    size = given.shape[1]
    rms, group, layer = RMSNorm(size, axis=1), GroupNorm(size), torch.nn.LayerNorm(size, EPS)
    with torch.no_grad():
        for norm, name in ((rms, "rmsnorm"), (group, "groupnorm32"), (layer, "layernorm")):
            norm.weight.copy_(torch.from_numpy(found[f"{name}_scale"]))
            if f"{name}_bias" in found:
                norm.bias.copy_(torch.from_numpy(found[f"{name}_bias"]))
        assert worst(rms(given), images(found["rmsnorm_out"])) <= PART
        assert worst(group(given), images(found["groupnorm32_out"])) <= PART
        assert worst(layer(torch.from_numpy(found["norm_in"])), found["layernorm_out"]) <= PART


@every_set
def test_attention_of_a_map_sees_one_row_at_a_time(folder):
    found = arrays(folder / "primitives.npz")
    prefix = "attn4d_param|"
    stored = {key.removeprefix(prefix).replace("|", "/"): torch.from_numpy(value) for key, value in found.items() if key.startswith(prefix)}
    heads, features = stored["query/bias"].shape[0], stored["out/bias"].shape[0]
    attention = Attention(features, heads)
    shapes = {name: tuple(value.shape) for name, value in attention.state_dict().items()}
    wanted = flax.layout(shapes, lambda module: f"Attention_0/{module}", lambda path: heads)
    attention.load_state_dict(flax.fit({f"Attention_0/{key}": value for key, value in stored.items()}, wanted).state)
    given = torch.from_numpy(found["attn4d_in"])
    with torch.no_grad():
        rows = attention(given.flatten(0, 1)).reshape(given.shape)
        everywhere = attention(given.flatten(1, 2))
    assert worst(rows, found["attn4d_out"]) <= PART
    assert worst(everywhere, found["attn3d_out_of_flattened"]) <= PART
    assert worst(rows.flatten(1, 2), everywhere) > 0.1


@every_set
def test_embeddings(folder):
    found = arrays(folder / "embeddings.npz")
    t = torch.from_numpy(found["t"])
    for name, embed in (("unet_style_dim", sines_first), ("dit_style_dim", sinusoid)):
        for key in (key for key in found if key.startswith(name)):
            assert worst(embed(t, int(key.removeprefix(name))), found[key]) <= EMBEDDING, key
    for key in (key for key in found if key.startswith("pos2d")):
        sizes = [int(part[1:].removeprefix("im")) for part in key.split("_")[1:4]]
        every = int(key.partition("every")[2] or 1)
        assert worst(positions(*sizes)[:, ::every], found[key][0]) <= EMBEDDING, key


@every_set
def test_folding(folder):
    found = arrays(folder / "embeddings.npz")
    assert torch.equal(F.pixel_unshuffle(images(found["unshuffle_in"]), 2), images(found["unshuffle_out"]))
    assert torch.equal(F.pixel_shuffle(images(found["shuffle_in"]), 2), images(found["shuffle_out"]))


@every_set
@pytest.mark.parametrize("number", [0, 1])
def test_wavelet(folder, number):
    found = {key: value for key, value in arrays(folder / "wavelet.npz").items() if key.endswith(str(number))}
    image, coefficients = images(found[f"image{number}"]), images(found[f"coeffs{number}"])
    assert worst(wavelet.analyse(image), coefficients) <= PART
    assert worst(wavelet.synthesise(coefficients), images(found[f"reconstructed{number}"])) <= PART
    assert worst(wavelet.synthesise(wavelet.analyse(image)), image) <= PART
    assert worst(wavelet.synthesise(images(found[f"free_coeffs{number}"])), images(found[f"free_inverse{number}"])) <= PART


@every_set
def test_wavelet_kernels(folder):
    found = arrays(folder / "wavelet.npz")
    like = torch.zeros(1)
    low, high = torch.from_numpy(found["filter_bank"][0]), torch.from_numpy(found["filter_bank"][1])
    ours = wavelet.analysis_kernels(like)[:, 0]
    for kernel, (along_h, along_w) in zip(ours, ((low, low), (high, low), (low, high), (high, high)), strict=True):
        assert worst(kernel, torch.outer(along_h, along_w)) <= PART
    theirs = found["kernel_dec_c1"][:, 0]
    assert min(worst(ours, theirs), worst(ours.flip(-1, -2), np.ascontiguousarray(theirs))) <= PART
