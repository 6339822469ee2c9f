"""Every file format by its row, without naming one; and what each format alone must get right."""

import gzip
import pickle
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_harmonize.errors import ReadError, VolumeError
from napari_harmonize.volumes import READERS, Header, axis_codes, from_array, list_series, read, write

OBLIQUE = np.array([[-1.9, 0.3, 0.1, 12], [0.35, 1.4, -0.2, -33], [0.05, 0.4, 3.1, 8], [0, 0, 0, 1]])
STRAIGHT = np.linalg.qr(OBLIQUE[:3, :3])[0] * [2.0, 1.5, 3.0]
WRITTEN = [(name, suffix) for name, row in READERS.items() if row.writer for suffix in row.writer.suffixes]


def placed(rotation):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation, (12, -33, 8)
    return affine


@pytest.mark.parametrize("name", READERS)
def test_every_row_says_what_it_is(name):
    row = READERS[name]
    assert row.sentence
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in row.suffixes)
    assert callable(row.load())
    if row.writer:
        assert set(row.writer.suffixes) <= set(row.suffixes)
        assert callable(row.writer.load())


@pytest.mark.parametrize(("name", "suffix"), WRITTEN)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("affine", [placed(STRAIGHT), placed(OBLIQUE[:3, :3])], ids=["oblique", "sheared"])
def test_what_a_format_writes_it_reads_back(tmp_path, pattern, name, suffix, dtype, affine):
    values = (pattern + (0.25 if dtype == "float32" else 0)).astype(dtype)
    path = write(from_array(values, affine), tmp_path / f"case{suffix}", description="synthetic")
    again = read(path)
    assert again.header.format == name
    assert again.data.dtype == np.dtype(dtype)
    assert np.array_equal(again.data, values)
    assert np.allclose(again.affine, affine, atol=2e-5)
    assert not any("orientation" in note for note in again.notes)


@pytest.mark.parametrize(("name", "suffix"), WRITTEN)
def test_the_same_volume_gives_the_same_bytes_whatever_it_is_called(tmp_path, pattern, name, suffix):
    volume = from_array(pattern, placed(STRAIGHT))
    paths = [write(volume, tmp_path / f"{stem}{suffix}", description="synthetic") for stem in ("one", "two")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(item.name for item in tmp_path.iterdir()) == [f"one{suffix}", f"two{suffix}"]


@pytest.mark.parametrize("name", [name for name, row in READERS.items() if not row.folders])
@pytest.mark.parametrize("content", [b"", b"patient;age\n1;2\n" * 60, gzip.compress(b"nothing of the kind" * 40, mtime=0), bytes(4000)])
def test_every_format_refuses_a_file_of_something_else(tmp_path, name, content):
    for suffix in READERS[name].suffixes:
        path = tmp_path / f"case{suffix}"
        path.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read(path)
    assert "case" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(("name", "suffix"), WRITTEN)
@pytest.mark.parametrize("share", [0.05, 0.6, 0.95])
def test_every_format_refuses_a_truncated_file(tmp_path, name, suffix, share):
    data = np.random.default_rng(0).integers(0, 30000, (12, 11, 10)).astype(np.int16)
    raw = write(from_array(data, np.eye(4)), tmp_path / f"whole{suffix}").read_bytes()
    (tmp_path / f"broken{suffix}").write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(ReadError, match=f"broken{suffix}"):
        read(tmp_path / f"broken{suffix}")


@pytest.mark.parametrize(
    ("suffix", "shape"), [(".nrrd", (3, 4, 5, 6)), (".mha", (3, 4, 5, 6)), (".nrrd", (5, 6)), (".mgz", (4, 5, 6, 2)), (".mgh", (4, 5, 1))]
)
def test_other_numbers_of_axes_are_refused(tmp_path, suffix, shape):
    path, data = tmp_path / f"case{suffix}", np.zeros(shape, np.float32)
    nib.save(nib.MGHImage(data, np.eye(4)), path) if "mg" in suffix else sitk.WriteImage(sitk.GetImageFromArray(data, False), str(path))
    with pytest.raises(ReadError, match=r"4D|2D"):
        read(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mgz", ".nrrd", ".mha"])
def test_a_flipped_bit_in_compressed_voxels_is_noticed(tmp_path, suffix):
    random = np.random.default_rng(1)
    volume = from_array(random.integers(0, 3000, (9, 8, 7)).astype(np.int16), np.eye(4))
    raw = write(volume, tmp_path / f"whole{suffix}").read_bytes()
    for place in random.integers(len(raw) // 2, len(raw) - 8, 8):
        (tmp_path / f"broken{suffix}").write_bytes(raw[:place] + bytes([raw[place] ^ 0x55]) + raw[place + 1 :])
        with pytest.raises(ReadError, match="cut short or damaged"):
            read(tmp_path / f"broken{suffix}")


@pytest.mark.parametrize("suffix", [".nii", ".mgh", ".nrrd", ".mha"])
def test_a_scribbled_header_is_read_or_refused_and_never_crashes(tmp_path, pattern, suffix):
    random = np.random.default_rng(2)
    raw, path = write(from_array(pattern, np.eye(4)), tmp_path / f"whole{suffix}").read_bytes(), tmp_path / f"broken{suffix}"
    said = []
    for _ in range(60):
        broken = bytearray(raw)
        for place in random.integers(0, 348, 4):
            broken[place] = random.integers(0, 256)
        path.write_bytes(broken)
        try:
            assert read(path).data.ndim == 3
        except ReadError as error:
            said.append(str(error))
    assert said
    assert all(path.name in sentence for sentence in said)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_colour_and_vectors_are_refused(tmp_path, suffix):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 6, 7, 3), np.uint8), True), str(tmp_path / f"case{suffix}"))
    with pytest.raises(ReadError, match="of 3 numbers"):
        read(tmp_path / f"case{suffix}")


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_detached_headers_read_with_their_data_and_are_refused_without(tmp_path, pattern, suffix):
    sitk.WriteImage(sitk.GetImageFromArray(pattern.T.copy()), str(tmp_path / f"case{suffix}"))
    volume = read(tmp_path / f"case{suffix}")
    assert np.array_equal(volume.data, pattern)
    assert axis_codes(volume.affine) == "LPS"
    for item in tmp_path.iterdir():
        item.unlink() if item.suffix != suffix else None
    with pytest.raises(ReadError, match="data file its header names"):
        read(tmp_path / f"case{suffix}")


def test_the_hash_of_a_detached_volume_covers_its_data(tmp_path, pattern):
    hashes = set()
    for values in (pattern, pattern[::-1]):
        sitk.WriteImage(sitk.GetImageFromArray(values.T.copy()), str(tmp_path / "case.mhd"))
        hashes.add(read(tmp_path / "case.mhd").sha256)
    assert len(hashes) == 2


def test_nrrd_in_ras_and_without_any_space(tmp_path, pattern):
    lines = ["NRRD0004", "type: short", "dimension: 3", "sizes: 7 6 5", "endian: little", "encoding: raw"]
    place = ["space: right-anterior-superior", "space directions: (2,0,0) (0,3,0) (0,0,4)", "space origin: (1,2,3)"]
    for name, more in (("ras", place), ("bare", ["spacings: 2 3 4"])):
        head = "\n".join([*lines, *more, "", ""]).encode()
        (tmp_path / f"{name}.nrrd").write_bytes(head + pattern.tobytes(order="F"))
    ras, bare = read(tmp_path / "ras.nrrd"), read(tmp_path / "bare.nrrd")
    assert np.array_equal(ras.data, pattern)
    assert np.allclose(ras.affine, [[2, 0, 0, 1], [0, 3, 0, 2], [0, 0, 4, 3], [0, 0, 0, 1]])
    assert ras.notes == ()
    assert bare.spacing == (2, 3, 4)
    assert "does not state its orientation" in bare.notes[0]


def test_mgh_without_its_geometry_flag_says_so(tmp_path, pattern):
    path = write(from_array(pattern, np.eye(4)), tmp_path / "case.mgh")
    raw = bytearray(path.read_bytes())
    raw[28:30] = b"\0\0"
    path.write_bytes(raw)
    volume = read(path)
    assert axis_codes(volume.affine) == "LIA"
    assert "does not state its orientation" in volume.notes[0]


def test_mgh_of_an_unknown_type_is_refused(tmp_path, pattern):
    path = write(from_array(pattern, np.eye(4)), tmp_path / "case.mgh")
    raw = bytearray(path.read_bytes())
    raw[20:24] = (99).to_bytes(4, "big")
    path.write_bytes(raw)
    with pytest.raises(ReadError, match="header is damaged"):
        read(path)


@pytest.mark.parametrize("name", ["picture.png", "array.npy", "notes", "case.nii.bz2"])
def test_unknown_suffixes_are_refused_with_the_known_ones(tmp_path, name):
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(ReadError, match=r"Known are \.nii, \.nii\.gz"):
        read(tmp_path / name)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"gone\.nii: there is no such file"):
        read(tmp_path / "gone.nii")


def test_a_path_that_cannot_be_opened_is_refused(tmp_path):
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(ReadError, match="none was found"):
        read(tmp_path / "folder.nii")
    with pytest.raises(ReadError, match=r"gone: No such file"):
        list_series(tmp_path / "gone")


def test_a_series_is_only_for_dicom(tmp_path, pattern):
    path = write(from_array(pattern, np.eye(4)), tmp_path / "case.nii")
    with pytest.raises(ReadError, match="Only DICOM has series"):
        read(path, series="1")


def test_an_array_becomes_a_volume_with_a_hash_of_its_own(pattern):
    one, two = from_array(pattern, np.eye(4), name="sum", modality="T1"), from_array(pattern, np.eye(4) * [2, 1, 1, 1])
    assert (one.name, one.modality, one.header) == ("sum", "T1", Header())
    assert one.sha256 == from_array(pattern.copy(), np.eye(4)).sha256
    assert len({one.sha256, two.sha256, from_array(pattern.astype(float), np.eye(4)).sha256}) == 3
    with pytest.raises(ValueError, match="read-only"):
        one.data[0] = 1


@pytest.mark.parametrize(
    ("dtype", "held"), [("float16", "float32"), ("longdouble", "float64"), ("bool", "uint8"), (">i4", "int32"), ("float64", "float64")]
)
def test_arrays_are_held_as_plain_native_numbers(pattern, dtype, held):
    volume = from_array((pattern % 2).astype(dtype), np.eye(4))
    assert volume.data.dtype == np.dtype(held)
    assert volume.data.dtype.isnative
    assert np.array_equal(volume.data, pattern % 2)


@pytest.mark.parametrize("data", [np.zeros((3, 3)), np.zeros((3, 3, 3), complex), np.full((3, 3, 3), np.inf)])
def test_arrays_that_are_no_volume_are_refused(data):
    with pytest.raises(VolumeError, match="volume"):
        from_array(data, np.eye(4))
    with pytest.raises(VolumeError, match="inverted"):
        from_array(np.ones((3, 3, 3)), np.diag([1.0, 1, 0, 1]))


def test_a_volume_travels_to_another_process(pattern):
    volume = from_array(pattern, np.eye(4), header=Header(extra={"tilt_degrees": 3.0}))
    again = pickle.loads(pickle.dumps(volume))
    assert np.array_equal(again.data, pattern)
    assert again.header.extra == {"tilt_degrees": 3.0}


def test_importing_volumes_loads_no_library_that_reads_files():
    heavy = "('torch', 'SimpleITK', 'pydicom', 'nibabel', 'scipy', 'qtpy', 'napari')"
    code = f"import sys, napari_harmonize.volumes; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
