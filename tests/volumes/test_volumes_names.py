import pytest

from napari_harmonize.volumes import base_name, hint


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
