"""Processes that simulate beside a training: the same batches in the same order, and subjects that they share."""

import time

import pytest
import torch

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.diffusion.schedules import bridge
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.events import finish
from napari_harmonize.networks.shuffle_unet import ShuffleUNet, ShuffleUNetSettings
from napari_harmonize.settings import replace
from napari_harmonize.training.ahead import Batches, batches, subjects_ahead
from napari_harmonize.training.loop import TrainingSettings, train
from napari_harmonize.training.stream import Stream, StreamSettings

SMALL = StreamSettings(pool=1, renew=4, voxel=4)
QUICK = TrainingSettings(steps=5, samples=1, save=100, warm_up=1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("subjects")


@pytest.fixture(scope="module")
def stream(kept):
    return Stream(SMALL, 11, kept=kept)


def trained(stream, settings, folder):
    torch.manual_seed(0)
    network = ShuffleUNet(ShuffleUNetSettings.tiny())
    return finish(train(network, bridge(BridgeSettings()), stream, settings, folder / "checkpoint.pt")).state_dict()


def test_a_kept_subject_is_the_one_that_is_drawn(stream, kept):
    there = stream.keep(1)
    assert torch.equal(there, Stream(SMALL, 11)._drawn(1))
    before = (kept / "1.npy").stat().st_mtime_ns
    assert torch.equal(stream.keep(1), there)
    assert (kept / "1.npy").stat().st_mtime_ns == before


def test_a_stream_without_a_folder_keeps_nothing():
    with pytest.raises(ValueError, match="without one"):
        Stream(SMALL, 11).keep(1)


def test_other_processes_give_the_same_weights(stream, tmp_path):
    (tmp_path / "beside").mkdir()
    alone = trained(stream, QUICK, tmp_path)
    beside = trained(stream, replace(QUICK, workers=2), tmp_path / "beside")
    for name, value in alone.items():
        assert torch.equal(value, beside[name]), name


def test_batches_begin_where_a_run_was_stopped(stream):
    made = Batches(stream, QUICK)
    later = list(batches(made, 3, 0, pinned=False))
    assert len(later) == 2
    assert torch.equal(later[0][1], made[3][1])


def test_subjects_are_made_ahead(tmp_path):
    ahead = Stream(SMALL, 12, kept=tmp_path)
    with subjects_ahead(ahead, 2, 1):
        waited = time.monotonic() + 120
        while not (tmp_path / "2.npy").exists() and time.monotonic() < waited:
            time.sleep(0.2)
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == ["1.npy", "2.npy"]
