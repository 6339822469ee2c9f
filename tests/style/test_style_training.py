from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.errors import StyleError
from napari_harmonize.style import Origin, Training, average, compute, distance, far, from_histogram, nearest

RNG = np.random.default_rng(8)


def subject(mean: float, name: str = ""):
    return compute(RNG.normal(mean, 0.05, 20_000), label=name or f"subject {mean:.2f}", origin=Origin.REFERENCE)


KEYS = tuple(subject(mean) for mean in np.linspace(0.4, 0.5, 12))
TRAINING = Training.of(KEYS)


def test_threshold_is_that_of_leave_one_out_by_hand():
    nearest_other = [min(distance(key, other) for other in KEYS if other is not key) for key in KEYS]
    assert TRAINING.threshold == pytest.approx(np.percentile(nearest_other, 99))
    assert TRAINING.average.same_as(average(KEYS))


def test_training_keys_and_their_average_are_not_far():
    assert far(TRAINING.average, TRAINING) is None
    assert all(far(key, TRAINING) is None for key in KEYS)


def test_an_average_unlike_every_subject_is_known_all_the_same():
    two_looks = Training.of([subject(0.2), subject(0.2), subject(0.8), subject(0.8)])
    assert min(distance(two_looks.average, key) for key in two_looks.keys) > two_looks.threshold
    assert far(two_looks.average, two_looks) is None


def test_a_look_beyond_training_is_warned_of_in_numbers():
    warning = far(subject(0.8), TRAINING)
    assert warning is not None
    assert warning.distance == pytest.approx(0.3, abs=0.01)
    assert warning.nearest == "subject 0.50"
    assert f"{warning.distance:.3f} from the nearest training key (subject 0.50)" in str(warning)


def test_nearest_says_what_it_is_and_whether_it_peeked():
    found = nearest(subject(0.43), TRAINING)
    assert found.origin is Origin.SIMILAR
    assert abs(found.quantiles(0.5) - 0.43) < 0.01
    assert not found.peeks
    oracle = compute(RNG.normal(0.43, 0.05, 9000), origin=Origin.ORACLE)
    assert nearest(oracle, TRAINING).peeks
    assert "oracle" in nearest(oracle, TRAINING).history[-1]


def test_training_needs_two_like_keys():
    with pytest.raises(StyleError, match="at least two"):
        Training.of(KEYS[:1])
    with pytest.raises(StyleError, match="bins"):
        Training(KEYS[0], (KEYS[1], from_histogram(np.ones(16))), 0.1)
    with pytest.raises(StyleError, match="bins"):
        far(from_histogram(np.ones(16)), TRAINING)
