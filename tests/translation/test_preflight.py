import numpy as np
import pytest

import tiny_model
from napari_harmonize.errors import GeometryError, VolumeError
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case
from napari_harmonize.translation.preflight import better_shift, head, looks_stripped, preflight
from napari_harmonize.translation.remedies import REMEDIES, mask, register, window
from napari_harmonize.volumes import Meaning, Volume, from_array, read


def brain(shape=(40, 48, 40), spacing=4.0, **fields):
    """A smooth, lopsided ellipsoid with structure, as large as a brain."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij"))
    inside = np.sqrt((grid**2).sum(0)) < 0.8
    blobs = np.sin(5 * grid[0] + 1) + np.cos(4 * grid[1]) + np.sin(6 * grid[2] + grid[0])
    return from_array(
        (inside * (60 + 15 * blobs)).astype(np.float32), np.diag([spacing, spacing, spacing, 1.0]), **{"name": "brain", **fields}
    )


def moved(volume, shift):
    affine = np.array(volume.affine)
    affine[:3, 3] += shift
    return volume.replace(affine=affine, name="moved")


@pytest.fixture
def package(tmp_path):
    return tiny_model.make(tmp_path / "tiny")


def with_card(package, **changes):
    import dataclasses

    return dataclasses.replace(package, card=replace(package.card, **changes))


def found(case, package=None):
    return {finding.code: finding for finding in preflight(case, package)}


# -- the case itself


def test_each_finding_is_one_sentence(package):
    for finding in preflight(Case(brain(), moved(brain(), (12, 0, 0)), mask(brain())), package):
        assert finding.sentence.endswith(".")
        assert finding.severity in ("ok", "tick", "block")
        assert finding.remedy is None or finding.remedy in REMEDIES


def test_nan_blocks_and_nothing_else_is_said():
    data = np.array(brain().data)
    data[3, 3, 3] = np.nan
    findings = preflight(Case(Volume(data, np.eye(4), name="broken")))
    assert [(finding.code, finding.severity) for finding in findings] == [("values", "block")]
    assert "broken" in findings[0].sentence


def test_a_flat_volume_blocks():
    assert found(Case(brain().replace(data=np.ones((5, 5, 5)))))["values"].severity == "block"
    assert found(Case(brain(), brain().replace(data=np.ones((5, 5, 5)))))["values"].severity == "block"


def test_one_slice_blocks():
    assert found(Case(brain().replace(data=brain().data[:, :, 20:21])))["dimensions"].severity == "block"


def test_a_sheared_volume_is_offered_straightened():
    affine = np.diag([4.0, 4, 4, 1])
    affine[1, 2] = 1.5
    finding = found(Case(brain().replace(affine=affine)))["geometry"]
    assert (finding.severity, finding.remedy) == ("tick", "straighten")
    straight = REMEDIES["straighten"].apply(Case(brain().replace(affine=affine)))["source"]
    assert "geometry" not in found(Case(straight))


def test_an_oblique_volume_is_noted():
    turn = np.array([[0.9397, -0.342, 0], [0.342, 0.9397, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * 4
    assert "turned by 20.0 degrees" in found(Case(brain().replace(affine=affine)))["geometry"].sentence


def test_values_below_zero_are_said_and_shifted():
    assert "negative" not in found(Case(brain(), brain()))
    centred = brain().replace(data=np.where(brain().data > 0, brain().data - 60, 0).astype(np.float32), name="centred")
    finding = found(Case(brain(), centred))["negative"]
    assert (finding.severity, finding.remedy) == ("tick", "shift")
    assert "of the truth centred is below 0" in finding.sentence
    assert "count that as 0" in finding.sentence
    shifted = REMEDIES["shift"].apply(Case(brain(), centred))
    assert set(shifted) == {"truth"}
    assert shifted["truth"].data.min() == 0
    assert "raised by" in shifted["truth"].notes[-1]
    assert "negative" not in found(Case(centred.replace(meaning=Meaning.HU)))


def test_every_code_is_known():
    import inspect
    import re

    from napari_harmonize.translation import preflight as module

    assert set(re.findall(r'Finding\(\s*"(\w+)"', inspect.getsource(module))) == set(module.CODES)


def test_a_name_may_suggest_the_contrast(package):
    assert "its name suggests FLAIR" in found(Case(brain(name="sub_FLAIR")), package)["modality"].sentence


# -- mask


def test_masks():
    assert found(Case(brain()))["mask"].remedy == "mask"
    assert "litres" in found(Case(brain(), mask=mask(brain())))["mask"].sentence
    empty = brain().replace(data=np.zeros(brain().shape, bool), name="empty")
    assert found(Case(brain(), mask=empty))["mask"].severity == "block"
    elsewhere = mask(brain()).replace(data=~mask(brain()).data)
    assert found(Case(brain(), mask=elsewhere))["mask"].severity == "tick"
    other_grid = mask(brain((20, 24, 20), 8.0))
    assert found(Case(brain(), mask=other_grid))["mask"].severity == "ok"


# -- alignment


def test_an_aligned_pair_is_fine():
    truth = brain().replace(data=np.where(brain().data > 0, 120 - brain().data, 0).astype(np.float32), name="truth")
    assert found(Case(brain(), truth))["alignment"].sentence == "truth lies on the grid of brain."
    assert better_shift(brain(), truth)[0] == (0.0, 0.0, 0.0)


def test_a_pair_on_two_grids_is_resampled():
    finding = found(Case(brain(), brain((20, 24, 20), 8.0, name="truth")))["alignment"]
    assert finding.severity == "ok"
    assert finding.remedy == "resample"


@pytest.mark.parametrize(
    ("shift", "words"), [((12, 0, 0), "12 mm to the left"), ((0, -12, 0), "12 mm to the front"), ((0, 0, 12), "to the bottom")]
)
def test_a_shifted_truth_is_found_and_registered(shift, words):
    truth = moved(brain(), shift)
    finding = found(Case(brain(), truth))["alignment"]
    assert (finding.severity, finding.remedy) == ("tick", "register")
    assert words in finding.sentence
    back = REMEDIES["register"].apply(Case(brain(), truth))["truth"]
    assert np.abs(back.affine - brain().affine)[:3, 3].max() < 1.5
    assert back.data is truth.data or np.array_equal(back.data, truth.data)
    assert "Registered rigidly" in back.notes[-1]


def test_volumes_in_different_spaces():
    truth = moved(brain(), (1000, 0, 0))
    finding = found(Case(brain(), truth))["alignment"]
    assert (finding.severity, finding.remedy) == ("block", "register")
    assert "share nothing" in finding.sentence
    beside = found(Case(brain(), moved(brain(), (120, 0, 0))))["alignment"]
    assert beside.severity == "tick"
    assert "different spaces" in beside.sentence
    back = register(truth, brain())
    assert np.abs(back.affine - brain().affine)[:3, 3].max() < 2


def test_what_cannot_be_registered():
    with pytest.raises((GeometryError, VolumeError)):
        register(from_array(np.zeros((4, 4, 4), np.float32), np.eye(4)), from_array(np.zeros((4, 4, 4), np.float32), np.eye(4)))


@pytest.mark.parametrize("pair", [("pair_stroke/T2", "pair_stroke/T1"), ("pair_template_2mm/ct_las", "pair_template_2mm/t1_ras")])
def test_real_pairs_are_told_from_shifted_ones(real, pair):
    source, truth = (read(real / f"{name}.nii.gz") for name in pair)
    assert better_shift(source, truth)[1] < 0.05
    shift, gain = better_shift(source, moved(truth, (0, 10, 4)))
    assert gain > 0.15
    assert shift == (0.0, -12.0, 0.0)


# -- against the card


def test_modality(package):
    card = with_card(package, from_contrasts=("CT", "FLAIR"))
    assert found(Case(brain()), card)["modality"].severity == "tick"
    assert found(Case(brain(modality="T2")), card)["modality"].severity == "tick"
    assert found(Case(brain(modality="FLAIR")), card)["modality"].severity == "ok"
    assert found(Case(brain(modality="T2")), with_card(package, from_contrasts=("any",)))["modality"].severity == "ok"
    assert "any contrast" in found(Case(brain()), with_card(package, from_contrasts=("any",)))["modality"].sentence
    assert "modality" not in found(Case(brain()), with_card(package, from_contrasts=()))


def test_a_source_that_has_the_wished_contrast_already(package):
    many, own = with_card(package, from_contrasts=("T1", "T2")), with_card(package, from_contrasts=("T1",))
    assert (many.card.to_contrasts, own.card.to_contrasts) == (("T1",), ("T1",))
    finding = found(Case(brain(modality="T1")), many)["modality"]
    assert finding.severity == "tick"
    assert "T1 already" in finding.sentence
    assert found(Case(brain(modality="T1")), own)["modality"].severity == "ok"
    assert found(Case(brain(modality="T2")), many)["modality"].severity == "ok"


def test_anatomy_and_field_of_view(package):
    fits = with_card(package, field_of_view=(130.0, 160.0, 130.0))
    assert found(Case(brain()), fits)["anatomy"].severity == "ok"
    assert found(Case(brain(spacing=12.0)), fits)["anatomy"].severity == "tick"
    assert found(Case(brain()), package)["anatomy"].severity == "tick"
    assert "anatomy" not in found(Case(brain()), with_card(package, anatomy=""))


def test_spacing(package):
    assert "spacing" not in found(Case(brain()), package)
    assert found(Case(brain()), with_card(package, spacing=(4.0, 4.0, 4.0)))["spacing"].severity == "ok"
    assert "coarser" in found(Case(brain()), with_card(package, spacing=(1.0, 1.0, 1.0)))["spacing"].sentence
    assert "does not resample" in found(Case(brain()), with_card(package, spacing=(2.5, 2.5, 2.5)))["spacing"].sentence


def test_resampling_models_take_other_spacings(tmp_path):
    package = tiny_model.make(tmp_path / "tiny", working_spacing=(2.5, 2.5, 2.5))
    assert found(Case(brain()), with_card(package, spacing=(2.5, 2.5, 2.5)))["spacing"].severity == "ok"


def test_intensities(package):
    import dataclasses

    hounsfield = dataclasses.replace(package, recipe=replace_source(package.recipe, "HU"))
    assert "do not look like HU" in found(Case(brain()), hounsfield)["intensity"].sentence
    ct = brain().replace(data=brain().data * 10 - 1000, meaning=Meaning.HU, modality="CT")
    assert found(Case(ct), hounsfield)["intensity"].severity == "ok"
    assert "may be HU" in found(Case(ct.replace(meaning=Meaning.UNKNOWN)), hounsfield)["intensity"].sentence
    assert "called CT" in found(Case(brain(modality="CT")), package)["intensity"].sentence
    mr_only = with_card(package, from_contrasts=("T2",))
    assert "trained on MR" in found(Case(ct), mr_only)["intensity"].sentence
    padded = ct.replace(data=np.where(brain().data > 0, ct.data, -1500))
    finding = found(Case(padded), package)["intensity"]
    assert finding.remedy == "window"
    clipped = REMEDIES["window"].apply(Case(padded))["source"]
    assert clipped.data.min() == -1024
    assert found(Case(clipped), package)["intensity"].severity == "ok"


def replace_source(recipe, meaning):
    import dataclasses

    return dataclasses.replace(recipe, source=meaning)


def test_stripped_or_whole(package):
    assert found(Case(brain()), package)["stripped"].severity == "ok"
    whole = brain(spacing=6.0)
    assert "looks like a whole head" in found(Case(whole), package)["stripped"].sentence
    small = brain((40, 48, 40), 4.0)
    masked = mask(small).replace(affine=np.diag([4.0, 4, 4, 1]))
    assert found(Case(small, mask=masked), package)["stripped"].severity == "ok"
    heads = with_card(package, stripped=False)
    assert "looks like a stripped brain" in found(Case(brain()), heads)["stripped"].sentence
    assert found(Case(whole), heads)["stripped"].severity == "ok"
    assert "stripped" not in found(Case(whole), with_card(package, stripped=None))


@pytest.mark.parametrize(
    ("name", "stripped"),
    [("mr_t1_head.nii.gz", False), ("mr_t1_brain_lia.mgz", True), ("pair_stroke/T1.nii.gz", True), ("ct_torso_3mm.nii.gz", False)],
)
def test_real_heads_are_told_from_brains(real, name, stripped):
    case = Case(read(real / name))
    assert looks_stripped(case) is stripped, head(case)


def test_remedies_refuse_what_is_not_there():
    with pytest.raises(VolumeError, match="moves the ground truth"):
        REMEDIES["register"].apply(Case(brain()))
    with pytest.raises(VolumeError, match="lower to a higher"):
        window(brain(), 5, 5)


@pytest.mark.parametrize(("factor", "word"), [(1e60, "large"), (1e-60, "small")])
def test_values_that_single_precision_cannot_hold_block(factor, word):
    data = brain().data.astype(np.float64) * factor
    finding = found(Case(brain(), truth=Volume(data, np.eye(4), name="far")))["values"]
    assert (finding.severity, f"too {word}" in finding.sentence) == ("block", True)


def test_a_small_piece_is_not_called_a_whole_head(package):
    piece = brain((10, 12, 10), 4.0)
    finding = found(Case(piece.replace(data=piece.data + np.arange(1, 11, dtype=np.float32))), package)["stripped"]
    assert finding.severity == "tick"
    assert "to the border" in finding.sentence
