import logging
import os

import nibabel as nib
import numpy as np
import pytest

from napari_harmonize.errors import WriteError
from napari_harmonize.volumes import Header, from_array, read, write

REAL = (
    "mr_t1_head.nii.gz",
    "pair_stroke/T1.nii.gz",
    "pair_stroke/T2.nii.gz",
    "pair_stroke/FLAIR.nii.gz",
    "pair_ms_two_sessions/study1_T1W.nii.gz",
    "pair_ms_two_sessions/study1_FLAIR.nii.gz",
    "pair_ms_two_sessions/study2_T1W.nii.gz",
    "pair_spine_mr/t1_ras.nii.gz",
    "pair_spine_mr/t2_psr.nii.gz",
    "pair_template_2mm/ct_las.nii.gz",
    "pair_template_2mm/t1_ras.nii.gz",
    "ct_torso_3mm.nii.gz",
    "ct_head_dicom",
    "mr_pd_1p5t_dicom",
    "mr_t1_1p5t_dicom",
    "mr_t1_brain_lia.mgz",
    "mr_t1gd_6p5mm.nrrd",
    *(f"same_image_6_orientations/{codes}.nii.gz" for codes in ("RAS", "LPS", "PIR", "SLA", "AIL", "IPR")),
)


def identity(header):
    return header.qform_code, header.sform_code, header.space_unit, header.time_unit


@pytest.mark.parametrize("name", REAL)
def test_every_real_volume_comes_back_as_it_went(real, tmp_path, name):
    volume = read(real / name)
    again = read(write(volume, tmp_path / "again.nii"))
    assert np.array_equal(again.data, volume.data)
    assert again.data.dtype == volume.data.dtype
    assert np.abs(again.affine - volume.affine).max() < 1e-5
    assert identity(again.header) == identity(volume.header)
    assert (again.header.qform is None) == (volume.header.qform is None)
    if volume.header.qform is not None:
        assert np.abs(again.header.qform - volume.header.qform).max() < 1e-4


@pytest.mark.parametrize("suffix", [".mgz", ".nrrd", ".mha", ".nii.gz"])
@pytest.mark.parametrize("name", ["pair_template_2mm/ct_las.nii.gz", "pair_spine_mr/t2_psr.nii.gz", "mr_pd_1p5t_dicom"])
def test_real_volumes_survive_every_format(real, tmp_path, name, suffix):
    volume = read(real / name)
    again = read(write(volume, tmp_path / f"again{suffix}"))
    assert np.array_equal(again.data, volume.data)
    assert np.abs(again.affine - volume.affine).max() < 1e-4


def test_a_sheared_grid_is_written_with_the_sform_alone_and_a_warning(real, tmp_path, caplog):
    volume = read(real / "ct_head_dicom")
    with caplog.at_level(logging.WARNING):
        path = write(volume.replace(header=Header(qform_code=1, sform_code=1)), tmp_path / "tilted.nii.gz")
    assert "sheared by 18.5 degrees" in caplog.text
    header = nib.load(path).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 1)
    assert np.allclose(read(path).affine, volume.affine, atol=1e-4)


def test_a_result_on_the_grid_of_its_source_stays_float32(real, tmp_path):
    source = read(real / "pair_ms_two_sessions" / "study1_FLAIR.nii.gz")
    result = source.replace(data=(source.data / source.data.max()).astype(np.float32))
    path = write(result, tmp_path / "result.nii.gz", description="SYNTHETIC")
    header = nib.load(path).header
    assert header.get_data_dtype() == np.float32
    assert bytes(header["descrip"]).startswith(b"SYNTHETIC")
    assert np.isnan(header["scl_slope"])
    assert identity(read(path).header) == identity(source.header)


@pytest.mark.parametrize(
    ("values", "came_as", "stored"),
    [
        (np.arange(8, dtype=np.int64), "int16", "int16"),
        (np.arange(8, dtype=np.int64), "float32", "uint8"),
        (np.arange(8, dtype=np.int64) * 70000, "int16", "int32"),
        (np.arange(8, dtype=np.int64) * 2**40, "int16", "int64"),
        (np.arange(8, dtype=np.uint64) + 2**63, "uint8", "uint64"),
        (np.arange(8, dtype=np.uint16), "uint16", "uint16"),
        (np.arange(8, dtype=np.float32) / 3, "int16", "float32"),
        (np.arange(8, dtype=np.float32), "int16", "float32"),
        (np.arange(8, dtype=np.float64) / 3, "float32", "float64"),
    ],
)
def test_the_type_on_disk_loses_nothing(tmp_path, values, came_as, stored):
    volume = from_array(values.reshape(2, 2, 2), np.eye(4), header=Header(dtype=came_as))
    path = write(volume, tmp_path / "case.nii")
    assert nib.load(path).get_data_dtype() == np.dtype(stored)
    assert np.array_equal(read(path).data, volume.data)


def test_a_format_that_cannot_hold_the_values_says_so(tmp_path):
    volume = from_array(np.arange(8).reshape(2, 2, 2) / 3, np.eye(4), name="thirds")
    with pytest.raises(WriteError, match=r"case.mgz cannot hold the float64 values of thirds"):
        write(volume, tmp_path / "case.mgz")
    assert list(tmp_path.iterdir()) == []
    exact = from_array(np.arange(8).reshape(2, 2, 2) / 4, np.eye(4))
    assert read(write(exact, tmp_path / "case.mgz")).header.dtype == "float32"


def test_a_long_axis_needs_the_second_version(tmp_path):
    volume = from_array(np.zeros((2, 2, 40000), np.uint8) + np.arange(2, dtype=np.uint8)[:, None, None], np.eye(4))
    again = read(write(volume, tmp_path / "long.nii"))
    assert again.shape == volume.shape
    assert again.header.extra["version"] == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("case.png", r"Choose one of \.nii, \.nii\.gz, \.mgh"),
        ("case.dcm", "names the format to write"),
        ("folder.nii", "folder.nii is a folder"),
        ("gone/case.nii", "there is no folder gone"),
        ("file/case.nii", "there is no folder file"),
    ],
)
def test_places_that_cannot_be_written_to_are_refused(tmp_path, pattern, name, words):
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=words):
        write(from_array(pattern, np.eye(4)), tmp_path / name)


def test_a_folder_without_permission_is_refused(tmp_path, pattern, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(WriteError, match="must be writable"):
        write(from_array(pattern, np.eye(4)), tmp_path / "case.nii")


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path, pattern, monkeypatch):
    path = write(from_array(pattern, np.eye(4)), tmp_path / "case.nii")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match=r"case\.nii: No space left on device"):
        write(from_array(pattern * 2, np.eye(4)), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["case.nii"]


def test_long_descriptions_are_refused(tmp_path, pattern):
    volume = from_array(pattern, np.eye(4))
    assert nib.load(write(volume, tmp_path / "case.nii", description="x" * 79)).header["descrip"] == b"x" * 79
    with pytest.raises(WriteError, match="at most 79"):
        write(volume, tmp_path / "case.nii", description="x" * 80)
