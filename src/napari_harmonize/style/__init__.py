"""Style keys: computing, editing, blending, comparing and saving them. NumPy only."""

from napari_harmonize.style.blend import blend, distance
from napari_harmonize.style.compute import average, compute
from napari_harmonize.style.edit import Edit, apply, drag, handles_on, mapping
from napari_harmonize.style.files import key_from_json, key_to_json, load, save
from napari_harmonize.style.key import BINS, Origin, StyleKey, from_curves, from_histogram
from napari_harmonize.style.peaks import peaks
from napari_harmonize.style.recolour import recolouring
from napari_harmonize.style.training import FarFromTraining, Training, far, nearest

__all__ = [
    "BINS",
    "Edit",
    "FarFromTraining",
    "Origin",
    "StyleKey",
    "Training",
    "apply",
    "average",
    "blend",
    "compute",
    "distance",
    "drag",
    "far",
    "from_curves",
    "from_histogram",
    "handles_on",
    "key_from_json",
    "key_to_json",
    "load",
    "mapping",
    "nearest",
    "peaks",
    "recolouring",
    "save",
]
