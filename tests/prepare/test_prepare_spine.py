"""The preparation steps the spine system needs."""

from __future__ import annotations

import numpy as np
import pytest

from napari_harmonize.errors import SettingsError, VolumeError
from napari_harmonize.prepare import Context, make, prepare, undo
from napari_harmonize.volumes import Meaning, Volume


def _run(name, data, settings=None, **context):
    volume = Volume(np.asarray(data, np.float32), np.diag([1.0, 2.0, 3.0, 1.0]), name="made")
    return prepare(volume, [make(name, settings)], Context(**context))


def test_division_by_the_maximum():
    data = np.linspace(-3, 6, 27).reshape(3, 3, 3)
    done, records = _run("divide_by_maximum", data)
    assert np.allclose(done.data, np.clip(data, 0, None) / 6)
    assert done.meaning is Meaning.UNIT
    assert records[0].params == {"scale": 6.0}
    assert _run("divide_by_maximum", data, {"margin": 1.5})[0].data.max() == pytest.approx(1 / 1.5)
    with pytest.raises(VolumeError, match="is above 0"):
        _run("divide_by_maximum", -np.ones((2, 2, 2)))


def test_an_axis_keeps_its_spacing_where_none_is_asked_for():
    done, _ = _run("resample", np.random.default_rng(0).random((4, 6, 5)), {"spacing": [0.0, 1.0, 1.0]})
    assert done.spacing == pytest.approx((1.0, 1.0, 1.0))
    assert done.shape == (4, 12, 15)
    done, _ = _run("resample", np.ones((4, 6, 5)), {"spacing": [4.0, 0.0, 0.0]})
    assert done.spacing == pytest.approx((4.0, 2.0, 3.0))
    with pytest.raises(SettingsError, match=r"0 or at least 0\.05"):
        make("resample", {"spacing": [0.01, 1.0, 1.0]})


@pytest.mark.parametrize("grow", [False, True])
def test_padding_of_a_volume(grow):
    data = np.ones((8, 11, 6))
    done, records = _run("pad_volume", data, {"value": 0.5, "grow": grow, "larger": "RPS"}, multiple=8)
    assert done.shape == ((16, 16, 8) if grow else (8, 16, 8))
    assert records[0].params["before"] == ([4, 3, 1] if grow else [0, 3, 1])
    assert np.count_nonzero(done.data == 1) == data.size
    assert set(np.unique(done.data)) == {np.float32(0.5), np.float32(1)}
    assert np.array_equal(undo(done, records).data, data)


def test_the_larger_half_of_the_border_lies_where_it_is_asked_for():
    data = np.ones((7, 7, 7))
    before = [_run("pad_volume", data, {"larger": larger}, multiple=8)[1][0].params["before"] for larger in ("LPI", "RAS", "LAS")]
    assert before == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]
    with pytest.raises(SettingsError, match="in this order"):
        make("pad_volume", {"larger": "ILP"})


def test_nothing_to_pad():
    done, records = _run("pad_volume", np.ones((8, 16, 8)), multiple=8)
    assert "multiple of 8 already" in records[0].params["skipped"]
    assert done.shape == (8, 16, 8)
