"""Recorded steps that turn a volume into what a model expects.

``STEPS`` lists the steps; :func:`prepare` runs some of them and :func:`undo` takes their changes of geometry back.
Importing this folder loads neither torch nor Qt.
"""

from napari_harmonize.prepare.bias import BiasField
from napari_harmonize.prepare.grid import CropToForeground, FitToSize, PadToMultiple, PadVolume, Resample
from napari_harmonize.prepare.intensity import DivideByMaximum, Mask, Normalise, RobustBrats, Window
from napari_harmonize.prepare.sequence import make, name_of, prepare, preparing, undo
from napari_harmonize.prepare.slices import PadSlices, ResampleSlices, ScaleSlices, StripFlatSlices
from napari_harmonize.prepare.step import Context, Record, Step, foreground, mask_on

__all__ = ["STEPS", "Context", "Record", "Step", "foreground", "make", "mask_on", "name_of", "prepare", "preparing", "undo"]

STEPS: dict[str, type[Step]] = {
    "mask": Mask,
    "window": Window,
    "bias_field": BiasField,
    "normalise": Normalise,
    "robust_brats": RobustBrats,
    "divide_by_maximum": DivideByMaximum,
    "resample": Resample,
    "crop_to_foreground": CropToForeground,
    "pad_to_multiple": PadToMultiple,
    "pad_volume": PadVolume,
    "fit_to_size": FitToSize,
    "strip_flat_slices": StripFlatSlices,
    "resample_slices": ResampleSlices,
    "scale_slices": ScaleSlices,
    "pad_slices": PadSlices,
}
