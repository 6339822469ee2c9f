"""What was drawn before the simulator grew is drawn still: models and samples made from it can be made again."""

import pytest
import torch

from napari_harmonize.simulate.anatomy import AnatomySettings, generator, subject
from napari_harmonize.simulate.contrast import CONTRASTS
from napari_harmonize.simulate.effects import EFFECTS

# a number of what is drawn, and the next random number after it
DRAWN = {
    "mprage": (0.15863, 0.087929),
    "t1-spin-echo": (1.59853, 0.897051),
    "t2": (1.61275, 0.897051),
    "proton-density": (2.84238, 0.897051),
    "flair": (0.667593, 0.565876),
    "ct": (195.044, 0.956483),
    "anything": (3.43624, 0.084383),
}
DONE = {
    "texture": (0.159332, 0.381590),
    "bias": (0.135687, 0.358476),
    "thick slices": (0.555323, 0.956483),
    "rician": (0.112849, 0.571329),
    "gaussian": (0.103672, 0.793189),
}
TISSUES = [162181.9, 780758.4, 492147.7, 63616.2, 1689.8, 15448.0]


@pytest.mark.parametrize("name", DRAWN)
def test_contrasts_are_drawn_as_ever(name):
    rng = generator(1, 2)
    drawn = CONTRASTS[name](rng)
    assert (float(drawn.sum()), float(torch.rand((), generator=rng))) == pytest.approx(DRAWN[name], rel=1e-5)


@pytest.mark.parametrize("name", DONE)
def test_effects_are_drawn_as_ever(name):
    rng = generator(1, 2)
    still = torch.rand((18, 20, 16), generator=generator(1))
    done = EFFECTS[name].apply(still, 3.0 if name == "thick slices" else 0.1, rng)
    assert (float(done[3, 4, 5]), float(torch.rand((), generator=rng))) == pytest.approx(DONE[name], rel=1e-4)


def test_subjects_are_drawn_as_ever():
    pytest.importorskip("nilearn", reason="the template comes with the train extra")
    volumes = subject(AnatomySettings(lesions=1.0, remnants=1.0), 5, 3).sum(dim=(1, 2, 3))
    assert volumes.tolist() == pytest.approx(TISSUES, rel=1e-3)
