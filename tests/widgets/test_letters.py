"""Letters and words come from the affine, for every orientation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_harmonize.session.display import Convention
from napari_harmonize.widgets.letters import (
    PLANES,
    Edges,
    convention_text,
    edge_letters,
    index_text,
    layout,
    number_text,
    oblique_text,
    position_text,
)

RADIOLOGICAL, NEUROLOGICAL = Convention.RADIOLOGICAL, Convention.NEUROLOGICAL


def _affine(order, signs):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (body, sign) in enumerate(zip(order, signs, strict=True)):
        affine[body, axis] = sign * (1.0 + axis)
    return affine


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_the_screen_looks_the_same_whatever_the_order_of_the_array(order, signs):
    affine = _affine(order, signs)
    assert edge_letters(affine, "axial") == Edges("R", "L", "A", "P")
    assert edge_letters(affine, "coronal") == Edges("R", "L", "S", "I")
    assert edge_letters(affine, "sagittal") == Edges("A", "P", "S", "I")
    assert edge_letters(affine, "axial", NEUROLOGICAL) == Edges("L", "R", "A", "P")
    assert edge_letters(affine, "coronal", NEUROLOGICAL) == Edges("L", "R", "S", "I")
    assert edge_letters(affine, "sagittal", NEUROLOGICAL) == Edges("A", "P", "S", "I")
    for plane in PLANES:
        placed = layout(affine, plane)
        assert sorted((placed.across, placed.up, placed.through)) == [0, 1, 2]
        upward = affine[:3, placed.up] * placed.top
        assert upward[1 if plane == "axial" else 2] > 0
        forward = affine[:3, placed.through] * placed.forward
        assert forward[{"axial": 2, "coronal": 1, "sagittal": 0}[plane]] > 0


def test_oblique_grids_say_so():
    angle = np.radians(19)
    affine = np.eye(4)
    affine[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert oblique_text(affine) == "oblique 19°"
    assert oblique_text(np.eye(4)) == ""
    assert edge_letters(affine, "axial") == Edges("R", "L", "A", "P")


def test_positions_have_letters_and_no_signs():
    assert position_text((12.5, 3.04, 44)) == "R 12.5 A 3.0 S 44.0 mm"
    assert position_text((-12.55, -0.04, -44)) == "L 12.6 A 0.0 I 44.0 mm"
    assert position_text((-0.01, -1, 0)) == "R 0.0 P 1.0 S 0.0 mm"


def test_the_convention_in_words():
    assert convention_text(RADIOLOGICAL) == "Radiological: patient's left is on the right of the picture"
    assert "left of the picture" in convention_text(NEUROLOGICAL)


def test_numbers_and_indices():
    assert [number_text(value) for value in (118.4, 0.6234, -1.3e-5, 0.0, float("nan"))] == ["118", "0.623", "-1.3e-05", "0", "nan"]
    assert index_text((1, 2, 3)) == "voxel 1, 2, 3"
