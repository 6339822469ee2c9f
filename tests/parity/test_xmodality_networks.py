"""The four published networks: names, shapes, and what they compute, inner features included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors import safe_open

from napari_harmonize.networks import NETWORKS
from napari_harmonize.translation.importers.xmodality_layout import kind_of, layout, module_names, network_settings
from xmodality_set import PARAMETERS, arrays, ask, config, every_network, every_set, images, loaded, worst

if TYPE_CHECKING:
    from collections.abc import Mapping

FORWARD = 1e-4
NARROW = 0.03


def _names(network: torch.nn.Module) -> Mapping[str, str]:
    """Our modules by their Flax path, containers included."""
    kind = next(name for name, row in NETWORKS.items() if row.load() is type(network))
    found = {"Transformer_0": "middle"}
    for ours, theirs in module_names(kind, network.settings).items():
        while theirs:
            found.setdefault(theirs, ours)
            ours, theirs = ours.rpartition(".")[0], theirs.rpartition("/")[0]
    return found


@every_set
def test_published_layouts(folder):
    published = json.loads((folder / "published_layout.json").read_text())
    for arch, entry in published.items():
        shapes = {key: torch.empty(shape, device="meta") for key, shape in entry["tensors"].items()}
        kind = kind_of(set(shapes))
        assert kind == f"xmodality-{arch}"
        settings = network_settings(kind, shapes, arch)
        assert settings == type(settings)(), "the defaults are the published configuration"
        wanted = layout(kind, settings)
        assert {key: list(leaf.shape) for key, leaf in wanted.items()} == entry["tensors"]
        assert sum(int(np.prod(leaf.into)) for leaf in wanted.values()) == entry["num_params"]


@every_network
def test_sizes_are_read_from_the_shapes(folder, arch):
    network, said = loaded(folder, arch), config(folder, arch)
    assert sum(value.numel() for value in network.parameters()) == said["num_params"]
    with safe_open(folder / f"{arch}{PARAMETERS}", "pt") as stored:
        assert len(list(stored.keys())) == said["num_tensors"] == len(network.state_dict())
    ours = {"dim": "width", "dim_mults": "multipliers", "num_heads": "heads", "vit_num_heads": "token_heads", "vit_depth": "depth"}
    ours |= {"patch_size": "patch", "hidden_size": "features", "depth": "depth", "mlp_ratio": "expansion"}
    ours |= {"frequency_embedding_size": "frequencies"}
    for theirs, value in said["constructor_arguments"].items():
        if theirs in ours:
            assert getattr(network.settings, ours[theirs]) == (tuple(value) if isinstance(value, list) else value), theirs


@every_network
def test_forward(folder, arch):
    network, found = loaded(folder, arch), arrays(folder / f"{arch}_forward.npz")
    exact = arrays(folder / "forward_float64.npz")
    cases = sorted(key.removesuffix("_out") for key in found if key.endswith("_out"))
    assert len(cases) >= 2
    for case in cases:
        ours = ask(network, found, case)
        assert worst(ours, images(found[f"{case}_out"])) <= FORWARD, case
        if f"{arch}_{case}_out_f64" in exact:
            assert worst(ours, images(exact[f"{arch}_{case}_out_f64"])) <= FORWARD, case


@every_network
def test_forward_in_double_precision(folder, arch):
    """What float32 rounds away is not hiding a difference."""
    network, found = loaded(folder, arch), arrays(folder / f"{arch}_forward.npz")
    narrow = ask(network, found, "case0").numpy()
    exact = arrays(folder / "forward_float64.npz")[f"{arch}_case0_out_f64"]
    assert np.abs(narrow - images(exact).numpy()).max() < 5e-5


@every_network
def test_forward_in_narrow_numbers(folder, arch):
    found, theirs = arrays(folder / f"{arch}_forward.npz"), arrays(folder / "forward_bfloat16.npz")
    with torch.autocast("cpu", torch.bfloat16):
        ours = ask(loaded(folder, arch), found, "case0").float()
    assert float((ours - images(theirs[f"{arch}_case0_out_bf16"])).square().mean().sqrt()) <= NARROW


@every_network
def test_inner_features(folder, arch):
    network, features = loaded(folder, arch), arrays(folder / f"{arch}_intermediates.npz")
    names, kept = _names(network), {}
    compared = {key: names[key.replace("|", "/")] for key in features if key.replace("|", "/") in names}
    hooks = [
        network.get_submodule(ours).register_forward_hook(lambda module, given, result, key=key: kept.update({key: result}))
        for key, ours in compared.items()
    ]
    ask(network, arrays(folder / f"{arch}_forward.npz"), "case0")
    for hook in hooks:
        hook.remove()
    unnamed = [key for key in features if key not in compared and "Sequential_" not in key and "Sinusoidal" not in key]
    assert not unnamed
    for key, result in kept.items():
        # an encoder level of ours may hold more than one module of theirs
        ours = result[0] if isinstance(result, tuple) else result
        ours = ours.permute(0, 2, 3, 1) if ours.ndim == 4 else ours
        theirs = features[key].reshape(-1)
        if key == "FinalLayer_0":  # ours gives patches, theirs the image made of them
            continue
        assert worst(ours.reshape(-1)[: len(theirs)], theirs) <= FORWARD * max(1.0, float(np.abs(theirs).max())), key


@every_set
@pytest.mark.parametrize("arch", ["adm", "uvit"])
def test_the_order_of_rows_and_columns_matters(folder, arch):
    network, found = loaded(folder, arch), arrays(folder / f"{arch}_forward.npz")
    before = ask(network, found, "case0")
    turned = {key: value.swapaxes(1, 2) if value.ndim == 4 else value for key, value in found.items()}
    assert worst(ask(network, turned, "case0").transpose(2, 3), before) > 0.01
