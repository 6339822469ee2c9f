"""From phases of training to a model package that loads and says what it is."""

import pytest
import torch

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.networks.shuffle_unet import ShuffleUNet
from napari_harmonize.style import Origin
from napari_harmonize.training import any_to_t1
from napari_harmonize.training.loop import TrainingSettings
from napari_harmonize.training.package import LOOK, recipe, training_keys, write_package
from napari_harmonize.training.stream import StreamSettings
from napari_harmonize.translation import load

SMALL = StreamSettings(pool=1, renew=100_000, voxel=2, stacks=1)


@pytest.fixture(scope="module")
def keys():
    return training_keys(SMALL, 4, subjects=2, looks=2)


def test_keys_hold_the_default_look_and_others(keys):
    assert len(keys.keys) == 2 + 2 * 2
    assert keys.average.origin is Origin.AVERAGE
    assert LOOK in keys.average.label
    # the default look is a T1 look: fluid far below grey, grey below white
    low, middle, high = keys.average.quantiles([0.1, 0.5, 0.9])
    assert low < middle < high
    assert keys.threshold > 0


def test_a_package_is_written_and_loads(keys, tmp_path):
    torch.manual_seed(1)
    network = ShuffleUNet(any_to_t1.NETWORK)
    made = write_package(tmp_path / "any", network, recipe(any_to_t1.NETWORK, any_to_t1.PATH, keys, any_to_t1.STREAM))
    again = load(tmp_path / "any")
    assert again.hash == made.hash
    assert again.card.failures
    assert again.recipe.rows == "earlier"
    loaded = again.load_network().state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in network.state_dict().items())


def test_phases_follow_each_other_and_are_logged(tmp_path, caplog):
    quick = TrainingSettings(steps=1, samples=1, report=1, save=1)
    phases = (("2 mm", quick, SMALL), ("1 mm", quick, StreamSettings(pool=1, renew=100_000, stacks=1)))
    with caplog.at_level("INFO", any_to_t1.logger.name):
        network = any_to_t1.main(tmp_path, any_to_t1.Plan(phases))
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["1mm.pt", "2mm.pt"]
    assert "phase 2 mm" in caplog.text
    assert "loss" in caplog.text
    assert network.channels == 3
    first, last = (torch.load(tmp_path / f"{name}.pt", weights_only=True)["average"] for name in ("2mm", "1mm"))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, (first[name] + last[name]) / 2)


def test_a_plan_keeps_a_share_of_the_weights_it_starts_with(tmp_path):
    quick = (("2 mm", TrainingSettings(steps=1, samples=1, report=1, save=1), SMALL),)
    before = load("any-to-t1").load_network().state_dict()
    network = any_to_t1.main(tmp_path, any_to_t1.Plan(quick, first=0.5), "any-to-t1")
    learnt = torch.load(tmp_path / "2mm.pt", weights_only=True)["average"]
    assert any(not torch.equal(learnt[name], value) for name, value in before.items())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, (before[name] + learnt[name]) / 2)


def test_every_plan_has_phases_that_follow_one_another():
    for plan in any_to_t1.PLANS.values():
        assert len({name for name, _, _ in plan.phases}) == len(plan.phases)
        assert len({settings.seed for _, settings, _ in plan.phases}) == len(plan.phases)
