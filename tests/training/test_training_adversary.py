"""Pix2Pix and CUT: the judge learns to tell, the generator is drawn to the target, a killed run goes on."""

from __future__ import annotations

import pytest
import torch

import family_models
import training_pairs
from napari_harmonize.errors import TrainingError
from napari_harmonize.events import Progress, finish
from napari_harmonize.settings import replace
from napari_harmonize.training.adversary import Adversary, Discriminator, _contrast
from napari_harmonize.training.examples import Batch
from napari_harmonize.training.fit import fit
from napari_harmonize.training.settings import AdversarySettings
from napari_harmonize.translation import Card
from training_pairs import QUICK

PIX2PIX = AdversarySettings(kind="pix2pix", width=8, depth=2)
CUT = AdversarySettings(kind="cut", width=8, depth=2, layers="model.0, model.4", patches=32)


@pytest.fixture
def pairs(tmp_path):
    return training_pairs.make(tmp_path)


def _package(tmp_path, name="resnet-generator", **settings):
    return family_models.make(tmp_path / f"start-{name}", name, **settings)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_judge_gives_one_number_for_each_image(dimensions):
    judge = Discriminator(dimensions, 2, 8, 2)
    assert judge(torch.randn(3, 2, *[16] * dimensions)).shape == (3,)


def test_the_judge_learns_to_tell_made_from_real(tmp_path):
    package = _package(tmp_path)
    adversary = Adversary(package.recipe, PIX2PIX, package.load_network(), 1e-2, 0)
    rng = torch.Generator().manual_seed(1)
    y = torch.rand(8, 1, 16, 16, generator=rng)
    batch = Batch(1 - y, y, torch.ones_like(y), None)
    losses = [adversary.learn(batch, y, 1e-2) for _ in range(40)]
    assert losses[-1] < 0.25 * losses[0]


def test_matching_places_cost_least():
    features = torch.nn.functional.normalize(torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(2)), dim=-1)
    own, other = _contrast(features, features, 0.07), _contrast(features, features.roll(1, dims=1), 0.07)
    assert float(own) < 0.05 < float(other)


@pytest.mark.parametrize("how", [PIX2PIX, CUT], ids=["pix2pix", "cut"])
def test_a_killed_adversarial_run_goes_on_to_the_same_weights(how, pairs, tmp_path):
    recipe, settings = _package(tmp_path).recipe, replace(QUICK, adversary=how)
    card = Card(title="tiny", data="Boxes.")
    whole = finish(fit(recipe, card, pairs, settings, tmp_path / "whole"))
    running = fit(recipe, card, pairs, settings, tmp_path / "broken")
    for event in running:
        if isinstance(event, Progress) and event.unit == "steps" and event.done == 3:
            break
    running.close()
    again = finish(fit(recipe, card, pairs, settings, tmp_path / "broken"))
    assert again.weights_path.read_bytes() == whole.weights_path.read_bytes()


def test_volumes_can_be_judged_too(pairs, tmp_path):
    package = _package(tmp_path, "unet-3d", source_channels=0, timed=False, position=False)
    made = finish(fit(package.recipe, Card(title="tiny"), pairs, replace(QUICK, adversary=PIX2PIX), tmp_path / "run"))
    assert made.recipe.dimensions == 3


def test_only_generators_are_judged(tmp_path):
    package = _package(tmp_path, "sa-unet")
    with pytest.raises(TrainingError, match="one pass"):
        Adversary(package.recipe, PIX2PIX, package.load_network(), 1e-3, 0)


def test_layers_that_are_not_there_are_named(tmp_path):
    package = _package(tmp_path)
    with pytest.raises(TrainingError, match=r"model\.99"):
        Adversary(package.recipe, replace(CUT, layers="model.0, model.99"), package.load_network(), 1e-3, 0)
