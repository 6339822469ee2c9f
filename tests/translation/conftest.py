"""Cases and packages small enough for every test."""

from __future__ import annotations

import numpy as np
import pytest

import tiny_model
from napari_harmonize.translation import Case
from napari_harmonize.volumes import Header, Meaning, Volume, from_array


def head(shape=(20, 26, 12), spacing=(1.0, 1.0, 2.0)) -> Volume:
    """A stripped ellipsoid in the order LAS-like files have, oblique."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    texture = np.random.default_rng(1).random(shape) * 40
    data = np.where(radius < 0.8, 100 + 80 * radius + texture, 0).astype(np.float32)
    turn = np.array([[0.995, -0.0998, 0], [0.0998, 0.995, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(np.array(spacing) * (-1, 1, 1))
    affine[:3, 3] = (10, -12, 30)
    header = Header(format="nifti", dtype="int16", slope=2.0, qform_code=1, sform_code=2)
    return from_array(data, affine, meaning=Meaning.ARBITRARY, name="head", header=header)


@pytest.fixture
def case() -> Case:
    return Case(head())


@pytest.fixture
def tiny_package(tmp_path):
    return tiny_model.make(tmp_path / "tiny")
