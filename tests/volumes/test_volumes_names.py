import numpy as np
import pytest

from napari_harmonize.volumes import base_name, discreet, from_array, hint, public_name


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("a/b/FLAIR.nii.gz", "FLAIR"),
        ("x.mgz", "x"),
        ("sub-01_T1w.nii", "sub-01_T1w"),
        ("folder", "folder"),
        ("v1.2.nrrd", "v1.2"),
        (".hidden", ".hidden"),
    ],
)
def test_a_base_name_has_no_folder_and_no_suffix(name, base):
    assert base_name(name) == base


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("study1_FLAIR.nii.gz", "FLAIR"),
        ("t2_flair_tra", "FLAIR"),
        ("study1_T1W.nii.gz", "T1"),
        ("t1_mpr_tra_gk_v4", "T1"),
        ("MPRAGE", "T1"),
        ("mr_t1gd_6p5mm.nrrd", "T1"),
        ("sub-3_T2w", "T2"),
        ("FSE PD AXIAL OBL", "PD"),
        ("ct_torso_3mm", "CT"),
        ("CTA head", "CTA"),
        ("tof_mra", "TOF"),
        ("T1_to_T2", ""),
        ("t2* gre", ""),
        ("active_subject", ""),
        ("", ""),
    ],
)
def test_a_name_hints_at_one_contrast_or_at_none(name, contrast):
    assert hint(name) == contrast


def named(name: str, sha256: str = "0123456789abcdef"):
    return from_array(np.arange(8.0).reshape(2, 2, 2), np.eye(4), name=name, sha256=sha256)


@pytest.mark.parametrize(
    "name", ["T1", "mr_t1_head", "study1_T1W", "ct_torso_3mm", "sub-01_T1w", "series-c89c4ac7", "mr_t1gd_6p5mm", "scan 3"]
)
def test_a_name_that_tells_nothing_of_a_person_is_kept(name):
    assert public_name(named(name)) == name


@pytest.mark.parametrize("name", ["Müller Hans T2 geb 1950", "smith_T1", "T1_19500131", "MRN123456", "anna"])
def test_a_name_that_may_be_a_persons_becomes_a_hash(name):
    assert public_name(named(name)) == "volume-01234567"
    assert public_name(named(name, "x").replace(sha256="")) == "volume"


def test_names_are_put_out_of_sentences_lists_and_mappings():
    volume, mask = named("Hans"), named("Hans mask", "fedcba9876543210")
    said = {"mask": "Hans mask", "notes": ["Hans is odd; Hansen is not.", 3], "shape": (1, 2)}
    wanted = {"mask": "volume-fedcba98", "notes": ["volume-01234567 is odd; Hansen is not.", 3], "shape": (1, 2)}
    assert discreet(said, volume, None, mask) == wanted
    assert discreet("T1 as it is", named("T1")) == "T1 as it is"
