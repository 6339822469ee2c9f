"""Varied subjects: made again by number, options apart from each other, lesions with the right sign in every sequence."""

import pytest
import torch

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.settings import declarations
from napari_harmonize.simulate.contrast import CONTRASTS, means
from napari_harmonize.simulate.lesions import CSF, LESIONS, WHITE, paint
from napari_harmonize.simulate.relaxation import WIDE
from napari_harmonize.simulate.settings import SubjectSettings
from napari_harmonize.simulate.signal import MPRAGE_1P5T, MPRAGE_3T, Ct, Flair, GradientEcho, SpinEcho, TurboSpinEcho
from napari_harmonize.simulate.stripping import corners, scalp, skull
from napari_harmonize.simulate.subjects import OPTIONS, STRIPPING, Subject, varied_subject
from napari_harmonize.simulate.template import CANVAS, tissue_maps

NONE = dict.fromkeys(OPTIONS[1:], 0.0)


def only(*names: str, **others: float) -> SubjectSettings:
    return SubjectSettings(**{**NONE, **dict.fromkeys(names, 1.0), **others})


@pytest.fixture(scope="module")
def plain() -> Subject:
    return varied_subject(only(), 3, 5)


@pytest.fixture
def brain(plain):
    return plain.shares.clone()


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_option_is_a_setting_and_every_lesion_says_what_it_is():
    assert set(OPTIONS[1:]) <= set(declarations(SubjectSettings))
    assert all(row.help for row in LESIONS.values())


def test_a_subject_depends_on_its_numbers_alone(plain):
    torch.manual_seed(77)
    assert torch.equal(varied_subject(only(), 3, 5).shares, plain.shares)
    assert plain.found == ()
    assert plain.shares.shape == (len(WIDE), *CANVAS)
    assert plain.shares[4:].abs().sum() == 0


def test_turning_an_option_on_leaves_the_rest_of_the_subject_as_it_was(plain):
    wrong = varied_subject(only("cavities", "remnants"), 3, 5)
    assert wrong.found == ("cavities", "remnants")
    assert wrong.brain.sum() == plain.brain.sum()
    touched = (wrong.shares[:4] - plain.shares[:4]).abs().sum(0) > 1e-3
    assert 20 < int(touched.sum()) < 0.2 * int(plain.brain.sum())
    assert wrong.shares[WIDE.index("remnant")].sum() > 20


@pytest.mark.parametrize("name", LESIONS)
def test_lesions_replace_tissue_and_stay_in_the_brain(name, brain):
    before = brain.sum(0)
    LESIONS[name].paint(brain, rng())
    assert torch.allclose(brain.sum(0), before, atol=1e-4)
    assert brain.min() >= -1e-6
    tissues = {"hyperintensities": ["gliosis"], "cavities": ["gliosis"], "infarcts": ["infarct"], "tumours": ["tumour", "oedema"]}[name]
    assert all(brain[WIDE.index(tissue)].sum() > 5 for tissue in tissues)


def test_cavities_hold_fluid(brain):
    before = float(brain[CSF].sum())
    LESIONS["cavities"].paint(brain, rng(2))
    assert float(brain[CSF].sum()) > before + 20


def test_paint_replaces_a_share():
    shares = torch.zeros(len(WIDE), 2, 2, 2)
    shares[WHITE] = 0.5
    paint(shares, "tumour", torch.full((2, 2, 2), 0.25))
    assert torch.allclose(shares[WHITE], torch.tensor(0.375))
    assert torch.allclose(shares[WIDE.index("tumour")], torch.tensor(0.125))


@pytest.mark.parametrize("layer", [skull, scalp])
def test_what_stripping_left_lies_outside_the_brain(layer, brain):
    inside = brain.sum(0) > 0.5
    layer(brain, rng(4))
    left = brain[WIDE.index(layer.__name__.replace("skull", "bone"))]
    assert left.sum() > 50
    assert left[inside].max() < 0.51
    assert brain.sum(0).max() < 1 + 1e-4


def test_a_cut_corner_is_a_fiftieth_to_an_eighth_of_the_head(brain):
    before = float(brain.sum())
    corners(brain, rng(6))
    assert 0.86 < float(brain.sum()) / before < 0.985


def test_wider_ventricles_and_an_asymmetric_head():
    """Three subjects who differ in nothing else: more fluid in the middle, and one half unlike the other."""
    middle = (slice(55, 105), slice(50, 130), slice(70, 110))
    wide = varied_subject(only(ventricles=12.0, asymmetry=0.0), 3, 5).shares[CSF][middle].sum()
    narrow = varied_subject(only(ventricles=0.0, asymmetry=0.0), 3, 5).shares
    assert float(wide) > 1.1 * float(narrow[CSF][middle].sum())
    askew = varied_subject(only(ventricles=0.0, asymmetry=8.0), 3, 5).shares
    difference = [float((one[WHITE] - one[WHITE].flip(0)).abs().sum()) for one in (narrow, askew)]
    assert difference[1] > difference[0]
    assert float((tissue_maps()[WHITE] - tissue_maps()[WHITE].flip(0)).abs().sum()) < difference[0]


def test_stripping_can_be_wrong_only_where_something_was_stripped():
    settings = only(*STRIPPING, "remnants")
    assert varied_subject(settings, 3, 5, stripped=False).found == ()


SIGNS = [  # lesion, sequences, brighter (1) or darker (-1) than white matter
    ("gliosis", (MPRAGE_1P5T, MPRAGE_3T, GradientEcho(), Ct()), -1),
    ("gliosis", (SpinEcho(), TurboSpinEcho(), Flair(), SpinEcho(te=15)), 1),
    ("csf", (MPRAGE_1P5T, MPRAGE_3T, GradientEcho(), Flair(), Flair(1.5), Ct()), -1),
    ("csf", (SpinEcho(), TurboSpinEcho()), 1),
    ("oedema", (MPRAGE_1P5T, MPRAGE_3T, GradientEcho(), Ct()), -1),
    ("oedema", (SpinEcho(), SpinEcho(1.5), TurboSpinEcho(), Flair(), Flair(1.5), SpinEcho(te=15)), 1),
    ("infarct", (MPRAGE_1P5T, MPRAGE_3T, GradientEcho(), Ct()), -1),
    ("infarct", (SpinEcho(), SpinEcho(1.5), TurboSpinEcho(), Flair(), Flair(1.5)), 1),
    ("tumour", (MPRAGE_1P5T, MPRAGE_3T, GradientEcho()), -1),
    ("tumour", (SpinEcho(), SpinEcho(1.5), TurboSpinEcho(), Flair(), Flair(1.5), Ct()), 1),
    ("necrosis", (MPRAGE_1P5T, MPRAGE_3T, Ct()), -1),
    ("necrosis", (SpinEcho(), TurboSpinEcho()), 1),
]


@pytest.mark.parametrize(("lesion", "sequences", "sign"), SIGNS)
def test_lesions_have_the_right_sign_in_every_sequence(lesion, sequences, sign):
    for sequence in sequences:
        signal, white = means(sequence, (lesion, "white")).tolist()
        assert sign * (signal - white) > 0.05 * abs(white), sequence


def test_necrosis_is_darker_than_oedema_on_flair_and_t1_and_brighter_on_t2():
    for sequence, sign in ((Flair(), -1), (MPRAGE_3T, -1), (TurboSpinEcho(), 1)):
        necrosis, oedema = means(sequence, ("necrosis", "oedema")).tolist()
        assert sign * (necrosis - oedema) > 0


@pytest.mark.parametrize("name", CONTRASTS)
def test_contrasts_are_drawn_for_lesions_too(name):
    assert CONTRASTS[name](rng(), WIDE).shape == (len(WIDE),)
    if name != "anything":
        assert torch.equal(CONTRASTS[name](rng(), WIDE)[:6], CONTRASTS[name](rng()))


def test_hyperintensities_crowd_around_the_ventricles_and_have_no_straight_edges(brain):
    """Away from any box: no plane of the volume holds a jump in the amount of gliosis."""
    before = brain.clone()
    LESIONS["hyperintensities"].paint(brain, rng(3))
    gliosis = brain[WIDE.index("gliosis")]
    middle = gliosis[48:112, 38:138, 62:114].sum()
    assert float(middle) > 0.3 * float(gliosis.sum())
    for axis in range(3):
        line = gliosis.sum(dim=[other for other in range(3) if other != axis])
        assert float(line.diff().abs().max()) < 0.35 * float(line.max()) + 20
    assert torch.equal(brain[CSF] > 0.5, (before[CSF] > 0.5) & (brain[CSF] > 0.5))
