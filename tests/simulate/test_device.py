"""Simulated on a graphics card, a subject and its scans are those of the processor."""

import numpy as np
import pytest
import torch

from napari_harmonize.device import choose_device, computed_on, here
from napari_harmonize.errors import EngineError

CARD = torch.cuda.is_available()
needs_card = pytest.mark.skipif(not CARD, reason="a graphics card is needed")


def test_tensors_of_a_block_are_made_on_its_device():
    assert here() == torch.device("cpu")
    with computed_on(torch.device("meta")):
        assert here() == torch.device("meta")
        made = (torch.zeros(2), torch.tensor([1.0]), torch.arange(3), torch.as_tensor(np.ones(2)), torch.fft.rfftfreq(8), torch.eye(2))
        assert {tensor.device.type for tensor in made} == {"meta"}
        assert torch.zeros(2, device="cpu").device.type == "cpu"
    assert torch.zeros(2).device.type == "cpu"


def test_chance_is_drawn_on_the_processor_and_brought_over():
    with computed_on(torch.device("meta")):
        rng = torch.Generator().manual_seed(3)
        assert torch.randn(4, generator=rng).device.type == "meta"
        single = torch.rand((), generator=rng)
    again = torch.Generator().manual_seed(3)
    torch.randn(4, generator=again)
    assert float(single) == float(torch.rand((), generator=again))


def test_auto_takes_what_is_there_among_what_is_wished():
    assert choose_device("auto", auto=()) == torch.device("cpu")
    assert choose_device("auto", auto=("cuda",)).type == ("cuda" if CARD else "cpu")
    if not CARD:
        with pytest.raises(EngineError, match="cuda is not"):
            choose_device("cuda")


@needs_card
@pytest.mark.parametrize("index", range(6))
def test_a_pair_is_the_same_on_a_graphics_card(index):
    pytest.importorskip("nilearn", reason="the template comes with the train extra")
    from napari_harmonize.simulate.pairs import make_pair
    from napari_harmonize.simulate.settings import SimulationSettings

    here_, there = (make_pair(SimulationSettings(seed=5, voxel=2, head=index == 5, device=name), index) for name in ("cpu", "cuda"))
    assert here_.found == there.found
    assert [scan.effects for scan in here_.scans] == [scan.effects for scan in there.scans]
    assert np.mean(here_.labels.data != there.labels.data) < 1e-4
    for role in ("source", "target"):
        one, other = (np.asarray(getattr(pair, role).data, np.float64) for pair in (here_, there))
        assert np.abs(one - other).mean() < 0.005 * np.ptp(one)
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9999


@needs_card
def test_a_training_sample_is_the_same_on_a_graphics_card():
    pytest.importorskip("nilearn", reason="the template comes with the train extra")
    from napari_harmonize.training.stream import Stream, StreamSettings

    for index in range(8):
        one, other = (Stream(StreamSettings(pool=1, device=name), 11).sample(index) for name in ("cpu", "cuda"))
        torch.testing.assert_close(other.source.cpu(), one.source, atol=0.05, rtol=0)
        torch.testing.assert_close(other.target.cpu(), one.target, atol=0.05, rtol=0)
