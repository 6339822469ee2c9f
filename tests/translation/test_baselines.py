"""Baselines in closed form, and behind the job."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_harmonize import style
from napari_harmonize.errors import ModelError, VolumeError
from napari_harmonize.events import Note, Progress, finish
from napari_harmonize.settings import to_json
from napari_harmonize.translation import BASELINES, Case, TranslationSettings, translate, translate_baseline
from napari_harmonize.translation.baselines import match_histogram, nyul, standard_scale
from napari_harmonize.volumes import Volume


@pytest.fixture
def pair(case) -> Case:
    """The truth is a monotone function of the source."""
    inside = case.source.data > 0
    truth = np.where(inside, (case.source.data / 220) ** 2 * 500, 0).astype(np.float32)
    return dataclasses.replace(case, truth=case.source.replace(data=truth, name="truth"))


def run(case, name):
    return finish(translate(case, TranslationSettings(model=f"baseline:{name}")))


def scaled(volume):
    inside = volume.data > 0
    return np.clip(volume.data / np.percentile(volume.data[inside], 99.5), 0, 1), inside


def test_identity_is_the_scaled_source(pair):
    result = run(pair, "identity")
    assert np.abs(result.volume.data - scaled(pair.source)[0]).max() < 1e-6
    assert result.run.facts["peeks"] is None
    assert np.array_equal(result.volume.affine, pair.source.affine)


@pytest.mark.parametrize("name", ["histogram-matching", "nyul"])
def test_matching_undoes_a_monotone_map_and_says_that_it_peeked(pair, name):
    heard = []
    result = finish(translate_baseline(name, pair), heard.append)
    truth, inside = scaled(pair.truth)
    before = np.abs(scaled(pair.source)[0] - truth)[inside].mean()
    after = np.abs(result.volume.data - truth)[inside].mean()
    assert after < 0.1 * before
    assert (result.volume.data[~inside] == 0).all()
    assert result.run.facts["peeks"] == f"The baseline {name} looked at the ground truth."
    assert [event.level for event in heard if isinstance(event, Note)] == ["warning"]
    assert [event for event in heard if isinstance(event, Progress)][-1].done == 1


def test_the_histogram_of_a_style_key_is_taken_over(pair):
    truth, inside = scaled(pair.truth)
    key = style.compute(truth, origin=style.Origin.ORACLE, label="the wished look")
    result = run(dataclasses.replace(pair, key=key), "key-matching")
    assert np.abs(result.volume.data - truth)[inside].max() < 0.02
    assert (result.volume.data[~inside] == 0).all()
    assert result.run.facts["peeks"] == "The style key knows the ground truth."
    assert result.run.facts["style"]["label"] == "the wished look"
    somebody = style.compute(truth**2, label="somebody else's")
    assert run(dataclasses.replace(pair, key=somebody), "key-matching").run.facts["peeks"] is None


def test_a_reference_of_somebody_else_is_no_peeking(pair):
    other = pair.truth.replace(name="reference")
    result = finish(translate_baseline("nyul", dataclasses.replace(pair, truth=None), reference=other))
    assert result.run.facts["peeks"] is None
    assert result.run.facts["reference"]["name"] == "reference"


def test_histogram_matching_copies_the_distribution():
    rng = np.random.default_rng(0)
    source, reference = rng.normal(0.3, 0.05, 5000).astype(np.float32), rng.uniform(0, 1, 5000).astype(np.float32)
    matched = match_histogram(source, reference)
    assert np.abs(np.sort(matched) - np.sort(reference)).max() < 1e-3
    assert (np.argsort(matched, kind="stable") == np.argsort(source, kind="stable")).all()


def test_landmarks_of_a_linear_map_are_mapped_linearly():
    source = np.linspace(0.2, 0.6, 1001, dtype=np.float32)
    reference = (0.1 + 2 * (source - 0.2)).astype(np.float32)
    assert np.abs(nyul(source, reference) - reference).max() < 1e-5


def test_the_standard_scale_averages_stretched_landmarks():
    flat = np.linspace(5, 25, 2001)
    scale = standard_scale([flat, flat**2])
    expected = [(np.array([1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99]) - 1) / 98]
    marks = np.percentile(flat**2, [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99])
    expected.append((marks - marks[0]) / (marks[-1] - marks[0]))
    assert np.abs(scale - np.mean(expected, 0)).max() < 1e-9
    assert scale[0] == 0
    assert scale[-1] == 1


def test_a_constant_source_becomes_a_constant():
    assert np.ptp(nyul(np.full(50, 0.5, np.float32), np.linspace(0, 1, 50, dtype=np.float32))) == 0


def test_an_explicit_mask_is_honoured(pair):
    mask = Volume((np.indices(pair.source.shape)[0] < 10).astype(np.uint8), pair.source.affine, name="half")
    result = run(dataclasses.replace(pair, mask=mask), "histogram-matching")
    assert (result.volume.data[10:] == 0).all()


def test_what_is_missing_is_said(pair):
    with pytest.raises(ModelError, match="A baseline is one of identity"):
        run(pair, "magic")
    with pytest.raises(ModelError, match="neither a reference nor a truth"):
        run(dataclasses.replace(pair, truth=None), "nyul")
    with pytest.raises(ModelError, match="needs the style key of the wished look"):
        run(pair, "key-matching")
    dark = pair.source.replace(data=-pair.source.data)
    with pytest.raises(VolumeError, match="above zero"):
        run(Case(dark), "identity")


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_bytes_twice(pair, name):
    pair = dataclasses.replace(pair, key=style.compute(scaled(pair.truth)[0]))
    assert run(pair, name).run.hash == run(pair, name).run.hash
    assert to_json(TranslationSettings(model=f"baseline:{name}"))["model"] == f"baseline:{name}"
