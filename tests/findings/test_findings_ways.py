"""Slices are translated as the whole volume is, and keys and baselines are what they are called."""

from __future__ import annotations

import numpy as np
import pytest

import small_subjects
from napari_harmonize.errors import ModelError
from napari_harmonize.events import Progress, finish
from napari_harmonize.findings.costs import seconds
from napari_harmonize.findings.settings import BenchmarkSettings
from napari_harmonize.findings.ways import KEYS, TRUTH, Way, baseline, translated, true_key
from napari_harmonize.style import Origin, nearest
from napari_harmonize.translation import load_engine, prepare_case

ASKED = BenchmarkSettings(seed=5, device="cpu")


@pytest.fixture
def subject(make):
    return make("ct-to-t1", 1)


@pytest.mark.parametrize("model", ["ct-to-t1", "compare-adm", "compare-regression", "compare-ddim-3d"])
def test_slices_are_those_of_the_whole_volume(model, subject, find):
    package = find(model)
    steps = {} if model == "compare-regression" else {"steps": 3}
    apart = {} if model == "compare-ddim-3d" else {"consistency": "none"}  # patches are always averaged
    way = Way("apart", model, {**steps, **apart})
    settings = way.settings(package, ASKED, 1)
    prepared, engine = prepare_case(subject.case, package), load_engine(package, settings)
    some, whole = (
        finish(translated(way, subject, slices, package, settings, prepared, engine)) for slices in (subject.middle(7), range(12))
    )
    part = (slice(None), slice(None), slice(2, 9))
    assert whole[part].std() > 0.001
    np.testing.assert_allclose(some[part], whole[part], atol=0.05 * whole[part].std())
    assert not some[:, :, :2].any()


def test_a_network_of_patches_is_asked_for_a_slab(monkeypatch, find):
    monkeypatch.setattr(small_subjects, "SHAPE", (20, 24, 48))
    subject, package = small_subjects.small("flair-to-t1", 1), find("compare-ddim-3d")
    way = Way("3D", "compare-ddim-3d", {"steps": 2})
    settings = way.settings(package, ASKED, 1)
    prepared, engine = prepare_case(subject.case, package), load_engine(package, settings)
    totals = []
    for slices in (subject.middle(8), range(48)):
        events = []
        made = finish(translated(way, subject, slices, package, settings, prepared, engine), events.append)
        totals.append(next(event.total for event in events if isinstance(event, Progress)))
        assert set(np.flatnonzero(made.any((0, 1)))) <= set(slices)
        assert np.isfinite(made).all()
    assert totals[0] < totals[1] / 2
    told = [seconds(ASKED, way, package, subject, slices) for slices in (subject.middle(8), range(48))]
    assert told[0] / told[1] == pytest.approx(totals[0] / totals[1])


def test_settings_are_the_models_own_but_for_what_the_way_says(find):
    package = find("compare-adm")
    found = Way("more steps", "compare-adm", {"steps": 9}).settings(package, ASKED, 3)
    own = package.recipe.defaults
    assert (found.steps, found.sampler, found.eta, found.seed, found.device) == (9, own.sampler, own.eta, 8, "cpu")


def test_keys_are_whose_they_are_called(subject, find):
    package = find("ct-to-t1")
    training = package.recipe.training

    def truth():
        return true_key(subject, prepare_case(subject.case, package), package)

    assert KEYS["average"](package, truth) is None
    assert KEYS["other person"](package, truth).same_as(training.keys[0])
    best = KEYS["best"](package, truth)
    assert best.same_as(nearest(truth(), training))
    assert (best.peeks, best.origin) == (True, Origin.SIMILAR)


def test_baselines_are_the_truth_the_source_and_another_subject(subject, make):
    assert np.array_equal(finish(baseline(Way(TRUTH, TRUTH), subject, None)), subject.truth.data)
    source = finish(baseline(Way("as it is", "baseline:identity"), subject, None))
    assert np.corrcoef(source[subject.inside], subject.case.source.data[subject.inside])[0, 1] > 0.999
    other = make("ct-to-t1", 2)
    way = Way("matched", "baseline:histogram-matching", reference=True)
    matched, peeking = (finish(baseline(way, subject, volume)) for volume in (other.truth, subject.truth))
    assert np.abs(matched - peeking).max() > 0
    with pytest.raises(ModelError, match="reference"):
        finish(baseline(way, subject, None))
