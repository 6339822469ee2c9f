"""Files made for one test: DICOM series of any shape, and NIfTI files with chosen headers."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

STUDY, SERIES, FRAME = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2", "1.2.826.0.1.3680043.8.498.3"
PATIENT = "Roe^Jane"


@pytest.fixture
def pattern():
    """A (7, 6, 5) int16 volume in which every voxel has its own value."""
    return np.arange(7 * 6 * 5, dtype=np.int16).reshape(7, 6, 5)


@pytest.fixture
def slice_file():
    """Write one DICOM slice; keywords overwrite attributes, ``None`` removes one."""

    def make(path, pixels, position=(0.0, 0.0, 0.0), **changes):
        dataset = FileDataset(str(path), {}, file_meta=_meta(changes.pop("syntax", ExplicitVRLittleEndian)), preamble=b"\0" * 128)
        for keyword, value in (_attributes(pixels, position) | changes).items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset.PixelData = changes.get("PixelData", np.ascontiguousarray(pixels).tobytes())
        pydicom.dcmwrite(path, dataset)
        return path

    return make


@pytest.fixture
def series_folder(tmp_path, slice_file):
    """Write a series of slices at the given positions along z, numbered in the order given."""

    def make(places, pixels=None, folder="scan", **changes):
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for number, place in enumerate(places):
            plane = np.full((4, 3), number, np.int16) if pixels is None else pixels[number]
            position = (0.0, 0.0, float(place)) if np.isscalar(place) else tuple(map(float, place))
            slice_file(root / f"{changes.get('SeriesNumber', 1)}-{number:03d}.dcm", plane, position, **changes)
        return root

    return make


def _meta(syntax):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = syntax
    return meta


def _attributes(pixels, position):
    return {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": generate_uid(),
        "Modality": "MR",
        "PatientName": PATIENT,
        "PatientID": "4711",
        "PatientBirthDate": "19700101",
        "AccessionNumber": "ACC99",
        "SeriesDescription": "T2 Roe Jane",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "FrameOfReferenceUID": FRAME,
        "SeriesNumber": 1,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "PixelSpacing": [2.0, 1.5],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": list(position),
    }


@pytest.fixture
def group():
    """Make a sequence of one item, for the functional groups of multi-frame headers."""

    def make(**attributes):
        item = Dataset()
        for keyword, value in attributes.items():
            setattr(item, keyword, value)
        return [item]

    return make
