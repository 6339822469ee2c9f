"""Objectives: what they mean, and what they need."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.diffusion.objective import CLEAN, DIFFERENCE, GRAD, NOISE, mix, residual
from napari_harmonize.diffusion.path import Coefficients
from napari_harmonize.errors import SettingsError

C = Coefficients(0.7, 0.3, 0.5)
X0, Y, EPS = torch.tensor([[1.0]]), torch.tensor([[-2.0]]), torch.tensor([[0.4]])
X_T = torch.tensor([[0.7 - 0.6 + 0.2]])


def test_forward_process():
    torch.testing.assert_close(mix(C, X0, Y, EPS), X_T)
    torch.testing.assert_close(residual(C, X_T, X0, Y), 0.5 * EPS)
    torch.testing.assert_close(mix(C, X0, None, EPS), X_T + 0.6)
    torch.testing.assert_close(residual(C, X_T + 0.6, X0, None), 0.5 * EPS)


@pytest.mark.parametrize(("objective", "target"), [(GRAD, -0.7), (NOISE, 0.4), (DIFFERENCE, -3.0), (CLEAN, 1.0)])
def test_targets(objective, target):
    found = objective.target(C, X0, Y, EPS)
    assert found.item() == pytest.approx(target)
    assert objective.x0(C, found, X_T, Y).item() == pytest.approx(1.0)


def test_difference_needs_a_source():
    with pytest.raises(SettingsError, match="no source"):
        DIFFERENCE.x0(C, X0, X_T, None)
