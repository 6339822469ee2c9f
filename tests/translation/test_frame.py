"""Slices cut out of a volume in any orientation, and put back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_harmonize.errors import SettingsError
from napari_harmonize.translation.frame import Frame
from napari_harmonize.translation.recipe import Recipe

ORIENTATIONS = [
    "".join(letters) for order in itertools.permutations(("RL", "AP", "SI")) for letters in itertools.product(*order) if letters[0] in "RAS"
]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_slices_come_back(orientation):
    data, frame = np.arange(2 * 3 * 4).reshape(2, 3, 4), Frame.of(orientation)
    slices = frame.to_slices(data)
    assert np.array_equal(frame.from_slices(slices), data)
    upright = Frame(frame.axis).to_slices(data)
    assert np.array_equal(frame.upright(slices), upright)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_numbers_rise_where_the_letters_say(orientation):
    """A voxel is as far along R, A and S as its index says."""
    places = np.stack(np.meshgrid(*(np.arange(n) for n in (2, 3, 4)), indexing="ij"))
    for axis, letter in enumerate(orientation):
        direction = "RAS".find(letter) if letter in "RAS" else "LPI".find(letter)
        along = Frame.of(orientation).to_slices(places[direction])
        steps = np.diff(along, axis=axis)
        assert (steps == (1 if letter in "RAS" else -1)).all()


@pytest.mark.parametrize("orientation", ["RA", "RAR", "XAS", "LPS", ""])
def test_what_is_no_orientation_is_refused(orientation):
    with pytest.raises(SettingsError, match="rise to"):
        Frame.of(orientation)


def test_a_recipe_refuses_an_orientation_of_another_axis():
    facts = {"network": "bridge-unet", "path": "bridge", "objective": "grad"}
    assert Recipe(**facts, axis="sagittal", orientation="RIP").frame == Frame(0, "later", (True, True))
    with pytest.raises(SettingsError, match="same slices"):
        Recipe(**facts, axis="axial", orientation="RIP")
