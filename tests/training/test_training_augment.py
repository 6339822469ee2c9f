"""Augmentation and the weights of the loss: each does what its setting says, and nothing else."""

import pytest
import torch

import family_models
import training_pairs
from napari_harmonize.condition import Condition
from napari_harmonize.diffusion.sampling import coefficients
from napari_harmonize.diffusion.schedules import cosine_beta
from napari_harmonize.diffusion.settings import CosineBetaSettings
from napari_harmonize.events import finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.settings import replace
from napari_harmonize.training.augment import SOURCE, augment, deform, jitter
from napari_harmonize.training.criterion import Criterion
from napari_harmonize.training.examples import Examples, load_example
from napari_harmonize.training.fit import fit
from napari_harmonize.training.losses import LOSSES, min_snr
from napari_harmonize.training.settings import Augmentation, FitSettings
from napari_harmonize.translation import Card

STILL = Augmentation(jitter=0.0, mirror=False)


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def parts():
    """Target, source, mask of some slices: smooth, and different from each other."""
    i, j = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 40), indexing="ij")
    return torch.stack([0.2 + 0.6 * i, 0.2 + 0.6 * j, (i + j > 0.6).float()])[:, None].repeat(1, 3, 1, 1)


def test_nothing_asked_changes_nothing(parts):
    assert torch.equal(augment(parts, STILL, 2, rng()), parts)


def test_jitter_changes_the_source_alone_by_no_more_than_a_fifth(parts):
    how = replace(STILL, jitter=0.2)
    seen = torch.stack([augment(parts, how, 2, rng(seed)) for seed in range(40)])
    others = [part for part in range(3) if part != SOURCE]
    assert torch.equal(seen[:, others], parts[others].expand(40, -1, -1, -1, -1))
    means = seen[:, SOURCE].mean((1, 2, 3)) / parts[SOURCE].mean()
    assert 0.79 < float(means.min()) < 0.9
    assert 1.1 < float(means.max()) < 1.21
    assert seen.min() >= 0
    assert seen.max() <= 1


def test_brightness_and_contrast_are_factors():
    ramp = torch.linspace(0.3, 0.6, 64).reshape(1, 8, 8)
    made = jitter(ramp, 0.2, rng(5))
    slope = float(made.max() - made.min()) / float(ramp.max() - ramp.min())
    assert 0.6 < slope < 1.5
    assert torch.allclose((made - made.min()) / slope, ramp - ramp.min(), atol=1e-5)


def test_an_elastic_deformation_moves_every_part_alike_and_as_far_as_it_says(parts):
    places = torch.stack(torch.meshgrid(torch.arange(48.0), torch.arange(40.0), indexing="ij"))[:, None].repeat(1, 3, 1, 1)
    moved = deform(torch.cat([places, parts]), 2.0, 8, rng())
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))  # at the border places are clamped
    shift = (moved[:2] - places)[inside]
    assert 0.5 < float(shift.std()) < 2.5  # between its points a field is a mean of theirs, and smaller
    rows = parts[0, 0, :, 0]
    assert torch.allclose(moved[2][:, 8:-8, 8:-8], rows[0] + (rows[1] - rows[0]) * moved[0][:, 8:-8, 8:-8], atol=1e-4)
    assert not torch.equal(deform(parts, 2.0, 8, rng(2)), deform(parts, 2.0, 8, rng(3)))
    assert torch.equal(deform(parts, 2.0, 8, rng(2)), deform(parts, 2.0, 8, rng(2)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_are_mirrored_along_the_axis_from_left_to_right(parts, axis):
    parts = parts + torch.arange(3.0)[None, :, None, None] / 10
    mirrored = [torch.equal(augment(parts, replace(STILL, mirror=True), axis, rng(seed)), parts.flip(1 + axis)) for seed in range(60)]
    assert 15 < sum(mirrored) < 45


def test_crops_have_the_size_that_was_asked_for(tmp_path):
    package = family_models.make(tmp_path / "start", "sa-unet")
    example = load_example(training_pairs.make(tmp_path)[0], package)
    cut = Examples([example], package.recipe, replace(STILL, crop=8), package.multiple).batch(3, rng())
    assert cut.x0.shape[-2:] == cut.y.shape[-2:] == cut.inside.shape[-2:] == (8, 8)


def test_conditions_are_dropped_as_often_as_asked_and_the_key_never(tmp_path):
    recipe = family_models.make(tmp_path / "start", "sa-unet").recipe
    criterion = Criterion(replace(recipe, dropped=True), replace(FitSettings(), drop=0.3))
    source, style = torch.ones(4000, 1, 2, 2), torch.ones(4000, 3, 4)
    told = criterion._dropping(Condition(source, style), 4000, rng())
    kept = told.source.flatten(1).mean(1)
    assert set(kept.tolist()) == {0.0, 1.0}
    assert float(kept.mean()) == pytest.approx(0.7, abs=0.03)
    assert torch.equal(told.style, style)


@pytest.mark.parametrize("objective", ["noise", "velocity", "clean"])
def test_min_snr_weighs_the_clean_image_by_the_snr_up_to_gamma(objective):
    path, t = cosine_beta(CosineBetaSettings()), torch.tensor([5, 300, 600, 950])
    x0, noise = torch.randn(4, 1, 6, 6, generator=rng(1)), torch.randn(4, 1, 6, 6, generator=rng(2))
    c = coefficients(path, t, x0)
    x_t = c.a * x0 + c.s * noise
    wrong = x0 + 0.1  # an answer that is off by this much as a clean image, told as the objective tells it
    told = {"clean": lambda x: x, "noise": lambda x: (x_t - c.a * x) / c.s, "velocity": lambda x: (c.a * x_t - x) / c.s}[objective]
    error = (told(wrong) - told(x0)).square().mean((1, 2, 3))
    snr = (c.a / c.s).square().flatten()
    assert torch.allclose(error * min_snr(c, objective, 5.0), 0.01 * snr.clamp_max(5.0), rtol=1e-3)


def test_losses_are_mean_absolute_and_squared_errors():
    one, other = torch.zeros(2, 3), torch.full((2, 3), 2.0)
    assert {name: float(loss(one, other).mean()) for name, loss in LOSSES.items()} == {"l1": 2.0, "l2": 4.0}


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "exported"])
def test_training_in_bfloat16_learns_weights_of_full_precision(name, tmp_path):
    recipe = family_models.make(tmp_path / "start", name).recipe
    how = replace(training_pairs.QUICK, precision="bf16-mixed", device="cpu", steps=2, cases=0)
    made = finish(fit(recipe, Card(title="narrow"), training_pairs.make(tmp_path), how, tmp_path / "run"))
    assert {value.dtype for value in made.load_network().state_dict().values() if value.is_floating_point()} == {torch.float32}
