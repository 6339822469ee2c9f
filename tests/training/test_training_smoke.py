"""Every family learns a toy task: in 200 steps the error on pairs it has not seen falls to half."""

from __future__ import annotations

import pytest
import torch

import family_models
import training_pairs
from napari_harmonize.events import finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace
from napari_harmonize.training.criterion import Criterion
from napari_harmonize.training.examples import Examples, load_example
from napari_harmonize.training.fit import fit
from napari_harmonize.translation import Card
from napari_harmonize.translation.package import build_network

SETTINGS = replace(training_pairs.QUICK, steps=200, batch=4, rate=3e-3, warm_up=20, decay=0.95, cases=0, save=200, report=200)

# transformers learn little from few examples when they are as small as the tests' others
LARGER = {"xmodality-uvit": {"width": 32}, "xmodality-dit": {"features": 128, "heads": 4, "frequencies": 64, "patch": 2}}
MORE = {"xmodality-dit": {"batch": 16, "rate": 6e-3}}


@pytest.fixture
def pairs(tmp_path):
    return training_pairs.make(tmp_path)


def _error(network, criterion, batches) -> float:
    """Mean loss on unseen examples, with the same draws every time."""
    with torch.no_grad():
        losses = [criterion(network.eval(), batch, torch.Generator().manual_seed(number)).loss for number, batch in enumerate(batches)]
    return float(torch.stack(losses).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "exported"])
def test_two_hundred_steps_halve_the_error(name, pairs, tmp_path):
    start = family_models.make(tmp_path / "start", name, **LARGER.get(name, {}))
    settings = replace(SETTINGS, **MORE.get(name, {}))
    torch.manual_seed(0)
    fresh, criterion = build_network(start.recipe), Criterion(start.recipe, settings)
    held = Examples([load_example(pairs[-1], start)], start.recipe, replace(settings.augmentation, jitter=0.0), start.multiple)
    batches = [held.batch(4, torch.Generator().manual_seed(number)) for number in range(8)]
    before = _error(fresh, criterion, batches)
    package = finish(fit(start.recipe, Card(title="toy"), pairs, settings, tmp_path / "run"))
    after = _error(package.load_network(), criterion, batches)
    print(f"{name}: {before:.4f} to {after:.4f}")
    assert after < before / 2
