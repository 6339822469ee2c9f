"""Low-rank adapters: they begin as nothing, change what they should by as much as they may, and leave a plain model behind."""

import pytest
import torch

import family_models
import training_pairs
from napari_harmonize.errors import TrainingError
from napari_harmonize.events import Progress, finish
from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.training.adapters import attach, merged
from napari_harmonize.training.fit import fit
from training_pairs import QUICK


@pytest.fixture
def network():
    torch.manual_seed(2)
    made = ShuffleUNet(ShuffleUNetSettings.tiny())
    for part in made.parameters():  # some begin at zero, which no product could be told from
        torch.nn.init.normal_(part, std=0.05)
    return made


def test_they_begin_as_nothing(network):
    before = merged(network)
    left = attach(network, 2, seed=1)
    assert 0 < left < sum(part.numel() for part in before.values()) / 2
    after = merged(network)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_only_they_change_and_by_no_more_than_their_rank(network):
    before = merged(network)
    attach(network, 2, seed=1)
    for part in network.parameters():
        if part.requires_grad:
            torch.nn.init.normal_(part)
    after = merged(network)
    apart = {name: (after[name] - before[name]).flatten(1) for name in before if before[name].ndim > 1}
    changed = {name for name, difference in apart.items() if difference.abs().max() > 1e-4}
    assert changed
    assert {torch.linalg.matrix_rank(apart[name], rtol=1e-4).item() for name in changed} == {2}
    assert all(torch.equal(after[name], before[name]) for name in before if name not in changed)
    ShuffleUNet(ShuffleUNetSettings.tiny()).load_state_dict(after)


def test_the_same_seed_gives_the_same_adapters(network):
    states = []
    for seed in (1, 1, 2):
        made = ShuffleUNet(ShuffleUNetSettings.tiny())
        attach(made, 2, seed)
        states.append([part for part in made.parameters() if part.requires_grad])
    same, again, other = states
    assert all(torch.equal(one, two) for one, two in zip(same, again, strict=True))
    assert not all(torch.equal(one, two) for one, two in zip(same, other, strict=True))


def test_a_rank_that_saves_nothing_is_refused(network):
    with pytest.raises(TrainingError, match="rank 4000 is too large"):
        attach(network, 4000, seed=1)


@pytest.mark.parametrize("name", ["shuffle-unet", "unet-3d", "xmodality-dit"])
def test_a_model_is_fine_tuned_through_adapters_and_goes_on_after_a_stop(name, tmp_path):
    start = family_models.make(tmp_path / "start", name)
    pairs, settings = training_pairs.make(tmp_path), replace(QUICK, adapters=1, rate=0.01, save=1)
    whole = finish(fit(start.recipe, start.card, pairs, settings, tmp_path / "whole", start=start))
    job = fit(start.recipe, start.card, pairs, settings, tmp_path / "killed", start=start)
    for event in job:
        if isinstance(event, Progress) and event.unit == "steps" and event.done == 4:
            job.close()
            break
    again = finish(fit(start.recipe, start.card, pairs, settings, tmp_path / "killed", start=start))
    before, after, other = (package.load_network().state_dict() for package in (start, whole, again))
    assert before.keys() == after.keys()
    assert all(torch.equal(after[part], other[part]) for part in after)
    apart = {part: (after[part] - before[part]).flatten(1) for part in after if after[part].ndim > 1}
    changed = {part: difference for part, difference in apart.items() if difference.abs().max() > 1e-4}
    assert changed
    assert all(torch.linalg.matrix_rank(difference, rtol=1e-3) == 1 for difference in changed.values())
    assert all(torch.equal(after[part], before[part]) for part in after if after[part].ndim < 2)


def test_adapters_need_a_model_to_adapt(tmp_path):
    package = family_models.make(tmp_path / "start", "shuffle-unet")
    with pytest.raises(TrainingError, match="Adapters adapt a trained model"):
        finish(fit(package.recipe, package.card, training_pairs.make(tmp_path), replace(QUICK, adapters=1), tmp_path / "run"))
