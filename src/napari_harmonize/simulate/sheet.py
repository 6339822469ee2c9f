"""The contact sheet of simulated pairs: one row for each, to look at before anything is trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_harmonize.simulate.pairs import SimulatedPair

SHOWN = 16
"""Pairs on a sheet."""
MARK = "SYNTHETIC – no patient was scanned"
COLUMNS = ("source", "target", "labels", "source, coronal", "target, coronal", "source, sagittal")
ROW = 2.0
DOTS = 110
LESION_LABELS = (5, 9, 10, 11, 12)
"""Numbers of gliosis, oedema, infarct, tumour and necrosis among the labels."""


def contact_sheet(pairs: Sequence[SimulatedPair], path: Path) -> Path:
    """Draw one row for each pair: planes through the largest lesion, or through the middle.

    Parameters
    ----------
    pairs : sequence of SimulatedPair
        At most a few dozen.
    path : Path
        PNG to write.

    Returns
    -------
    Path
        The same path.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(len(COLUMNS) * ROW, len(pairs) * (ROW + 0.3) + 0.5), dpi=DOTS, facecolor="black")
    FigureCanvasAgg(figure)
    figure.text(0.01, 1 - 0.2 / figure.get_figheight(), MARK, color="red", size=10, weight="bold", va="center")
    for row, pair in enumerate(pairs):
        _row(figure, pair, 1 - (0.4 + row * (ROW + 0.3)) / figure.get_figheight())
    figure.savefig(path, facecolor="black")
    return path


def _row(figure: Figure, pair: SimulatedPair, top: float) -> None:
    high = figure.get_figheight()
    effects = ", ".join(f"{name} {strength:.2g}" for name, strength in pair.scans[0].effects)
    text = f"{pair.index}: {pair.scans[0].contrast} → {pair.scans[1].contrast}; {', '.join(pair.found) or 'nothing found'}; {effects}"
    figure.text(0.01, top - 0.1 / high, text, color="white", size=7, va="center")
    for column, (data, cut, limits, colours) in enumerate(_cells(pair)):
        area = (column / len(COLUMNS), top - (ROW + 0.2) / high, 1 / len(COLUMNS), ROW / high)
        axes = figure.add_axes(area)
        axes.imshow(cut(data), cmap=colours, vmin=limits[0], vmax=limits[1], origin="lower", interpolation="nearest")
        axes.set_axis_off()


def _cells(pair: SimulatedPair) -> list[tuple[NDArray[Any], _Cut, tuple[float, float], str]]:
    """Data, plane, limits and colours of every picture of a row."""
    at = centre(pair.labels.data)
    axial, coronal, sagittal = (_Cut(axis, at[axis]) for axis in (2, 1, 0))
    mask = pair.mask.data > 0
    source, target = ((volume.data, _limits(volume.data, mask, volume.modality)) for volume in (pair.source, pair.target))
    grey = [(source, axial), (target, axial), (source, coronal), (target, coronal), (source, sagittal)]
    cells = [(data, cut, limits, "gray") for (data, limits), cut in grey]
    return [*cells[:2], (pair.labels.data, axial, (0.0, 12.0), "nipy_spectral"), *cells[2:]]


class _Cut:
    """A plane across one axis, drawn with the last of its axes upwards; the patient's left is on the right."""

    def __init__(self, axis: int, place: int) -> None:
        self.axis, self.place = axis, place

    def __call__(self, data: NDArray[Any]) -> NDArray[Any]:
        plane: NDArray[Any] = data.take(self.place, self.axis).T
        return plane[:, ::-1] if self.axis else plane


def _limits(data: NDArray[Any], mask: NDArray[np.bool_], modality: str) -> tuple[float, float]:
    if modality == "CT":
        return 0.0, 80.0
    return 0.0, float(np.percentile(data[mask], 99.7)) if mask.any() else 1.0


def centre(labels: NDArray[Any]) -> tuple[int, int, int]:
    """Voxel in the middle of the largest cut through lesions; that of the head where there are none."""
    lesion = np.isin(labels, LESION_LABELS)
    inside = lesion if lesion.any() else labels > 0
    if not lesion.any():
        return tuple(int(np.median(where)) if len(where) else 0 for where in inside.nonzero())  # type: ignore[return-value]
    counts = [inside.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    return tuple(int(count.argmax()) for count in counts)  # type: ignore[return-value]
