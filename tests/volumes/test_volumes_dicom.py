import dataclasses

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import JPEGLosslessSV1, RLELossless, generate_uid

from napari_harmonize.errors import ReadError
from napari_harmonize.volumes import Meaning, axis_codes, is_sheared, list_series, read, world

PATIENT = "Roe^Jane"
UNITS = [3, 5, 7, 9, 11]


def everything(volume):
    """All text a volume carries, in one string."""
    return repr((volume.notes, volume.name, dict(volume.header.extra), dataclasses.astuple(dataclasses.replace(volume.header, extra={}))))


def test_a_series_is_placed_by_its_positions(series_folder):
    planes = np.arange(5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3)
    volume = read(series_folder([11, 3, 7, 5, 9], planes))
    assert volume.shape == (3, 4, 5)
    assert np.array_equal(volume.data, planes[[1, 3, 2, 4, 0]].transpose(2, 1, 0))
    assert np.allclose(volume.affine, [[-1.5, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 2, 3], [0, 0, 0, 1]])
    assert (volume.meaning, volume.modality, axis_codes(volume.affine)) == (Meaning.ARBITRARY, "T2", "LPS")
    assert volume.name == f"series-{volume.sha256[:8]}"


def test_nothing_about_the_patient_gets_through(series_folder):
    folder = series_folder([1, 2, 3.02], StudyDescription="Roe", InstitutionName="General")
    volume, (series,) = read(folder), list_series(folder)
    text = everything(volume) + repr((series.label, series.slices, series.shape))
    for secret in (*PATIENT.split("^"), "4711", "1970", "ACC99", "General", "T2 Roe"):
        assert secret not in text
    assert set(volume.header.extra) == {"study_uid", "series_uid", "frame_of_reference_uid", "tilt_degrees"}


@pytest.mark.parametrize("folder", ["ct_head_dicom", "mr_pd_1p5t_dicom", "mr_t1_1p5t_dicom"])
def test_nothing_about_the_patient_gets_through_from_real_scans(real, folder):
    volume = read(real / folder)
    header = pydicom.dcmread(sorted((real / folder).iterdir())[0], stop_before_pixels=True)
    secrets = {
        str(header.get(name, ""))
        for name in ("PatientName", "PatientID", "StudyDate", "SeriesDescription", "OperatorsName", "StudyDescription")
    }
    for secret in secrets:
        assert len(secret) < 3 or secret not in everything(volume)


def test_real_head_ct(real):
    volume = read(real / "ct_head_dicom")
    assert (volume.shape, volume.meaning, volume.modality) == ((512, 512, 12), Meaning.HU, "CT")
    assert (volume.data.min(), volume.data.max(), volume.data.dtype) == (-1500, 1761, np.int16)
    assert volume.header.extra["padding"] == -1500
    assert volume.header.extra["tilt_degrees"] == pytest.approx(18.5, abs=0.01)
    assert any("23.7 % of the voxels hold the padding value -1500" in note for note in volume.notes)


def test_real_uneven_series_with_a_file_longer_than_its_header(real):
    volume = read(real / "mr_pd_1p5t_dicom")
    assert (volume.shape, volume.modality) == ((256, 256, 20), "PD")
    assert volume.spacing[2] == pytest.approx(7.0, abs=0.001)
    first, last = (pydicom.dcmread(real / "mr_pd_1p5t_dicom" / f"brain_{number}.dcm") for number in ("001", "020"))
    assert np.array_equal(volume.data[..., 0], first.pixel_array.T)
    assert np.array_equal(volume.data[..., -1], last.pixel_array.T)
    assert np.allclose(world(volume.affine, (0, 0, 19)), np.array(last.ImagePositionPatient, float) * [-1, -1, 1], atol=1e-3)
    for words in (
        "interpolated linearly",
        "SpacingBetweenSlices says 2 mm but the slices lie 7.00 mm apart",
        "slice 1 is 2490368 bytes longer",
    ):
        assert any(words in note for note in volume.notes), words


def test_real_series_in_feet_to_head_order(real):
    volume = read(real / "mr_t1_1p5t_dicom")
    last = pydicom.dcmread(real / "mr_t1_1p5t_dicom" / "1-093.dcm")
    assert np.array_equal(volume.data[..., -1], last.pixel_array.T)
    assert (volume.shape, volume.data.max(), volume.modality) == ((512, 512, 24), 1448, "T1")


def test_one_slice_stands_for_its_whole_series(real):
    one, all_of_it = read(real / "ct_head_dicom" / "20.dcm"), read(real / "ct_head_dicom")
    assert one.sha256 == all_of_it.sha256
    assert np.array_equal(one.data, all_of_it.data)


def test_several_series_are_listed_until_one_is_named(series_folder):
    other = generate_uid()
    folder = series_folder([1, 2, 3])
    series_folder([1, 2], SeriesNumber=7, SeriesInstanceUID=other, EchoTime=30.0)
    with pytest.raises(ReadError, match=r"it holds 2 \(1: series 1: MR, 3 x 4, 3 slices; 2: series 7: MR, 3 x 4, 2 slices, TE 30 ms\)"):
        read(folder)
    first, second = list_series(folder)
    assert (first.slices, second.uid, second.shape) == (3, other, (3, 4, 2))
    assert read(folder, series="2").shape == read(folder, series=other).shape == (3, 4, 2)
    assert read(folder / "1-000.dcm").shape == (3, 4, 3)
    with pytest.raises(ReadError, match="series '3' was asked for and it holds 2"):
        read(folder, series="3")


def test_stray_files_are_passed_over_and_counted(series_folder, slice_file):
    folder = series_folder(UNITS)
    (folder / "notes.txt").write_text("nothing")
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "deeper").mkdir()
    slice_file(folder / "capture.dcm", np.zeros((4, 3), np.int16), ImagePositionPatient=None, SeriesInstanceUID=generate_uid())
    slice_file(folder / "report.dcm", np.zeros((4, 3), np.int16), Rows=None)
    volume = read(folder)
    assert volume.shape == (3, 4, 5)
    assert any(note.startswith("4 file(s) in the folder") for note in volume.notes)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([1, 2, 3, 3, 4], "5 slices lie at 4 places"),
        ([1, 1, 1], "3 slices lie at 1 places"),
        ([1, 2, 3, 5, 6], "1 of 6 slices are missing, the first after slice 3"),
        ([1, 2, 5, 6, 7, 9], "3 of 9 slices are missing, the first after slice 2"),
        ([1, 2, 3, 4.4, 5.4], r"steps differ by up to 0.\d+ mm"),
        ([1, 2, 3, 4.5, 6, 7.5, 9], r"steps differ"),
        ([(0, 0, 1), (0, 3, 2), (0, 0, 3), (0, 3, 4)], "sideways they stray"),
        ([1], "there is one slice: a 2D image"),
    ],
)
def test_stacks_that_are_no_volume_are_refused(series_folder, places, words):
    with pytest.raises(ReadError, match=words) as caught:
        read(series_folder(places))
    assert caught.value.remedy


def test_small_unevenness_is_noted_and_larger_is_made_even(series_folder):
    planes = [np.full((4, 3), 100 * z, np.int16) for z in (0, 1, 2.005, 3, 4)]
    noted = read(series_folder([0, 1, 2.005, 3, 4], planes, folder="noted"))
    assert "they are taken as even" in noted.notes[0]
    assert noted.data.dtype == np.int16
    places = [0, 1, 2.05, 3, 4]
    evened = read(series_folder(places, [np.full((4, 3), round(100 * z), np.int16) for z in places], folder="evened"))
    assert "(5.0 %)" in evened.notes[0]
    assert "interpolated linearly" in evened.notes[0]
    assert np.allclose(evened.data[0, 0], [0, 100, 200, 300, 400], atol=1e-3)


def test_a_tilted_series_stays_tilted(series_folder):
    volume = read(series_folder([(0, 0.5 * k, 2 * k) for k in range(4)]))
    assert is_sheared(volume.affine)
    assert np.allclose(volume.affine[:3, 2], [0, -0.5, 2])
    assert any("tilted 14.0 degrees" in note for note in volume.notes)


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
        {"PixelSpacing": [2.0, 2.0]},
        {"FrameOfReferenceUID": generate_uid()},
        {"Modality": "CT"},
    ],
)
def test_a_mix_in_one_series_is_refused(series_folder, slice_file, changes):
    folder = series_folder(UNITS)
    slice_file(folder / "scout.dcm", np.zeros((4, 3), np.int16), (0, 0, 1.0), **changes)
    with pytest.raises(ReadError, match="1 of 6 slices differ"):
        read(folder)


def test_another_size_in_one_series_is_refused(series_folder, slice_file):
    folder = series_folder(UNITS)
    slice_file(folder / "small.dcm", np.zeros((2, 2), np.int16), (0, 0, 13.0))
    with pytest.raises(ReadError, match="1 of 6 slices differ"):
        read(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"ImagePositionPatient": None}, "at least one of them is missing"),
        ({"PixelSpacing": None}, "at least one of them is missing"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "right angle"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]}, "right angle"),
    ],
)
def test_images_without_a_place_or_with_colour_are_refused(series_folder, changes, words):
    with pytest.raises(ReadError, match=words):
        read(series_folder(UNITS, **changes))


def test_folders_without_images_are_refused(tmp_path, slice_file):
    with pytest.raises(ReadError, match="none was found"):
        read(tmp_path)
    (tmp_path / "deeper").mkdir()
    with pytest.raises(ReadError, match="1 sub-folders"):
        read(tmp_path)
    (tmp_path / "text.dcm").write_text("no image")
    with pytest.raises(ReadError, match=r"text\.dcm: it is not DICOM"):
        read(tmp_path / "text.dcm")
    path = slice_file(tmp_path / "unmarked", np.zeros((4, 3), np.int16))
    with pytest.raises(ReadError, match="there is one slice"):
        read(path)


def test_rescaling_makes_hounsfield_units(series_folder):
    planes = [np.full((4, 3), 1000 + k, np.int16) for k in range(5)]
    volume = read(series_folder(UNITS, planes, Modality="CT", RescaleSlope="1", RescaleIntercept="-1024", PixelPaddingValue=1000))
    assert (volume.meaning, volume.modality, volume.data.dtype) == (Meaning.HU, "CT", np.int16)
    assert volume.data[0, 0].tolist() == [-24, -23, -22, -21, -20]
    assert (volume.header.intercept, volume.header.extra["padding"]) == (-1024, -24)
    half = read(series_folder(UNITS, planes, folder="half", Modality="PT", RescaleSlope="0.5", RescaleIntercept="1"))
    assert (half.data.dtype, half.data[0, 0, 0], half.meaning) == (np.float32, 501.0, Meaning.UNKNOWN)
    assert any("neither MR nor CT" in note for note in half.notes)
    wide = read(series_folder(UNITS, planes, folder="wide", RescaleSlope="100", RescaleIntercept="0"))
    assert (wide.data.dtype, wide.data.max()) == (np.int32, 100400)


@pytest.mark.parametrize("changes", [{}, {"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"}])
def test_a_ct_without_hounsfield_units_says_so(series_folder, changes):
    volume = read(series_folder(UNITS, Modality="CT", **changes))
    assert volume.meaning is Meaning.UNKNOWN
    assert any("may not be HU" in note for note in volume.notes)


def test_pixels_that_belie_the_header(series_folder):
    longer = np.arange(24, dtype=np.int16)
    volume = read(series_folder(UNITS, PixelData=longer.tobytes()))
    assert np.array_equal(volume.data[..., 0], longer[:12].reshape(4, 3).T)
    assert any("24 bytes longer" in note for note in volume.notes)
    with pytest.raises(ReadError, match="cut short or damaged"):
        read(series_folder(UNITS, folder="short", PixelData=longer[:6].tobytes()))


def test_the_hash_knows_the_files_and_not_their_names(series_folder):
    folder = series_folder(UNITS)
    before = read(folder).sha256
    (folder / "1-000.dcm").rename(folder / "z.dcm")
    assert read(folder).sha256 == before
    (folder / "z.dcm").write_bytes((folder / "z.dcm").read_bytes().replace(b"ACC99 ", b"ACC98 "))
    assert read(folder).sha256 != before


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_lossless_jpeg_is_decoded(tmp_path, compressor):
    planes = np.random.default_rng(0).integers(0, 2000, (3, 16, 12)).astype(np.int16)
    for number, plane in enumerate(planes):
        image = sitk.GetImageFromArray(plane[None])
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(tmp_path / f"{number}.dcm"))
        writer.SetCompressor(compressor)
        writer.UseCompressionOn()
        writer.KeepOriginalImageUIDOn()
        facts = {
            "0008|0060": "MR",
            "0020|000e": "1.2.3",
            "0020|000d": "1.2",
            "0020|0032": f"0\\0\\{2 * number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for tag, value in facts.items():
            image.SetMetaData(tag, value)
        writer.Execute(image)
    assert pydicom.dcmread(tmp_path / "0.dcm").file_meta.TransferSyntaxUID.is_encapsulated
    assert np.array_equal(read(tmp_path).data, planes.transpose(2, 1, 0))


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, RLELossless])
def test_compressed_pixels_nobody_can_decode_are_refused(series_folder, syntax):
    broken = pydicom.encaps.encapsulate([b"\xff\xd8nothing of the kind"])
    folder = series_folder([1, 2])
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = broken
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        pydicom.dcmwrite(path, dataset)
    with pytest.raises(ReadError, match="cannot be decoded here"):
        read(folder)


def test_irregular_headers_become_a_note_without_their_text(series_folder):
    folder = series_folder(UNITS)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"8.498.1", b"08.98.1"))
    volume = read(folder)
    assert volume.header.extra["study_uid"].endswith("08.98.1")
    assert any("irregular value(s) in the headers" in note for note in volume.notes)
    assert "Roe" not in everything(volume)


def test_a_multi_frame_file_is_a_volume_by_itself(tmp_path, slice_file, group):
    planes = np.arange(5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3)
    per_frame = [item for z in (9, 1, 3, 5, 7) for item in group(PlanePositionSequence=group(ImagePositionPatient=[0.0, 0.0, float(z)]))]
    shared = group(
        PlaneOrientationSequence=group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=group(PixelSpacing=[2.0, 1.5], SpacingBetweenSlices="2"),
        PixelValueTransformationSequence=group(RescaleSlope="2", RescaleIntercept="-1", RescaleType="HU"),
    )
    absent = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
    more = {"NumberOfFrames": 5, "PerFrameFunctionalGroupsSequence": per_frame, "SharedFunctionalGroupsSequence": shared, "Modality": "CT"}
    path = slice_file(tmp_path / "all.dcm", planes, Rows=4, Columns=3, PixelData=planes.tobytes(), **absent, **more)
    volume = read(path)
    assert np.array_equal(volume.data, (planes[[1, 2, 3, 4, 0]] * 2 - 1).transpose(2, 1, 0))
    assert (volume.spacing, volume.meaning) == ((1.5, 2.0, 2.0), Meaning.HU)
    assert np.array_equal(read(tmp_path).data, volume.data)


def test_scribbled_headers_are_read_or_refused_and_never_quoted(series_folder):
    folder, random = series_folder(UNITS), np.random.default_rng(3)
    path = folder / "1-002.dcm"
    raw, refusals = path.read_bytes(), 0
    for _ in range(60):
        broken = bytearray(raw)
        for place in random.integers(128, len(raw) - 40, 4):
            broken[place] = random.integers(0, 256)
        path.write_bytes(broken)
        try:
            text = everything(read(folder))
        except ReadError as error:
            text, refusals = f"{error} {error.__cause__}", refusals + 1
        assert not any(secret in text for secret in ("Roe", "Jane", "4711", "ACC99"))
    assert 0 < refusals < 60


def test_damaged_meta_information_is_refused(tmp_path, series_folder):
    path = series_folder([1, 2]) / "1-000.dcm"
    path.write_bytes(path.read_bytes()[:140].replace(b"UL", b"\xcc\xcc") + bytes(range(256)))
    with pytest.raises(ReadError, match="1-000"):
        read(path)
