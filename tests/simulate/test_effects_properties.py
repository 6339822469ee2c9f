"""The effects of k-space, slices and beams, each by what it must do to energy, spectrum and order."""

import math

import pytest
import torch

from napari_harmonize.simulate.beam import beam_noise
from napari_harmonize.simulate.kspace import coarse_pixels, ghosting, gibbs, motion
from napari_harmonize.simulate.slices import blurred, oblique_slab, quantised, sharpness, slice_profile


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def ball():
    axes = [torch.arange(size) - (size - 1) / 2 for size in (48, 52, 44)]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
    return torch.sigmoid((14 - distance) / 0.4)


def power(image, axis):
    """Energy at each frequency along one axis."""
    others = [other for other in range(3) if other != axis]
    return (torch.fft.rfft(image, dim=axis).abs() ** 2).sum(dim=others)


@pytest.mark.parametrize("thickness", [2.0, 4.0, 7.0])
def test_a_slice_profile_has_its_width_and_keeps_the_signal(thickness):
    """A thin plate becomes as wide as profile and linear resampling make it together: variances add."""
    plate = torch.zeros(6, 6, 121)
    plate[..., 60] = 1.0
    widths, sums = [], []
    for seed in range(60):
        line = slice_profile(plate, thickness, rng(seed))[3, 3]
        if line.std() == 0 or abs(float(line[60]) - 1) < 1e-4:
            continue  # sliced along another axis
        middle = float((line * torch.arange(121)).sum() / line.sum())
        widths.append(float((line * (torch.arange(121) - middle) ** 2).sum() / line.sum()))
        sums.append(float(line.sum()))
    profile = (thickness / 2.3548) ** 2
    assert len(widths) > 20
    assert sum(widths) / len(widths) == pytest.approx(profile + thickness**2 / 6 + 0.05, rel=0.2)
    assert sum(sums) / len(sums) == pytest.approx(1.0, abs=0.05)


def test_thicker_slices_carry_less_detail(ball):
    detail = [float((slice_profile(ball, thickness, rng(1)).diff(dim=2) ** 2).sum()) for thickness in (1.5, 3.0, 5.0, 7.0)]
    assert detail == sorted(detail, reverse=True)


def test_an_oblique_slab_keeps_place_and_signal_and_differs_from_a_straight_one(ball):
    places = torch.stack(torch.meshgrid(*[torch.arange(size) * 1.0 for size in ball.shape], indexing="ij"))
    for seed in range(4):
        tilted = oblique_slab(ball, 4.0, rng(seed))
        assert float(tilted.sum()) == pytest.approx(float(ball.sum()), rel=0.02)
        middle = (places * tilted).sum(dim=(1, 2, 3)) / tilted.sum()
        assert torch.allclose(middle, (torch.tensor(ball.shape) - 1) / 2, atol=0.3)
        assert float((tilted - ball).abs().amax()) > 0.2


def test_coarse_pixels_leave_nothing_above_their_highest_line(ball):
    size = 2.0
    coarse = coarse_pixels(ball, size, rng(0))
    gone = []
    for axis in range(3):
        above = torch.fft.rfftfreq(ball.shape[axis]) > 1 / (2 * size) + 1e-6
        gone.append(float(power(coarse, axis)[above].sum() / power(ball, axis)[above].sum()))
    assert sum(share < 1e-6 for share in gone) == 2
    assert float(coarse.sum()) == pytest.approx(float(ball.sum()), rel=1e-4)


def test_gibbs_cuts_sharply_and_rings_over_the_edge(ball):
    ringing = gibbs(ball, 0.5, rng(0))
    assert float(ringing.max()) > float(ball.max()) + 0.03
    assert float(ringing.min()) < -0.03
    far = ball < 1e-10  # nine voxels from the edge and more
    assert float(ringing[far].pow(2).sum()) > 3 * float(coarse_pixels(ball, 2.0, rng(0))[far].pow(2).sum())


def test_ghosts_lie_an_equal_part_of_the_field_away_with_their_share(ball):
    centre = tuple(size // 2 for size in ball.shape)
    for seed in range(6):
        ghosts = (ghosting(ball * (ball > 0.5), 0.2, rng(seed)) - ball * (ball > 0.5)) * (ball < 0.05)
        assert 0.0 < float(ghosts.max()) <= 0.2 + 1e-5
        changed = (ghosts > 0.01).nonzero()
        along = [int((changed[:, axis] - centre[axis]).abs().max()) for axis in range(3)]
        assert along[2] <= 15  # never through the slices
    zero = ghosting(ball, 0.0, rng(1))
    assert torch.allclose(zero, ball, atol=1e-6)


def test_motion_grows_with_its_strength_and_keeps_the_head_where_it_is(ball):
    changes = [float((motion(ball, strength, rng(3)) - ball).pow(2).sum()) for strength in (0.01, 0.5, 2.0)]
    assert changes == sorted(changes)
    assert changes[0] < 0.01 * changes[2]
    moved = motion(ball, 2.0, rng(3))
    places = torch.stack(torch.meshgrid(*[torch.arange(size) * 1.0 for size in ball.shape], indexing="ij"))
    middle = (places * moved).sum(dim=(1, 2, 3)) / moved.sum()
    assert torch.allclose(middle, (torch.tensor(ball.shape) - 1) / 2, atol=0.5)


def test_sharpness_falls_along_one_axis_only():
    noise = torch.randn((40, 40, 40), generator=rng(9))
    soft = sharpness(noise, 1.5, rng(2))
    slopes = []
    for axis in range(3):
        parts = [float(part.std()) for part in soft.movedim(axis, 0).split(10)]
        slopes.append(max(parts) / min(parts))
    assert sum(slope > 3 for slope in slopes) == 1
    ends = [soft.movedim(slopes.index(max(slopes)), 0)[place] for place in (0, -1)]
    originals = [noise.movedim(slopes.index(max(slopes)), 0)[place] for place in (0, -1)]
    assert any(torch.allclose(end, original) for end, original in zip(ends, originals, strict=True))


def test_a_gaussian_blur_has_its_standard_deviation():
    point = torch.zeros(33, 33, 33)
    point[16, 16, 16] = 1
    line = blurred(point, 2.0).sum(dim=(0, 1))
    assert float((line * (torch.arange(33) - 16) ** 2).sum()) == pytest.approx(4.0, rel=0.05)
    assert float(line.sum()) == pytest.approx(1.0, rel=1e-4)


def test_quantised_values_are_few_and_close(ball):
    steps = quantised(ball, 0.1, rng(5))
    assert len(steps.unique()) <= 13
    assert float((steps - ball).abs().max()) <= 0.05 + 1e-6
    assert torch.equal(quantised(torch.zeros(4, 4, 4), 0.1, rng(5)), torch.zeros(4, 4, 4))


def test_beam_noise_has_its_strength_and_a_ramp_for_a_spectrum():
    air = torch.zeros(64, 64, 6)
    noise = beam_noise(air, 5.0, rng(1))
    assert float(noise.std()) == pytest.approx(5.0, rel=1e-3)
    spectrum = (torch.fft.fft2(noise, dim=(0, 1)).abs() ** 2).mean(dim=2)
    frequency = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(64), torch.fft.fftfreq(64), indexing="ij"))
    low, middle = (spectrum[(frequency > a) & (frequency < b)].mean() for a, b in ((0.0, 0.05), (0.15, 0.3)))
    assert float(middle) > 2 * float(low)


def test_beam_noise_is_strongest_along_dense_paths():
    """Two dense rods: the streak between them is noisier than what lies off their line."""
    rods = torch.zeros(64, 64, 24)
    rods[10:16, 29:35] = rods[48:54, 29:35] = 1.0
    noise = beam_noise(rods, 1.0, rng(2)) - rods
    between, beside = noise[24:40, 29:35].std(), noise[24:40, 2:12].std()
    assert float(between) > 1.25 * float(beside)
    assert math.isfinite(float(noise.sum()))
