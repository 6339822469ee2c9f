"""Volumes as napari layers and back: the only file that knows both.

napari mis-draws oblique and permuted affines in 2D, so a layer shows the volume in canonical axis order with a diagonal scale;
the true affine and header travel in ``layer.metadata["napari_harmonize"]``. A layer's coordinates are those of the patient
turned by the volume's own obliquity, so that volumes of one examination lie on each other.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_harmonize.errors import VolumeError
from napari_harmonize.session.display import Convention
from napari_harmonize.volumes import Header, Meaning, Volume, canonical, from_array
from napari_harmonize.widgets.letters import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

KEY = "napari_harmonize"
AXES = ("R", "A", "S")


def to_layer(
    volume: Volume,
    *,
    name: str = "",
    kind: str = "image",
    colormap: str = "gray",
    limits: tuple[float, float] | None = None,
    locked: bool = True,
    synthetic: bool = False,
    run: Mapping[str, Any] | None = None,
) -> Layer:
    """Make a layer that shows a volume; the array is shared, not copied.

    Parameters
    ----------
    volume : Volume
        In any orientation.
    name : str
        Layer name; the volume's own unless given.
    kind : str
        "image", or "labels" for a mask.
    colormap : str
        A colormap name napari knows; images only.
    limits : (float, float), optional
        Values shown black and white; the whole volume's range of percentiles 0.1 to 99.9 unless given.
    locked : bool
        Whether napari's delete commands leave the layer alone.
    synthetic : bool
        Whether a model made it.
    run : mapping, optional
        Everything about how it was made.

    Returns
    -------
    Layer
        Not yet in any viewer.
    """
    shown, turn = canonical(volume)
    data, frame = _voxels(shown.data, kind), _rotation(shown.affine)
    facts = {
        "fields": {item.name: getattr(volume, item.name) for item in dataclasses.fields(volume) if item.name != "data"},
        "dtype": volume.data.dtype,
        "shape": shown.shape,
        "address": _address(data) if kind == "image" else None,
        "turn": turn,
        "shown_affine": shown.affine,
        "frame": frame,
        "synthetic": synthetic,
        "run": None if run is None else dict(run),
    }
    place = {"scale": shown.spacing, "translate": frame.T @ shown.affine[:3, 3], "units": ("mm",) * 3, "axis_labels": AXES}
    common: dict[str, Any] = {"name": name or volume.name, "metadata": {KEY: facts}, **place}
    layer = Labels(data, **common) if kind == "labels" else Image(data, colormap=colormap, contrast_limits=limits or _range(data), **common)
    layer.locked = locked
    return layer


def from_layer(layer: Layer) -> Volume:
    """Read a layer as a volume.

    Parameters
    ----------
    layer : Layer
        One of ours gives back the volume it shows, header and all. From any other image or labels layer its scale,
        rotation and translation are taken, and a note says what was assumed.

    Raises
    ------
    VolumeError
        The layer is no three-dimensional image of single values.
    """
    _check(layer)
    facts = layer.metadata.get(KEY)
    if facts is None or tuple(layer.data.shape) != facts["shape"]:
        return _foreign(layer)
    data = facts["turn"].undo(np.asarray(layer.data)).astype(facts["dtype"], copy=False)
    volume = Volume(data, **facts["fields"])
    if _address(np.asarray(layer.data)) != facts["address"]:
        volume = volume.replace(sha256=from_array(data, volume.affine).sha256)
    moved = facts["frame"] @ _matrix(layer)[:3]
    if np.allclose(moved, facts["shown_affine"][:3], atol=1e-3):
        return volume
    affine = np.vstack([moved, [0, 0, 0, 1]]) @ np.linalg.inv(facts["shown_affine"]) @ volume.affine
    return volume.replace(affine=affine, notes=(*volume.notes, "Its layer was moved or scaled in the viewer, and the volume with it."))


def is_ours(layer: Layer) -> bool:
    """Whether a layer was made by :func:`to_layer`."""
    return KEY in layer.metadata


def is_synthetic(layer: Layer) -> bool:
    """Whether a layer shows what a model made."""
    return bool(layer.metadata.get(KEY, {}).get("synthetic"))


def run_of(layer: Layer) -> Mapping[str, Any] | None:
    """Everything about how a layer's volume was made, where a model made it."""
    found: Mapping[str, Any] | None = layer.metadata.get(KEY, {}).get("run")
    return found


def viewer_point(layer: Layer, xyz: ArrayLike) -> tuple[float, float, float]:
    """Where a patient position (RAS+ mm) lies in the viewer that shows a layer."""
    ijk = np.linalg.inv(_shown_affine(layer)) @ (*np.asarray(xyz, float), 1.0)
    x, y, z = (float(part) for part in layer.data_to_world(tuple(ijk[:3])))
    return x, y, z


def world_point(layer: Layer, point: Sequence[float]) -> tuple[float, float, float]:
    """Patient position (RAS+ mm) of a point of the viewer that shows a layer; undoes :func:`viewer_point`."""
    ijk = np.linalg.inv(_matrix(layer)) @ (*np.asarray(point, float)[-3:], 1.0)
    x, y, z = (_shown_affine(layer) @ ijk)[:3].tolist()
    return x, y, z


def arrange(viewer: ViewerModel, convention: Convention = Convention.RADIOLOGICAL) -> None:
    """Show axial slices the clinical way up by turning the camera, never the data, with a scale bar and arrows to R, A and S.

    Parameters
    ----------
    viewer : ViewerModel
        Whose dimension order, camera and scale bar are set.
    convention : Convention
        Radiological puts the patient's left on the right of the picture.
    """
    if viewer.dims.ndim == 3:
        viewer.dims.order = (2, 1, 0)
    viewer.scene.camera.orientation2d = ("up", "left" if Convention(convention) is Convention.RADIOLOGICAL else "right")
    viewer.canvas.overlays["scale_bar"].visible = True
    axes = viewer.canvas.overlays["axes"]
    axes.visible, axes.colored = True, False  # its yellow cannot be read on a light canvas


def mark(viewer: ViewerModel, shown: bool) -> None:
    """Write into the corner of the canvas, or take away, that what it shows is synthetic."""
    text = viewer.canvas.overlays["text"]
    # one line does not fit beside the docks, nor do two beside those of a small window
    text.text = MARK.replace(" – ", "\n").replace(", ", ",\n") if shown else ""
    text.position = "top_left"
    text.visible = shown


def _voxels(data: NDArray[Any], kind: str) -> NDArray[Any]:
    """Images are shared with the volume; labels are copied, as napari's brush writes into them."""
    if kind == "image":
        return data
    return data.astype(data.dtype if data.dtype.kind in "ui" else np.int32)


def _address(data: NDArray[Any]) -> int:
    return int(data.__array_interface__["data"][0])


def _range(data: NDArray[Any]) -> tuple[float, float]:
    values = data[::2, ::2, ::2]
    low, high = np.quantile(values[np.isfinite(values)], (0.001, 0.999)).tolist() if np.isfinite(values).any() else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1.0)


def _rotation(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation nearest to the directions of an affine's axes."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(columns)
    return np.asarray(left @ right)


def _matrix(layer: Layer) -> NDArray[np.float64]:
    """Voxel index to viewer coordinates, mm where the layer has a unit of length."""
    origin, *ends = (np.array(layer.data_to_world(point), float) for point in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)))
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([*(end - origin for end in ends), origin])
    return matrix


def _shown_affine(layer: Layer) -> NDArray[np.float64]:
    facts = layer.metadata.get(KEY)
    return _foreign_affine(layer)[0] if facts is None else np.asarray(facts["shown_affine"])


def _check(layer: Layer) -> None:
    if not isinstance(layer, (Image, Labels)) or getattr(layer, "rgb", False):
        what = "colours" if getattr(layer, "rgb", False) else f"a layer of type {type(layer).__name__}"
        raise VolumeError("A volume is an image of single values", f"{layer.name} is {what}", "Choose an image or labels layer")
    if layer.ndim != 3:
        raise VolumeError("A volume has three axes", f"{layer.name} has {layer.ndim}", "Choose a layer with three axes")


def _foreign(layer: Layer) -> Volume:
    data = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    affine, notes = _foreign_affine(layer)
    header = Header(format="layer", dtype=data.dtype.name)
    volume = from_array(data, affine, name=layer.name, header=header, meaning=Meaning.UNKNOWN)
    return volume.replace(notes=(*volume.notes, *notes))


def _foreign_affine(layer: Layer) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Affine of a layer that says nothing about the patient, and what had to be assumed."""
    matrix, notes = _matrix(layer), []
    lengths = [_millimetres(unit) for unit in layer.units]
    if None in lengths:
        notes.append("The layer has no unit of length; its numbers were taken as millimetres.")
    matrix[:3] *= np.array([length or 1.0 for length in lengths])[:, None]
    names = [str(label).lower() for label in layer.axis_labels]
    if sorted(names) == ["x", "y", "z"]:
        matrix[:3] = matrix[[names.index(name) for name in "xyz"]]
        notes.append("Made from a layer: its axes x, y and z were taken as right, anterior and superior.")
    else:
        notes.append("Made from a layer that names no body axes: they were taken as right, anterior and superior, in this order.")
    return matrix, tuple(notes)


def _millimetres(unit: Any) -> float | None:
    return float((1 * unit).to("mm").magnitude) if unit.dimensionality == {"[length]": 1} else None
