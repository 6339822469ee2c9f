"""Subjects: the same twice, different from each other, brains nevertheless."""

import pytest
import torch

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.simulate.anatomy import AnatomySettings, subject
from napari_harmonize.simulate.head import MARGIN, whole_head
from napari_harmonize.simulate.relaxation import BRAIN, HEAD
from napari_harmonize.simulate.template import CANVAS, tissue_maps


@pytest.fixture(scope="module")
def lesioned():
    return subject(AnatomySettings(lesions=1.0, remnants=1.0), 5, 1)


def test_template_shares_sum_to_one_inside():
    total = tissue_maps().sum(0)
    assert tissue_maps().shape == (4, *CANVAS)
    assert torch.all((total < 1e-3) | ((total - 1).abs() < 1e-2))
    assert 1.2e6 < (total > 0.5).sum() < 2.2e6


def test_shares_are_shares(lesioned):
    assert lesioned.shape == (len(BRAIN), *CANVAS)
    assert lesioned.min() >= 0
    assert lesioned.sum(0).max() < 1 + 1e-4


def test_lesions_and_remnants_are_there(lesioned):
    assert lesioned[BRAIN.index("gliosis")].sum() > 20
    assert lesioned[BRAIN.index("remnant")].sum() > 20


def test_a_subject_depends_on_its_numbers_alone(lesioned):
    torch.manual_seed(99)
    again = subject(AnatomySettings(lesions=1.0, remnants=1.0), 5, 1)
    assert torch.equal(again, lesioned)
    assert not torch.equal(subject(AnatomySettings(lesions=0.0, remnants=0.0), 5, 2)[:4], lesioned[:4])


def test_maps_are_hardened(lesioned):
    """Averaged maps are half one tissue, half another almost everywhere near the cortex; subjects are not."""

    def mixed(shares):
        inside = shares.sum(0) > 0.5
        return float((shares[:, inside].amax(0) < 0.8).float().mean())

    assert mixed(lesioned) < 0.7 * mixed(tissue_maps())


def test_bone_and_scalp_lie_around_the_brain(lesioned):
    head = whole_head(lesioned, torch.Generator().manual_seed(1))
    assert head.shape == (len(HEAD), *(size + 2 * MARGIN for size in CANVAS))
    assert head.sum(0).max() < 1 + 1e-3
    brain = torch.nn.functional.pad(lesioned.sum(0), (MARGIN,) * 6) > 0.5
    assert head[HEAD.index("bone")][brain].max() < 0.51
    assert head[HEAD.index("scalp")].sum() > 1e5
