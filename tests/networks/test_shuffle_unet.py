"""The branch at full resolution of the built-in model's network."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.errors import TrainingError
from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.training.any_to_t1 import take_weights

PLAIN = replace(ShuffleUNetSettings.tiny(), fine=0)
BRANCHED = replace(PLAIN, fine=4)


def asked(seed=0):
    rng = torch.Generator().manual_seed(seed)
    y, x_t = (torch.rand((2, 3, 16, 16), generator=rng) * 2 - 1 for _ in range(2))
    style, source_style = (torch.rand((2, 3, 128), generator=rng) for _ in range(2))
    return x_t, torch.full((2,), 9), Condition(y, style, source_style)


@torch.no_grad()
def test_the_branch_begins_at_nothing_and_takes_the_weights_of_a_network_without_it():
    torch.manual_seed(1)
    plain, branched = ShuffleUNet(PLAIN), ShuffleUNet(BRANCHED)
    take_weights(branched, plain.state_dict())
    assert torch.equal(plain(*asked()), branched(*asked()))


@torch.no_grad()
def test_the_branch_corrects_pixel_by_pixel():
    torch.manual_seed(1)
    branched = ShuffleUNet(BRANCHED)
    before = branched(*asked())
    torch.nn.init.normal_(branched.fine.out.weight)
    change = branched(*asked()) - before
    assert change.std() > 0.01
    assert (change[..., ::2, ::2] - change[..., 1::2, 1::2]).abs().max() > 1e-3, "pixels of one block differ"


def test_weights_of_another_network_are_refused():
    with pytest.raises(TrainingError, match="of the built-in model's network"):
        take_weights(ShuffleUNet(BRANCHED), torch.nn.Linear(2, 2).state_dict())
    lacking = {name: value for name, value in ShuffleUNet(PLAIN).state_dict().items() if not name.startswith("stem")}
    with pytest.raises(TrainingError, match=r"lacks .*stem\.weight"):
        take_weights(ShuffleUNet(BRANCHED), lacking)
