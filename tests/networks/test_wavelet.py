"""The CDF 9/7 wavelet: perfect reconstruction, vanishing moments, periodic borders."""

from __future__ import annotations

import math

import pytest
import torch

from napari_harmonize.networks.wavelet import BANDS, analyse, synthesise


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("size", [(2, 2), (4, 6), (8, 8), (10, 26)])
def test_synthesis_undoes_analysis_whatever_the_size(size):
    image = _random(2, 3, *size)
    bands = analyse(image)
    assert bands.shape == (2, 3 * BANDS, size[0] // 2, size[1] // 2)
    torch.testing.assert_close(synthesise(bands), image, rtol=0, atol=1e-10)


def test_a_constant_image_has_no_details():
    bands = analyse(torch.full((1, 1, 8, 8), 3.0, dtype=torch.float64))
    torch.testing.assert_close(bands[:, 0], torch.full((1, 4, 4), 6.0, dtype=torch.float64), rtol=0, atol=1e-10)
    assert bands[:, 1:].abs().max() < 1e-9


def test_bands_are_slowest_and_say_their_direction():
    stripes = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(8)
    along_h, along_w = stripes[:, None].expand(16, 16), stripes[None].expand(16, 16)
    energy = analyse(torch.stack([along_h, along_w])[None]).square().mean((0, 2, 3)).reshape(BANDS, 2)
    assert energy.argmax(0).tolist() == [1, 2]


def test_smooth_signals_leave_the_high_band_empty():
    """Four vanishing moments: a cubic is seen by the low pass alone, away from the periodic border."""
    cubic = torch.linspace(-1, 1, 64, dtype=torch.float64) ** 3
    high = analyse(cubic.expand(1, 1, 64, 64))[0, 2]
    assert high[:, 4:-4].abs().max() < 1e-9
    assert high.abs().max() > 0.1


def test_shifting_by_two_samples_shifts_the_bands_by_one():
    image = _random(1, 1, 12, 12)
    torch.testing.assert_close(analyse(image.roll((2, 4), (2, 3))), analyse(image).roll((1, 2), (2, 3)), rtol=0, atol=1e-12)


def test_filters_keep_the_scale():
    assert math.isclose(float(analyse(torch.ones(1, 1, 4, 4, dtype=torch.float64)).sum()), 2 * 4, rel_tol=1e-9)
