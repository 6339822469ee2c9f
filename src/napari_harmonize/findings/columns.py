"""What every number of a findings table is called, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass

from napari_harmonize.metrics import METRICS
from napari_harmonize.metrics.frechet import SCATTERING
from napari_harmonize.tissue import TISSUES

FRECHET = "frechet"
FEATURES = {"scattering": SCATTERING, "vit": "Fréchet distance of ViT-B/16 features (FD-ViT)"}
_WORDS = {"csf": "fluid", "grey": "grey matter", "white": "white matter"}


@dataclass(frozen=True)
class Column:
    """One number.

    Parameters
    ----------
    title, unit : str
        As shown in a table.
    higher : bool
        Whether more is better.
    """

    title: str
    unit: str
    higher: bool

    @property
    def heading(self) -> str:
        """Title, unit, and an arrow towards the better."""
        return f"{self.title}{f' in {self.unit}' if self.unit else ''} {'↑' if self.higher else '↓'}"


TISSUE = {
    f"{name}-{tissue}": Column(f"{title} of {_WORDS[tissue]}", unit, higher)
    for name, title, unit, higher in (
        ("volume-difference", "Volume difference", "mm³", False),
        ("dice", "Dice", "", True),
        ("hausdorff", "Hausdorff distance", "mm", False),
    )
    for tissue in TISSUES
}
SLICE = {
    "slice-mse": Column("MSE of slices", "", False),
    "slice-mae": Column("MAE of slices", "", False),
    "slice-psnr": Column("PSNR of slices", "dB", True),
    "slice-ssim": Column("SSIM of slices", "", True),
}


def column(name: str, features: str = "scattering") -> Column:
    """Describe a number by its name.

    Parameters
    ----------
    name : str
        Key of ``METRICS``, ``TISSUE`` or ``SLICE``, or "frechet".
    features : str
        Which features a Fréchet distance is one of.
    """
    if name == FRECHET:
        return Column(FEATURES[features], "", False)
    if name in METRICS:
        row = METRICS[name]
        return Column(row.title, "" if row.unit == "intensity" else row.unit, row.higher_is_better)
    return {**TISSUE, **SLICE}[name]
