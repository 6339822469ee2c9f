"""The zoo: every definition builds within its limits and takes a step; what is shipped is what is defined, and has learnt."""

from __future__ import annotations

import json
import math

import pytest

import family_models
import training_pairs
from napari_harmonize.errors import ModelError
from napari_harmonize.events import Note, finish
from napari_harmonize.settings import replace, to_json
from napari_harmonize.training import zoo
from napari_harmonize.training.fit import fit
from napari_harmonize.translation import Card, Recipe, built_in, load
from napari_harmonize.translation.package import DEFAULT
from napari_harmonize.translation.plan import refusal

every_model = pytest.mark.parametrize("name", zoo.names())
ONE_STEP = {"steps": 1, "batch": 2, "cases": 0, "save": 1, "report": 1}


@every_model
def test_it_suits_its_settings_and_its_limits(name):
    model = zoo.zoo_model(name)
    assert 3e5 < model.parameters < 1e6
    assert 2 * model.parameters < zoo.LARGEST
    assert refusal(model.recipe.defaults.settings(), model.recipe) == ""
    assert model.task in zoo.tasks()
    assert model.card.failures
    assert dict(model.recipe.steps)["resample"]["spacing"] == [2.0, 2.0, 2.0]


@every_model
def test_it_takes_a_step(name, tmp_path):
    model = zoo.zoo_model(name)
    values = model.recipe.to_json()
    for step in values["steps"]:
        step["settings"].pop("least", None)
    settings = replace(model.fit, **ONE_STEP)
    said = []
    made = finish(fit(Recipe.from_json(values), model.card, training_pairs.make(tmp_path), settings, tmp_path / "run"), said.append)
    losses = [float(event.text.rpartition(" ")[2]) for event in said if isinstance(event, Note) and "loss" in event.text]
    assert len(losses) == 1
    assert math.isfinite(losses[0])
    assert made.recipe.network == model.recipe.network


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A zoo of one tiny model whose pairs are boxes."""
    folder = tmp_path / "definitions"
    folder.mkdir()
    recipe = family_models.make(tmp_path / "start", "pix2pix-unet").recipe
    task = {"subjects": 4, "models": ["tiny"], "tasks": {"boxes": {"source": "flair"}}}
    (folder / "tasks.json").write_text(json.dumps(task))
    values = {"task": "boxes", "card": to_json(Card(title="Boxes")), "fit": to_json(training_pairs.QUICK), "recipe": recipe.to_json()}
    (folder / "tiny.json").write_text(json.dumps(values))
    table = tmp_path / "pairs.csv"
    rows = [f"{p.patient},{p.source.name},{p.target.name},{p.split}" for p in training_pairs.make(tmp_path)]
    table.write_text("\n".join(["patient,source,target,split", *rows]))

    def kept(wanted, count):
        assert [path.name for path in wanted] == ["boxes"]
        assert count == 4
        yield Note("pairs are there")
        return (table,)

    monkeypatch.setattr(zoo, "FOLDER", folder)
    monkeypatch.setattr(zoo, "keep_pairs", kept)
    return tmp_path / "out"


def test_a_model_is_trained_once_and_what_came_out_is_written_down(small):
    assert finish(zoo.make_zoo(small)) == ("tiny",)
    facts = zoo.read_facts(small / "tiny" / zoo.FACTS)
    assert (facts.steps, facts.pairs, facts.parameters) == (6, 1, zoo.zoo_model("tiny").parameters)
    assert facts.minutes >= 0
    assert facts.learnt == (facts.ssim > facts.untouched_ssim)
    card = zoo.package_of(small, "tiny").card
    assert ("validation pairs", "PSNR in dB", round(facts.psnr, 2)) in card.metrics
    assert "one processor core" in card.data
    said = []
    finish(zoo.make_zoo(small, ["tiny"]), said.append)
    assert [event.text for event in said] == ["pairs are there"]
    with pytest.raises(ModelError, match="Known: tiny"):
        finish(zoo.make_zoo(small, ["any-to-t1"]))


def test_a_model_is_trained_where_it_is_asked_to_be(small, monkeypatch):
    seen = []

    def fitted(recipe, card, pairs, settings, folder):
        seen.append(settings.device)
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(zoo, "fit", fitted)
    for device in ("cuda", ""):
        with pytest.raises(KeyboardInterrupt):
            finish(zoo.make_zoo(small, device=device))
    assert seen == ["cuda", zoo.zoo_model("tiny").fit.device]


def test_the_card_of_a_model_says_that_a_graphics_card_helped(small):
    finish(zoo.make_zoo(small))
    told = small / "tiny" / zoo.FACTS
    told.write_text(told.read_text().replace('"cpu"', '"cuda"'))
    assert "one processor core with a graphics card (cuda)" in zoo.package_of(small, "tiny").card.data


def test_the_default_model_is_the_first_of_all():
    assert built_in()[0] == DEFAULT


@pytest.mark.parametrize("name", [name for name in built_in() if name != DEFAULT])
def test_what_is_shipped_is_what_is_defined_and_has_learnt(name):
    package, model = load(name), zoo.zoo_model(name)
    shipped, defined = ({**recipe.to_json(), "style": None} for recipe in (package.recipe, model.recipe))
    assert shipped == defined
    reached = {(data, metric): value for data, metric, value in package.card.metrics}
    assert reached["validation pairs", "SSIM"] > reached["validation pairs, untouched", "SSIM"]
    assert "one processor core" in package.card.data
    assert package.weights_path.stat().st_size < zoo.LARGEST
