from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from napari_harmonize.errors import SettingsError
from napari_harmonize.settings import from_json, to_json
from napari_harmonize.style import Edit, Origin, apply, compute, drag, from_histogram, handles_on, mapping, peaks

RNG = np.random.default_rng(11)
TISSUE = [(0.15, 0.03, 40_000), (0.45, 0.04, 90_000), (0.75, 0.03, 80_000)]
VOXELS = np.concatenate([RNG.normal(mean, width, count) for mean, width, count in TISSUE]).clip(0.002, 1)
KEY = compute(VOXELS, label="subject")
EDITS = [
    Edit(brightness=0.2),
    Edit(contrast=2.0, brightness=-0.1),
    Edit(gamma=0.5),
    Edit(handles=((0.15, 0.3), (0.45, 0.5), (0.75, 0.9))),
    Edit(brightness=0.45, contrast=4.0, gamma=4.0, handles=((0.15, 0.02), (0.45, 0.05), (0.75, 0.98))),
    Edit(brightness=-0.45, contrast=0.25, gamma=0.25, handles=((0.15, 0.9), (0.45, 0.95), (0.75, 0.97))),
]


@pytest.mark.parametrize("edit", EDITS)
def test_mapping_rises_strictly_from_0_to_1(edit):
    curve = mapping(edit)(np.linspace(0, 1, 20_001))
    assert (curve[0], curve[-1]) == (0, 1)
    assert np.diff(curve).min() > 0


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_key_is_the_key_of_the_edited_voxels(edit):
    edited, voxels = apply(edit, KEY), compute(mapping(edit)(VOXELS))
    assert edited.histogram.sum() == pytest.approx(10, abs=1e-9)
    assert np.abs(edited.curves[1] - voxels.curves[1]).max() < 0.06


def test_handles_go_where_they_are_dragged():
    edit = Edit(handles=((0.15, 0.3), (0.45, 0.5), (0.75, 0.9)))
    np.testing.assert_allclose(mapping(edit)([0.15, 0.45, 0.75]), [0.3, 0.5, 0.9], atol=1e-12)
    np.testing.assert_allclose(peaks(apply(edit, KEY)), [0.3, 0.5, 0.9], atol=0.02)


def test_the_cubic_is_scipys_pchip():
    knots = (np.array([(0.001, 0.001), (0.2, 0.3), (0.5, 0.6), (0.7, 0.8), (1, 1)]) - 0.001) / 0.999
    ours = mapping(Edit(handles=((0.2, 0.3), (0.5, 0.6), (0.7, 0.8))))
    u = np.linspace(0, 1, 999)
    np.testing.assert_allclose((ours(0.001 + 0.999 * u) - 0.001) / 0.999, PchipInterpolator(*knots.T)(u), atol=1e-12)


def test_brightness_contrast_and_gamma_do_what_their_help_says():
    middle = 0.001 + 0.999 / 2
    step = 1e-5
    assert mapping(Edit(brightness=0.2))(middle) == pytest.approx(0.001 + 0.999 * 0.7, abs=1e-3)
    slope = (mapping(Edit(contrast=2.0))(middle + step) - mapping(Edit(contrast=2.0))(middle - step)) / (2 * step)
    assert slope == pytest.approx(2, abs=0.01)
    assert mapping(Edit(gamma=2.0))(0.001 + 0.999 * 0.3) == pytest.approx(0.001 + 0.999 * 0.09, abs=1e-3)


def test_an_edit_that_changes_nothing_gives_the_key_itself():
    assert apply(Edit(), KEY) is KEY
    assert apply(Edit(handles=handles_on(KEY)), KEY) is KEY


def test_an_edit_of_an_oracle_stays_marked():
    oracle = compute(VOXELS, label="own", origin=Origin.ORACLE, source_name="t1.nii")
    twice = apply(Edit(gamma=1.2), apply(Edit(brightness=0.1), oracle))
    assert (twice.origin, twice.peeks, twice.label, twice.source_name) == (Origin.EDIT, True, "own (edited)", "t1.nii")
    assert len(twice.history) == 2
    assert "oracle" in twice.history[0]
    assert "brightness +0.100" in twice.history[0]
    assert not apply(Edit(gamma=1.2), KEY).peeks


def test_drag_ends_where_the_pointer_is_whatever_the_tone():
    edit = Edit(brightness=0.1, contrast=1.3, gamma=0.8, handles=handles_on(KEY))
    for position in (0.5, 0.6, 0.7):
        moved = drag(edit, 1, position)
        assert float(mapping(moved)(moved.handles[1][0])) == pytest.approx(position, abs=1e-6)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("position", [-1.0, 0.0, 0.45, 1.0, 2.0])
def test_drag_never_crosses_a_neighbour(number, position):
    edit = Edit(handles=((0.1, 0.44), (0.45, 0.45), (0.75, 0.46)))
    moved = drag(edit, number, position)
    assert np.diff([to for _, to in moved.handles]).min() >= 0.01 - 1e-9
    assert moved.handles[number][0] == edit.handles[number][0]


def test_drag_needs_its_handle():
    with pytest.raises(SettingsError, match="handle 0 of 0"):
        drag(Edit(), 0, 0.5)


@pytest.mark.parametrize(
    "handles",
    [((0.5, 0.5), (0.4, 0.6)), ((0.4, 0.6), (0.5, 0.6)), ((0.0, 0.2),), ((0.5, 1.0),), ((0.5, float("nan")),), ((0.5,),), ("ab",)],
)
def test_handles_that_cross_touch_or_leave_are_refused(handles):
    with pytest.raises(SettingsError, match=r"rise by at least|pair of intensities"):
        Edit(handles=handles)


def test_limits_are_checked():
    for values in ({"gamma": 0.0}, {"brightness": 0.5}, {"contrast": float("nan")}):
        with pytest.raises(SettingsError, match=next(iter(values))):
            Edit(**values)


@pytest.mark.parametrize("edit", EDITS)
def test_edits_survive_json(edit):
    assert from_json(Edit, to_json(edit)) == edit


def test_peaks_of_three_tissues():
    np.testing.assert_allclose(peaks(KEY), [0.15, 0.45, 0.75], atol=0.01)


def test_a_missing_peak_is_put_between_the_shares_of_its_neighbours():
    white = VOXELS[40_000:]
    dark, grey, bright = peaks(compute(white))
    np.testing.assert_allclose([grey, bright], [0.45, 0.75], atol=0.01)
    assert dark == pytest.approx(np.quantile(white, (white < grey).mean() / 2), abs=0.02)


def test_peaks_of_a_comb_are_those_of_the_tissue():
    """Whole numbers 0..156 in 128 bins leave every fifth bin doubled."""
    np.testing.assert_allclose(peaks(compute(np.round(VOXELS * 156) / 156)), [0.15, 0.45, 0.75], atol=0.02)


@pytest.mark.parametrize("place", [0, 5, 60, 127])
def test_there_are_always_three_peaks_apart(place):
    dark, middle, bright = peaks(from_histogram(np.arange(128) == place))
    assert dark >= 0.001 + 0.02 - 1e-9
    assert dark + 0.02 - 1e-9 <= middle
    assert middle + 0.02 - 1e-9 <= bright <= 0.98 + 1e-9
    Edit(handles=handles_on(from_histogram(np.arange(128) == place)))


def test_flat_and_many_peaked_histograms_have_three():
    assert len(set(peaks(from_histogram(np.ones(128))))) == 3
    waves = from_histogram(1.1 + np.cos(np.linspace(0, 12 * np.pi, 128)))
    assert np.diff(peaks(waves)).min() > 0.1
