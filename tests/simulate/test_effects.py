"""Every effect and contrast in the tables: seeded, shaped, and of the strength it says."""

import pytest
import torch

from napari_harmonize.simulate.contrast import CONTRASTS, image, jitter
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.simulate.relaxation import BRAIN

STRENGTH = {
    "thick slices": 4.0,
    "slice profile": 4.0,
    "oblique slab": 4.0,
    "coarse pixels": 2.0,
    "motion": 1.0,
    "sharpness": 1.5,
}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("name", EFFECTS)
def test_effects_are_seeded_and_leave_their_input_alone(name):
    still = torch.rand((18, 20, 16), generator=torch.Generator().manual_seed(1))
    before = still.clone()
    one, two = (EFFECTS[name].apply(still, STRENGTH.get(name, 0.05), torch.Generator().manual_seed(8)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(still, before)
    assert one.shape == still.shape
    assert not torch.equal(one, still)
    assert EFFECTS[name].help
    assert EFFECTS[name].unit


def test_rician_noise_has_the_known_floor(rng):
    """Without signal the mean is σ·√(π/2) (Gudbjartsson and Patz 1995)."""
    floor = EFFECTS["rician"].apply(torch.zeros(60, 60, 60), 0.1, rng).mean()
    assert float(floor) == pytest.approx(0.1 * (torch.pi / 2) ** 0.5, rel=0.01)


def test_gaussian_noise_has_its_strength(rng):
    assert float(EFFECTS["gaussian"].apply(torch.zeros(40, 40, 40), 5.0, rng).std()) == pytest.approx(5.0, rel=1e-3)


def test_thick_slices_keep_the_mean_and_lose_detail(rng):
    sharp = torch.rand((24, 24, 24), generator=rng)
    thick = EFFECTS["thick slices"].apply(sharp, 4.0, rng)
    assert float(thick.mean()) == pytest.approx(float(sharp.mean()), abs=0.01)
    assert thick.std() < 0.7 * sharp.std()


@pytest.mark.parametrize("name", CONTRASTS)
def test_contrasts_are_drawn_for_every_tissue(name, rng):
    drawn = CONTRASTS[name](rng)
    assert drawn.shape == (len(BRAIN),)
    assert torch.isfinite(drawn).all()
    assert jitter(drawn, 0.0, rng).equal(drawn)


def test_partial_volume_is_linear():
    shares = torch.tensor([[[[1.0, 0.5, 0.0]]], [[[0.0, 0.5, 0.0]]]])
    assert image(shares, torch.tensor([2.0, 4.0])).flatten().tolist() == [2.0, 3.0, 0.0]
