"""Weights of a reference set, saved as the published code saves them, are understood without being told what they are."""

from __future__ import annotations

from collections import OrderedDict

import torch

from dm_moni_set import network_settings, path_of, state_of
from napari_harmonize.diffusion import PATHS
from napari_harmonize.settings import from_json
from napari_harmonize.translation import recognise
from napari_harmonize.translation.importers.dm_moni_mr import convert


def test_a_checkpoint_of_the_set(dm_moni_model, tmp_path):
    reference, name = dm_moni_model
    model, path = reference.config["models"][name], tmp_path / "savedmodel250000.pt"
    state = state_of(reference, name)
    torch.save(OrderedDict((key, torch.nn.Parameter(value)) for key, value in state.items()), path)
    flags, wanted = model["flags"], network_settings(model)
    order = "new" if flags["use_new_attention_order"] else "legacy"
    rescaled, steps = flags["rescale_timesteps"], flags["diffusion_steps"]
    found = convert(
        path,
        heads=flags["num_heads"],
        attention_order=order,
        schedule=flags["noise_schedule"],
        diffusion_steps=steps,
        rescaled_times=rescaled,
    )
    assert recognise(path) == "dm-moni-mr"
    recipe = found.recipe
    assert from_json(type(wanted), recipe.network_settings) == wanted
    row = PATHS[recipe.path]
    ours, theirs = row.load()(from_json(row.settings, recipe.path_settings)), path_of({"noise_schedule": flags["noise_schedule"], **flags})
    assert ours.a.tolist() == theirs.a.tolist()
    assert set(found.state) == set(state)
    assert all(torch.equal(found.state[key], value) for key, value in state.items())
    assert found.notes == ()


def test_files_of_the_set_are_recognised(dm_moni_model):
    reference, name = dm_moni_model
    model = reference.config["models"][name]
    if model["weights_file"]:
        assert recognise(reference.file(model["weights_file"])) == "dm-moni-mr"
