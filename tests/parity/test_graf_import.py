"""Checkpoints of every layout, built from the reference sets, are understood without being told what they are."""

from __future__ import annotations

import pytest
import torch

from graf_checkpoint import lightning, raw
from graf_set import diffusion_sets, graf_sets, loaded, network_settings, params
from napari_harmonize.translation import recognise
from napari_harmonize.translation.importers.graf import convert, inspect

NETWORKS = {"base_unet": "pix2pix-unet", "resnet": "resnet-generator"}


def _sets(found: list):
    return pytest.mark.parametrize("found", params(found, [one.name for one in found]))


def _file(found, folder):
    """The set as its authors' code would have written it."""
    if "yaml_side_file" in found.config:
        return raw(folder / "released.pt", found.state, found.options)
    return lightning(folder / "last.ckpt", found.state, found.options, found.config["hyper_parameters_opt_class"])


def _same(found, wanted) -> bool:
    return set(found) == set(wanted) and all(torch.equal(found[name], value) for name, value in wanted.items())


@_sets(diffusion_sets())
def test_diffusion_files(found, tmp_path):
    path = _file(found, tmp_path)
    assert recognise(path) == "graf"
    layout = inspect(path)
    assert layout.settings == network_settings(found)
    assert (*layout.missing, *layout.unexpected, *layout.mis_shaped) == ()
    assert _same(layout.state, loaded(found).state_dict())
    recipe = convert(path).recipe
    options = found.options
    assert recipe.objective == ("clean" if options["image_mode"] else "noise")
    assert recipe.path == ("linear-beta" if options["linear"] else "cosine-beta")
    assert recipe.path_settings["steps"] == options["timesteps"]
    assert recipe.dropped == (options["image_dropout"] > 0)
    assert recipe.learns_variance == options["learned_variance"]
    wanted = options.get("target_shape3D") or options.get("target_patch_shape") or ()
    assert recipe.patch == tuple(wanted)


@_sets(graf_sets("lightning_2d_gan"))
def test_generator_files(found, tmp_path):
    path = _file(found, tmp_path)
    assert recognise(path) == "graf"
    layout = inspect(path)
    assert layout.network == NETWORKS[found.options["model_name"]]
    assert (*layout.missing, *layout.unexpected, *layout.mis_shaped) == ()
    assert _same(layout.state, found.weights(found.config["state_dict_prefix_generator"]))
    assert convert(path).recipe.path == "direct"


@_sets(graf_sets(""))
def test_the_volume_generator(found, tmp_path):
    path = raw(tmp_path / "generator.pt", found.state, None)
    assert recognise(path) == "graf"
    layout = inspect(path)
    assert (layout.network, layout.direct, layout.dimensions) == ("unet-3d", True, 3)
    assert _same(layout.state, found.weights("generator."))
    assert convert(path).recipe.conditioning == ("source", "position")
