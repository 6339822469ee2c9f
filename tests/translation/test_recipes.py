"""Recipes that come with the plugin are whole: they build, and with weights they translate."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import tiny_model
from napari_harmonize.errors import ModelError
from napari_harmonize.events import finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import from_json, replace, to_json
from napari_harmonize.translation import Card, Case, Recipe, save, translate
from napari_harmonize.translation.package import build_network
from napari_harmonize.translation.plan import refusal
from napari_harmonize.translation.recipes import FOLDER, read_recipe, shipped
from napari_harmonize.volumes import from_array

every_recipe = pytest.mark.parametrize("name", shipped())


@every_recipe
def test_it_builds_and_suits_its_own_settings(name):
    recipe = read_recipe(name)
    with torch.device("meta"):
        assert sum(value.numel() for value in build_network(recipe).parameters()) > 1e5
    assert refusal(recipe.defaults.settings(), recipe) == ""
    assert shipped()[name].endswith(".")


@every_recipe
def test_with_weights_it_translates(name, tmp_path):
    recipe = read_recipe(name)
    row = NETWORKS[recipe.network]
    small = replace(from_json(row.settings, recipe.network_settings), width=32, multipliers=(1, 2))
    recipe = Recipe.from_json({**recipe.to_json(), "network_settings": to_json(small)})
    package = save(tmp_path / name, recipe, Card(title=name), tiny_model.random_state(recipe.network, small))
    data = np.random.default_rng(1).random((12, 12, 4)).astype(np.float32) + 0.5
    asked = replace(package.recipe.defaults.settings(), steps=min(2, recipe.defaults.steps))
    result = finish(translate(Case(from_array(data, np.eye(4), name="block")), asked, package))
    assert result.volume.shape == data.shape
    assert result.volume.data.std() > 0


def test_a_file_is_read_like_one_of_ours(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text((FOLDER / "palette.json").read_text())
    assert read_recipe(path) == read_recipe("palette")


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"kind": "something else"})])
def test_what_is_no_recipe_is_refused(tmp_path, text):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ModelError, match="recipe"):
        read_recipe(path)
    with pytest.raises(ModelError, match="palette"):
        read_recipe("nowhere")
