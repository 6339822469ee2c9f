import gzip

import nibabel as nib
import numpy as np
import pytest
from nibabel.eulerangles import euler2mat

from napari_harmonize.errors import ReadError
from napari_harmonize.volumes import Meaning, is_sheared, read, world, write

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 1.5, 0, -20], [0, 0, 3.0, 5], [0, 0, 0, 1]])


@pytest.fixture
def saved(tmp_path):
    """Save an array as NIfTI under its q- and sform codes, and give the path."""

    def make(data, affine=AFFINE, name="case.nii.gz", qcode=1, scode=1, kind=nib.Nifti1Image, **fields):
        image = kind(data, affine, dtype=data.dtype if data.dtype.kind in "iufc" else None)
        image.set_qform(fields.pop("qform", affine), qcode)
        image.set_sform(affine, scode)
        image.header.set_xyzt_units(*fields.pop("units", ("mm", "sec")))
        for field, value in fields.items():
            image.header[field] = value
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return make


def refused(path, *words):
    """Check that a path is refused in a sentence with these words that names the file and no folder."""
    with pytest.raises(ReadError) as caught:
        read(path)
    text = str(caught.value)
    assert all(word in text for word in (path.name, *words)), text
    assert str(path.parent) not in text
    assert caught.value.rule
    assert caught.value.arrived
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["case.nii", "case.nii.gz", "CASE.NII.GZ"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_plain_files_read_as_they_are(saved, pattern, name, kind):
    volume = read(saved(pattern, name=name, kind=kind))
    assert np.array_equal(volume.data, pattern)
    assert volume.data.dtype == np.int16
    assert np.allclose(volume.affine, AFFINE)
    assert (volume.name, volume.meaning, volume.modality, volume.notes) == (name.split(".")[0], Meaning.UNKNOWN, "", ())
    assert (volume.header.format, volume.header.space_unit, volume.header.time_unit) == ("nifti", "mm", "sec")
    assert len(volume.sha256) == 64


def test_both_halves_of_a_pair_read_the_volume(tmp_path, pattern):
    nib.save(nib.Nifti1Pair(pattern, AFFINE), tmp_path / "two.img")
    for half in ("two.img", "two.hdr"):
        assert np.array_equal(read(tmp_path / half).data, pattern)
    (tmp_path / "two.img").unlink()
    refused(tmp_path / "two.hdr", "two.img is missing")


def test_slope_and_intercept_are_applied(saved, pattern, tmp_path):
    path = saved(pattern, name="case.nii")
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, -3.0], "<f4").tobytes()
    path.write_bytes(raw)
    volume = read(path)
    assert volume.data.dtype == np.float32
    assert np.array_equal(volume.data, pattern * 0.5 - 3)
    assert (volume.header.dtype, volume.header.slope, volume.header.intercept) == ("int16", 0.5, -3.0)
    again = read(write(volume, tmp_path / "again.nii"))
    assert np.array_equal(again.data, volume.data)
    assert (again.header.dtype, again.header.slope) == ("float32", 1.0)


def test_slope_of_a_wide_type_gives_float64(saved, tmp_path):
    path = saved(np.arange(27, dtype=np.int32).reshape(3, 3, 3) * 10**7 + 1, name="case.nii")
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([0.5, 0.0], "<f4").tobytes()
    path.write_bytes(raw)
    volume = read(path)
    assert volume.data.dtype == np.float64
    assert volume.data[0, 0, 1] == 5000000.5


def test_big_endian_reads_in_native_order(tmp_path, pattern):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(pattern.astype(">i2"), AFFINE, header), tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read(tmp_path / "big.nii")
    assert np.array_equal(volume.data, pattern)
    assert volume.data.dtype.isnative


def test_a_trailing_axis_of_one_is_dropped_with_a_note(saved, pattern):
    volume = read(saved(pattern[..., None, None]))
    assert volume.shape == pattern.shape
    assert np.array_equal(volume.data, pattern)
    assert "7 x 6 x 5 x 1" in volume.notes[0]


def test_nan_and_infinities_become_the_smallest_finite_value_with_a_note(saved, pattern):
    data = pattern.astype(np.float32) - 50
    data[0, 0, 0], data[1, 2, 3], data[2, 2, 2] = np.nan, np.inf, -np.inf
    volume = read(saved(data))
    assert volume.data[0, 0, 0] == volume.data[1, 2, 3] == volume.data[2, 2, 2] == -49
    assert np.array_equal(volume.data[3:], data[3:])
    assert any(note.startswith("3 voxels were NaN") for note in volume.notes)


def test_nearly_empty_and_constant_volumes_read(saved):
    sparse = np.zeros((10, 10, 10), np.int16)
    sparse[4, 4, 4:] = 9
    assert read(saved(sparse)).notes == ()
    assert "same value" in read(saved(np.zeros((4, 4, 4), np.uint8))).notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((4, 5, 6, 7), np.int16), ("4 x 5 x 6 x 7 (4D)",)),
        (np.zeros((4, 5, 6, 1, 3), np.float32), ("4D",)),
        (np.zeros((16, 16), np.int16), ("16 x 16: a 2D image",)),
        (np.zeros((16, 16, 1), np.int16), ("a 2D image",)),
        (np.zeros((4, 0, 6), np.int16), ("4 x 0 x 6",)),
        (np.zeros((4, 5, 6), np.complex64), ("complex",)),
        (np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")]), ("colour (RGB)",)),
        (np.full((4, 5, 6), np.nan, np.float32), ("every voxel is NaN",)),
    ],
)
def test_what_is_not_one_real_volume_is_refused(saved, data, words):
    refused(saved(data), *words)


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (lambda raw: gzip.compress(raw)[:-200], ("gzip stream",)),
        (lambda raw: gzip.compress(raw)[:40] + b"\0" * 60, ("gzip stream",)),
        (lambda raw: gzip.compress(raw[:-100]), ("the header announces 7 x 6 x 5 voxels of int16, 420 bytes, and 320",)),
        (lambda raw: raw[:-100], ("420 bytes, and 320",)),
        (lambda raw: gzip.compress(raw[:352]), ("and 0 bytes",)),
        (lambda raw: raw[:200], ("200 of 348 bytes",)),
        (lambda raw: b"", ("empty (0 bytes)",)),
        (lambda raw: b"patient;age\n1;2\n" * 40, ("first bytes",)),
        (lambda raw: gzip.compress(b"hello"), ("first bytes",)),
        (lambda raw: raw[:344] + b"\0\0\0\0" + raw[348:], ("magic", "Analyze")),
        (lambda raw: raw[:70] + b"\x99\x77" + raw[72:], ("damaged",)),
        (lambda raw: raw[:40] + np.array([3, 30000, 30000, 30000], "<i2").tobytes() + raw[48:], ("30000 x 30000",)),
    ],
)
def test_damaged_files_are_refused(saved, pattern, tmp_path, cut, words):
    raw = saved(pattern, name="whole.nii").read_bytes()
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(cut(raw))
    refused(path, *words)


def test_a_suffix_that_lies_about_compression_does_no_harm(saved, pattern, tmp_path):
    raw = saved(pattern, name="whole.nii").read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(raw)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(raw))
    for name in ("plain.nii.gz", "packed.nii"):
        assert np.array_equal(read(tmp_path / name).data, pattern)


def test_a_sheared_sform_is_kept_beside_another_qform(saved, pattern, tmp_path):
    sheared = AFFINE.copy()
    sheared[1, 2] = 0.8
    volume = read(saved(pattern, sheared, qform=AFFINE, qcode=2, scode=4))
    assert is_sheared(volume.affine)
    assert np.allclose(volume.affine, sheared, atol=1e-6)
    assert np.allclose(volume.header.qform, AFFINE, atol=1e-5)
    assert any("sheared by" in note for note in volume.notes)
    assert any("3.2 mm apart" in note for note in volume.notes)
    again = read(write(volume, tmp_path / "again.nii.gz"))
    assert np.allclose(again.affine, volume.affine, atol=1e-6)
    assert np.allclose(again.header.qform, volume.header.qform, atol=1e-5)
    assert (again.header.qform_code, again.header.sform_code) == (2, 4)


def test_the_qform_is_used_where_the_sform_is_not_set(saved, pattern, tmp_path):
    turned = AFFINE.copy()
    turned[:3, :3] = euler2mat(0.3, 0.2, 0.1) @ turned[:3, :3]
    volume = read(saved(pattern, turned, qcode=1, scode=0))
    assert np.allclose(volume.affine, turned, atol=1e-4)
    again = read(write(volume, tmp_path / "again.nii"))
    assert (again.header.qform_code, again.header.sform_code) == (1, 0)
    assert np.allclose(again.affine, volume.affine, atol=1e-4)


def test_unstated_orientation_is_noted_and_written_back_unstated(saved, pattern, tmp_path):
    volume = read(saved(pattern, qcode=0, scode=0))
    assert "does not state its orientation" in volume.notes[0]
    again = read(write(volume, tmp_path / "again.nii"))
    assert (again.header.qform_code, again.header.sform_code) == (0, 0)
    assert np.array_equal(again.affine, volume.affine)
    moved = read(write(volume.replace(affine=AFFINE), tmp_path / "moved.nii"))
    assert np.allclose(moved.affine, AFFINE)
    assert moved.header.sform_code == 1


@pytest.mark.parametrize(("unit", "size"), [("meter", 1000.0), ("micron", 0.001)])
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 2)])
def test_other_units_are_used_in_millimetres_and_written_back(saved, pattern, tmp_path, unit, size, codes):
    own = AFFINE / [[size], [size], [size], [1]]
    volume = read(saved(pattern, own, units=(unit, "unknown"), qcode=codes[0], scode=codes[1]))
    assert np.allclose(volume.affine, AFFINE, atol=1e-4)
    assert f"in {unit}" in volume.notes[0]
    path = write(volume, tmp_path / "again.nii.gz")
    written = nib.load(path)
    assert written.header.get_xyzt_units()[0] == unit
    assert np.allclose(written.affine, own, atol=1e-4 / size)
    assert np.allclose(written.header.get_zooms(), np.array(volume.spacing) / size, rtol=1e-5)
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == codes
    again = read(path)
    assert np.allclose(again.affine, volume.affine, atol=1e-4)
    assert again.header.space_unit == unit


def test_unknown_unit_codes_are_taken_as_unknown(saved, pattern):
    volume = read(saved(pattern, xyzt_units=7))
    assert volume.header.space_unit == "unknown"


@pytest.mark.parametrize(
    "broken", [np.diag([1.0, 1, 0, 1]), np.diag([1.0, np.nan, 1, 1]), np.array([[1.0, 1, 0, 0]] * 2 + [[0, 0, 1, 0], [0, 0, 0, 1]])]
)
def test_an_affine_that_cannot_be_inverted_is_refused(saved, pattern, broken):
    path = saved(pattern, name="flat.nii")
    raw = bytearray(path.read_bytes())
    raw[280:328] = broken[:3].astype("<f4").tobytes()
    path.write_bytes(raw)
    refused(path, "singular")


def test_a_broken_quaternion_beside_a_good_sform_does_no_harm(saved, pattern):
    path = saved(pattern, name="quaternion.nii")
    raw = bytearray(path.read_bytes())
    raw[256:268] = np.array([0.9, 0.9, 0.9], "<f4").tobytes()
    path.write_bytes(raw)
    volume = read(path)
    assert np.allclose(volume.affine, AFFINE)
    assert volume.header.qform_code == 0


def test_a_point_of_a_real_scan_is_where_nibabel_puts_it(real):
    path = real / "pair_ms_two_sessions" / "study2_T1W.nii.gz"
    volume, image = read(path), nib.load(path)
    assert np.allclose(world(volume.affine, (10, 20, 30)), nib.affines.apply_affine(image.affine, (10, 20, 30)))
    assert np.array_equal(volume.data, np.asanyarray(image.dataobj))


def test_what_nibabel_repairs_in_a_header_is_said(saved, pattern, capfd):
    path = saved(pattern, name="sizes.nii")
    raw = bytearray(path.read_bytes())
    raw[80:92] = np.array([-2.0, 0.0, 3.0], "<f4").tobytes()
    path.write_bytes(raw)
    volume = read(path)
    assert any(note.startswith("A header field was repaired: pixdim") for note in volume.notes)
    assert capfd.readouterr().err == ""


def test_a_file_much_longer_than_its_header_announces_is_noted(saved, pattern):
    path = saved(pattern, name="long.nii")
    path.write_bytes(path.read_bytes() + bytes(840))
    assert "840 bytes longer" in read(path).notes[0]
    assert np.array_equal(read(path).data, pattern)
