"""Every metric of the table keeps what the table says of it."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter

from napari_harmonize.errors import GeometryError, VolumeError
from napari_harmonize.metrics import METRICS, evaluate, scale
from napari_harmonize.style import compute

RNG = np.random.default_rng(21)
SHAPE = (48, 50, 44)
AXES = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
MASK = sum(axis**2 for axis in AXES) < 0.75
TEXTURE = gaussian_filter(RNG.standard_normal(SHAPE), 1.5)
TRUTH = np.where(MASK, 0.5 + 0.45 * TEXTURE / np.abs(TEXTURE).max(), 0)
SOURCE = np.where(MASK, 1 - TRUTH, 0)
NOISE = np.where(MASK, RNG.standard_normal(SHAPE), 0)
NAMES = sorted(METRICS)


def value(name, result, *, truth=TRUTH, source=SOURCE, mask=MASK, repeats=None):
    row = METRICS[name]
    given = {"truth": truth, "source": source, "key": compute(TRUTH), "repeats": (TRUTH,) if repeats is None else repeats}
    needed = {need: data for need, data in given.items() if need in row.needs}
    score = evaluate(result, mask=mask, metrics=[name], hounsfield=row.values == "HU", **needed)[0]
    assert (score.name, score.unit) == (name, row.unit)
    return score.value


def perfect(name):
    """What a metric is perfect for: the truth, scaled where results are not; without one the source's structure or the key's look."""
    if name == "psnr-answered":
        return np.where(MASK, scale(TRUTH, MASK), 0)
    return SOURCE if METRICS[name].needs == {"source", "mask"} else TRUTH


def worse(name, amount):
    return np.clip(perfect(name) + amount * NOISE, 0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_result_gives_the_best_value(name):
    best = METRICS[name].best
    found = value(name, perfect(name))
    if best is None:
        assert found > value(name, worse(name, 0.02))
    else:
        assert found == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_more_noise_is_worse(name):
    amounts = (0, 0.05, 0.15, 0.4)
    found = [value(name, worse(name, amount)) for amount in amounts]
    signed = found if METRICS[name].higher_is_better else [-number for number in found]
    assert all(before > after for before, after in itertools.pairwise(signed)), found


@pytest.mark.parametrize("name", [name for name in NAMES if METRICS[name].reach is not None])
def test_what_is_out_of_reach_of_the_mask_changes_nothing(name):
    reach = METRICS[name].reach
    near = binary_dilation(MASK, np.ones((3, 3, 3)), iterations=reach) if reach else MASK
    volumes = {"truth": TRUTH, "source": SOURCE}
    strange = {part: np.where(near, data, RNG.choice([5.0, -3.0, np.nan, np.inf], SHAPE)) for part, data in volumes.items()}
    result = worse(name, 0.1)
    repeats = (np.where(near, TRUTH, -7.0),)
    found = value(name, np.where(near, result, np.nan), repeats=repeats, **strange)
    assert found == pytest.approx(value(name, result), rel=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if "mask" in METRICS[name].needs])
def test_the_mask_is_honoured(name):
    half = MASK.copy()
    half[SHAPE[0] // 2 :] = False
    spoilt = worse(name, 0.3)
    better_half = np.where(np.arange(SHAPE[0])[:, None, None] < SHAPE[0] // 2 + 4, perfect(name), spoilt)
    best = value(name, perfect(name), mask=half)
    assert value(name, better_half, mask=half) == pytest.approx(best, abs=1e-9)
    assert value(name, better_half) != pytest.approx(value(name, perfect(name)), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_what_is_not_finite_inside_is_never_hidden(name, strange):
    broken = perfect(name).copy()
    broken[24, 25, 22] = strange
    with pytest.raises(VolumeError, match="the result has 1 others"):
        value(name, broken)


@pytest.mark.parametrize("name", NAMES)
def test_unfit_volumes_are_refused_in_a_sentence(name):
    with pytest.raises(GeometryError, match=r"the result|the volumes"):
        value(name, TRUTH[:-1])
    with pytest.raises(VolumeError, match="mask is empty"):
        value(name, TRUTH, mask=np.zeros(SHAPE, bool))
    with pytest.raises(VolumeError, match="three axes"):
        value(name, TRUTH[0], mask=None)


@pytest.mark.parametrize("name", NAMES)
def test_constant_volumes_give_a_number_or_nan_with_a_reason(name):
    row = METRICS[name]
    flat = np.full(SHAPE, 0.5)
    given = {"truth": flat, "source": flat, "key": compute(flat), "repeats": (flat,)}
    needed = {need: data for need, data in given.items() if need in row.needs}
    score = evaluate(flat, mask=MASK, metrics=[name], hounsfield=row.values == "HU", **needed)[0]
    assert not math.isnan(score.value) or score.note


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_part_is_named(name):
    score = evaluate(TRUTH, metrics=[name])[0]
    assert math.isnan(score.value)
    assert score.note.startswith("needs ")
    for need in METRICS[name].needs - {"mask"}:
        assert need in score.note


@pytest.mark.parametrize("name", NAMES)
def test_integers_and_singles_measure_like_doubles(name):
    coarse = np.round(worse(name, 0.05) * 4).astype(np.int16) / 4
    assert value(name, coarse.astype(np.float32)) == pytest.approx(value(name, coarse), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_the_row_says_what_it_is(name):
    row = METRICS[name]
    assert row.title
    assert len(row.help) > 30
    assert row.needs <= {"truth", "source", "mask", "key", "repeats"}
    assert row.values in ("any", "HU", "0..1")


def test_neither_torch_nor_scikit_image_is_loaded_before_it_is_needed():
    code = "import sys, napari_harmonize.metrics; print([name for name in ('torch', 'skimage', 'scipy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
