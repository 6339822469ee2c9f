"""One image plane of a DICOM file, classic or multi-frame, and its pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.volumes.files import refusal
from napari_harmonize.volumes.names import hint

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TAGS = (
    "SOPClassUID", "Modality", "SeriesDescription", "ProtocolName", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices",
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PlanarConfiguration",
    "PixelPaddingValue", "RescaleSlope", "RescaleIntercept", "RescaleType", "RepetitionTime", "EchoTime", "InversionTime",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
DAMAGED = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError, struct.error)
GREY = ("MONOCHROME1", "MONOCHROME2")
TIMES = (("TR", "RepetitionTime"), ("TE", "EchoTime"), ("TI", "InversionTime"))
NOT_IN_PATIENT = "The geometry of a slice is stated by ImagePositionPatient, ImageOrientationPatient and PixelSpacing"


@dataclass(frozen=True)
class Frame:
    """Where one image plane lies and how its pixels become real values.

    Parameters
    ----------
    path : Path
        File it is in.
    number : int
        Which frame of the file, from 0.
    series, study, frame_of_reference : str
        Uids: identifiers.
    series_number : int
        0 where there is none.
    modality : str
        As DICOM says it: "CT", "MR", ...
    contrast : str
        What the series description hints at; the description itself is not kept.
    position : (3,) tuple of float
        Centre of the first pixel, LPS mm.
    orientation : (6,) tuple of float
        Directions of increasing column and of increasing row.
    pixel : (2,) tuple of float
        Distance of rows, then of columns, mm.
    shape : (2,) tuple of int
        Columns, rows.
    dtype : str
        NumPy name of the stored type.
    slope, intercept : float
        Rescaling to real values.
    rescaled : bool
        Whether the header states the rescaling, and not one to another unit than HU.
    padding : float, optional
        Real value of PixelPaddingValue.
    stated_step : float, optional
        SpacingBetweenSlices, mm.
    timing : tuple of (str, float)
        Echo, repetition and inversion time in ms.
    """

    path: Path
    number: int
    series: str
    study: str
    frame_of_reference: str
    series_number: int
    modality: str
    contrast: str
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel: tuple[float, float]
    shape: tuple[int, int]
    dtype: str
    slope: float
    intercept: float
    rescaled: bool
    padding: float | None
    stated_step: float | None
    timing: tuple[tuple[str, float], ...]


def damage() -> tuple[type[Exception], ...]:
    """List what pydicom raises on bytes that are not as declared; its words may quote a header, so they go no further."""
    from pydicom.errors import BytesLengthException

    return (*DAMAGED, BytesLengthException)


def frames_of(path: Path, dataset: Any) -> Iterator[Frame]:
    """Planes of one file; none where it is no image.

    Parameters
    ----------
    path : Path
        The file.
    dataset : pydicom Dataset
        Its header, at least ``TAGS``.

    Raises
    ------
    ReadError
        Colour pixels, or no geometry.
    """
    if "Rows" not in dataset or "Columns" not in dataset or not dataset.get("SeriesInstanceUID"):
        return
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or dataset.get("PhotometricInterpretation", GREY[1]) not in GREY:
        arrived = f"its pixels are colour ({dataset.get('PhotometricInterpretation', 'RGB')})"
        raise refusal(path, "A volume holds one real number per voxel", arrived, "Choose a series of grey images")
    for number in range(int(dataset.get("NumberOfFrames") or 1)):
        yield _frame(path, dataset, number)


def _macro(dataset: Any, number: int, name: str) -> Any:
    """Part of a multi-frame header that speaks of one frame; the whole header of a classic file."""
    for groups, at in (("PerFrameFunctionalGroupsSequence", number), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(groups) or []
        if at < len(items) and items[at].get(name):
            return items[at].get(name)[0]
    return dataset


def _frame(path: Path, dataset: Any, number: int) -> Frame:
    position, orientation, pixel, step = _place(path, dataset, number)
    values = _macro(dataset, number, "PixelValueTransformationSequence")
    slope, intercept = _number(values, "RescaleSlope", 1.0), _number(values, "RescaleIntercept", 0.0)
    padding = dataset.get("PixelPaddingValue")
    times = ((label, dataset.get(name)) for label, name in TIMES)
    described = f"{dataset.get('SeriesDescription', '')} {dataset.get('ProtocolName', '')}"
    return Frame(
        path=path,
        number=number,
        series=str(dataset.SeriesInstanceUID),
        study=str(dataset.get("StudyInstanceUID") or ""),
        frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
        series_number=int(dataset.get("SeriesNumber") or 0),
        modality=str(dataset.get("Modality") or "of unknown modality"),
        contrast=hint(described),
        position=position,
        orientation=orientation,
        pixel=pixel,
        shape=(int(dataset.Columns), int(dataset.Rows)),
        dtype=f"{'' if dataset.get('PixelRepresentation') else 'u'}int{dataset.get('BitsAllocated') or 16}",
        slope=slope,
        intercept=intercept,
        rescaled="RescaleSlope" in values and str(values.get("RescaleType") or "HU") in ("HU", "HU_MOD"),
        padding=slope * int(padding) + intercept if isinstance(padding, int) else None,
        stated_step=step,
        timing=tuple((label, float(value)) for label, value in times if isinstance(value, int | float)),
    )


def _number(dataset: Any, name: str, otherwise: float) -> float:
    value = dataset.get(name)
    return otherwise if value in (None, "") else float(value)


def _place(path: Path, dataset: Any, number: int) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, float], float | None]:
    measures = _macro(dataset, number, "PixelMeasuresSequence")
    found = (
        _macro(dataset, number, "PlanePositionSequence").get("ImagePositionPatient"),
        _macro(dataset, number, "PlaneOrientationSequence").get("ImageOrientationPatient"),
        measures.get("PixelSpacing"),
    )
    if [len(part or ()) for part in found] != [3, 6, 2]:
        remedy = "Export the series as MR or CT images with their geometry"
        raise refusal(path, NOT_IN_PATIENT, "at least one of them is missing", remedy)
    position, orientation, pixel = (tuple(float(value) for value in part) for part in found)
    step = measures.get("SpacingBetweenSlices")
    return position, orientation, (pixel[0], pixel[1]), None if step in (None, "") else float(step)


def pixels(frame: Frame, stream: io.BytesIO) -> tuple[NDArray[Any], int]:
    """Pixels of a frame as real values.

    Parameters
    ----------
    frame : Frame
        Which plane.
    stream : BytesIO
        The whole file.

    Returns
    -------
    values : (row, column) array
        As stored where there is nothing to rescale, whole numbers where slope and intercept are, else float32.
    surplus : int
        Bytes the file holds beyond the frames its header declares, if that is a frame or more.

    Raises
    ------
    ReadError
        The pixels cannot be decoded, or are fewer than declared.
    """
    import pydicom
    from pydicom.pixels import pixel_array

    size, packed = stream.getbuffer().nbytes, ""
    try:
        dataset = pydicom.dcmread(stream, specific_tags=[*TAGS, "PixelData"])
        syntax = dataset.file_meta.TransferSyntaxUID
        packed = syntax.name if syntax.is_encapsulated else ""
        stored = np.asarray(pixel_array(dataset, index=frame.number, raw=True))
    except damage():
        if packed:
            return _decoded_by_gdcm(frame, packed), 0
        arrived, remedy = "its pixels are cut short or damaged", "Copy it again from its source"
        raise refusal(frame.path, "A slice holds all the pixels its header declares", arrived, remedy) from None
    return _rescaled(stored, frame), 0 if packed else _surplus(dataset, stored.nbytes, size)


def _surplus(dataset: Any, one_frame: int, size: int) -> int:
    declared = one_frame * int(dataset.get("NumberOfFrames") or 1)
    beyond = size - (dataset["PixelData"].file_tell or size) - declared
    return beyond if beyond >= one_frame else 0


def _rescaled(stored: NDArray[Any], frame: Frame) -> NDArray[Any]:
    if (frame.slope, frame.intercept) == (1.0, 0.0):
        return stored
    if not (frame.slope.is_integer() and frame.intercept.is_integer() and stored.dtype.itemsize <= 2):
        return (stored * frame.slope + frame.intercept).astype(np.float32)
    values = stored.astype(np.int32) * int(frame.slope) + int(frame.intercept)
    fits = values.min() >= np.iinfo(np.int16).min and values.max() <= np.iinfo(np.int16).max
    return values.astype(np.int16) if fits else values


def _decoded_by_gdcm(frame: Frame, syntax: str) -> NDArray[Any]:
    """Decode what pydicom has no decoder for with the one inside SimpleITK, which also rescales."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(frame.path))
    try:
        planes = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        remedy = "Export the series uncompressed, or install a decoder for it (pylibjpeg)"
        raise refusal(frame.path, "Pixels must be decoded before they can be read", f"{syntax} cannot be decoded here", remedy) from error
    plane = planes.reshape(-1, *planes.shape[-2:])[frame.number]
    return plane.astype(np.float32) if plane.dtype == np.float64 else np.asarray(plane)
