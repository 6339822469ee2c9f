"""Recipes, cards and packages: read strictly, named by their hash."""

from __future__ import annotations

import dataclasses
import json
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_model
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.settings import replace
from napari_harmonize.translation import Card, Recipe, Target, built_in, load, save
from napari_harmonize.translation import package as packages


def edit(folder, **changes):
    values = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**values, **changes}))


def test_a_recipe_goes_through_json_and_back(tiny_package):
    recipe = tiny_package.recipe
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again.to_json() == recipe.to_json()
    assert again.steps == recipe.steps
    assert again.training.average.same_as(recipe.training.average)
    assert [key.label for key in again.training.keys] == ["subject 0", "subject 1", "subject 2", "subject 3"]
    assert again.axis_index == 2
    assert again.bins == 128


def test_style_keys_in_a_recipe_are_short(tiny_package):
    text = (tiny_package.path / "recipe.json").read_text()
    assert max(len(word) for word in text.replace(",", " ").replace("]", " ").split() if "." in word and word[0].isdigit()) <= 11


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "something else"}, 'kind "something else" arrived'),
        ({"version": 9}, "version 9 arrived"),
        ({"networks": "x"}, "Did you mean 'network'"),
        ({"network": "no-net"}, "must be one of bridge-unet"),
        ({"objective": "guess"}, "must be one of grad"),
        ({"steps": [{"name": "sharpen"}]}, "A preparation step is one of"),
        ({"steps": ["mask"]}, "object with name and settings"),
        ({"steps": [{"name": "mask", "settings": {"outsid": 1}}]}, "Did you mean 'outside'"),
        ({"conditioning": ["weather"]}, "Conditions are among"),
        ({"target": {"low": 2.0, "high": 1.0}}, "low end lies below"),
        ({"style": {"keys": []}}, "holds average, keys and threshold"),
        ({"radius": -1}, "at least 0"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_reason(tiny_package, changes, sentence):
    edit(tiny_package.path, **changes)
    with pytest.raises(ModelError, match=sentence):
        load(tiny_package.path)


def test_a_recipe_must_be_an_object_and_json(tiny_package):
    with pytest.raises(ModelError, match="a list arrived"):
        Recipe.from_json([1])
    (tiny_package.path / "recipe.json").write_text("{")
    with pytest.raises(ModelError, match=r"recipe.json is JSON text"):
        load(tiny_package.path)


def test_a_folder_and_its_zip_are_the_same_model(tiny_package, tmp_path, case):
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in packages.FILES:
            file.write(tiny_package.path / name, f"tiny/{name}")
    packed = load(archive)
    assert packed.name == "packed"
    assert packed.hash == tiny_package.hash
    ours, theirs = tiny_package.load_network().state_dict(), packed.load_network().state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert load(str(tiny_package.path)).name == "tiny"


def test_the_hash_follows_recipe_and_weights_but_not_the_card(tiny_package, tmp_path):
    before = tiny_package.hash
    card = json.loads((tiny_package.path / "card.json").read_text())
    (tiny_package.path / "card.json").write_text(json.dumps({**card, "title": "renamed"}))
    assert load(tiny_package.path).hash == before
    weights = load_file(tiny_package.path / "weights.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, tiny_package.path / "weights.safetensors")
    assert load(tiny_package.path).hash != before


def test_every_wrong_tensor_is_listed(tiny_package):
    weights = load_file(tiny_package.path / "weights.safetensors")
    names = sorted(weights)
    weights[names[1]] = torch.zeros(1, 2, 3)
    weights["stranger"] = weights.pop(names[0])
    save_file(weights, tiny_package.path / "weights.safetensors")
    with pytest.raises(ModelError) as caught:
        tiny_package.load_network()
    text = str(caught.value)
    assert f"1 missing: {names[0]}" in text
    assert "1 unexpected: stranger" in text
    assert f"1 mis-shaped: {names[1]} (1, 2, 3) instead of" in text


def test_long_lists_of_tensors_are_cut(tiny_package):
    save_file({"only": torch.zeros(1)}, tiny_package.path / "weights.safetensors")
    with pytest.raises(ModelError, match=r"and \d+ more"):
        tiny_package.load_network()


def test_weights_that_are_no_safetensors_are_refused(tiny_package):
    torch.save({"a": torch.zeros(1)}, tiny_package.path / "weights.safetensors")
    with pytest.raises(ModelError, match="Weights are a safetensors file"):
        tiny_package.load_network()


def test_saving_refuses_a_full_folder_and_weights_that_do_not_fit(tiny_package, tmp_path):
    state = load_file(tiny_package.path / "weights.safetensors")
    with pytest.raises(ModelError, match="new or empty folder"):
        save(tiny_package.path, tiny_package.recipe, tiny_package.card, state)
    with pytest.raises(ModelError, match="missing"):
        save(tmp_path / "gaps", tiny_package.recipe, tiny_package.card, {})
    assert not (tmp_path / "gaps").exists()


def test_the_card_follows_the_recipes_defaults(tiny_package, tmp_path):
    state = load_file(tiny_package.path / "weights.safetensors")
    recipe = replace_defaults(tiny_package.recipe, sampler="bridge-published", steps=7)
    again = save(tmp_path / "other", recipe, Card(title="other"), state)
    assert (again.card.sampler, again.card.steps) == ("bridge-published", 7)
    assert again.recipe.defaults.settings("name").steps == 7


def replace_defaults(recipe, **changes):
    return dataclasses.replace(recipe, defaults=replace(recipe.defaults, **changes))


def test_a_network_that_contradicts_its_recipe_is_refused(tiny_package):
    with pytest.raises(ModelError, match="the radius is 2"):
        packages.build_network(dataclasses.replace(tiny_package.recipe, radius=2))
    with pytest.raises(ModelError, match="takes a style key"):
        packages.build_network(dataclasses.replace(tiny_package.recipe, conditioning=("source",)))


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(ModelError, match="there is no 'nowhere'"):
        load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"holds recipe.json, card.json, weights.safetensors"):
        load(tmp_path)
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"broken.zip"):
        load(tmp_path / "broken.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(ModelError, match="holds 0 files"):
        load(tmp_path / "empty.zip")


def test_built_in_models_can_all_be_loaded():
    for name in built_in():
        package = load(name)
        assert package.name == name
        assert package.card.failures


def test_the_default_model_is_one_that_is_built_in(tmp_path, monkeypatch, case):
    monkeypatch.setattr(packages, "_built_in_folders", dict)
    with pytest.raises(ModelError, match="A model is named, or one is built in"):
        packages.default_model()
    package = tiny_model.make(tmp_path / "a")
    monkeypatch.setattr(packages, "_built_in_folders", lambda: {"a": package.path})
    assert packages.default_model() == "a"
    assert load("a").name == "a"
    monkeypatch.setattr(packages, "_built_in_folders", lambda: {"a": package.path, packages.DEFAULT: package.path})
    assert packages.default_model() == packages.DEFAULT


def test_a_target_is_checked():
    with pytest.raises(SettingsError, match="must be one of HU"):
        Target("furlongs")


def test_keys_keep_their_look_in_a_package(tiny_package):
    kept, made = tiny_package.recipe.training, tiny_model.training_keys()
    assert np.abs(kept.average.curves - made.average.curves).max() < 1e-3
    assert kept.average.same_as(made.average)
    assert kept.threshold == pytest.approx(made.threshold, abs=1e-8)
