"""Numbers that say how good a translation is: pure functions on arrays under a mask, and what they say about themselves.

Importing this folder loads neither torch nor scikit-image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari_harmonize.errors import Undefined
from napari_harmonize.metrics import intensity, slices, structure
from napari_harmonize.metrics.comparison import Comparison, scale
from napari_harmonize.metrics.evaluate import MetricRow, Score, measure
from napari_harmonize.metrics.slices import PerSlice, changes, consistency_error, outliers, pairs, per_slice
from napari_harmonize.metrics.structure import pointwise_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_harmonize.style import StyleKey

__all__ = [
    "METRICS",
    "Comparison",
    "MetricRow",
    "PerSlice",
    "Score",
    "Undefined",
    "changes",
    "consistency_error",
    "evaluate",
    "outliers",
    "pairs",
    "per_slice",
    "pointwise_mapping",
    "scale",
]


def evaluate(
    result: NDArray[Any],
    truth: NDArray[Any] | None = None,
    source: NDArray[Any] | None = None,
    mask: NDArray[Any] | None = None,
    key: StyleKey | None = None,
    metrics: Iterable[str] | None = None,
    *,
    repeats: Sequence[NDArray[Any]] = (),
    hounsfield: bool = False,
    scaled: bool = False,
) -> tuple[Score, ...]:
    """Measure a result with every metric that applies, or with those named.

    Parameters
    ----------
    result : (i, j, k) array
        The translated volume.
    truth, source : (i, j, k) array, optional
        The ground truth, and what was translated, on the same grid.
    mask : (i, j, k) array, optional
        Where it is measured: not zero. Without one the whole volume counts, and the notes say so.
    key : StyleKey, optional
        The look that was asked for.
    metrics : iterable of str, optional
        Keys of ``METRICS``; by default all whose needs are met, except those that are only measured on request.
    repeats : sequence of (i, j, k) array
        Further results of the same case.
    hounsfield : bool
        Whether result and truth are in Hounsfield units.
    scaled : bool
        Whether result and truth are on one scale of 0..1 already, as a model's answer is on that of its targets. Otherwise each is
        divided by its own 99.5th percentile, which takes a wrong tone of the result for a right one and the other way round.

    Returns
    -------
    tuple of Score
        In the order of the table, or of the names. A metric that has no value for these volumes gives NaN and a note.

    Raises
    ------
    GeometryError
        The shapes differ.
    VolumeError
        The mask is empty, or a volume has a value inside the mask that is not finite.
    SettingsError
        There is no metric of that name.
    """
    return measure(METRICS, result, truth, source, mask, key, metrics, repeats=repeats, hounsfield=hounsfield, scaled=scaled)


_TRUTH = frozenset({"truth", "mask"})
_WHOLE = frozenset({"truth"})
_SOURCE = frozenset({"source", "mask"})
_BOTH = _TRUTH | _SOURCE

METRICS: dict[str, MetricRow] = {
    # name                  title, unit, higher is better, best, needs, function
    "psnr": MetricRow("PSNR", "dB", True, math.inf, _TRUTH, intensity.psnr),
    "ssim": MetricRow("SSIM", "", True, 1.0, _TRUTH, structure.ssim, reach=3),
    "mae": MetricRow("MAE", "intensity", False, 0.0, _TRUTH, intensity.mae),
    "mae-hu": MetricRow("MAE in HU", "HU", False, 0.0, _TRUTH, intensity.mae_hounsfield, values="HU"),
    "mse": MetricRow("MSE", "", False, 0.0, _TRUTH, intensity.mse),
    "nrmse": MetricRow("NRMSE", "", False, 0.0, _TRUTH, intensity.nrmse),
    "correlation": MetricRow("Correlation", "", True, 1.0, _TRUTH, intensity.correlation),
    "mutual-information": MetricRow("Mutual information", "bit", True, None, _TRUTH, intensity.mutual_information),
    "nmi": MetricRow("Normalised mutual information", "", True, 2.0, _TRUTH, intensity.normalised_mutual_information),
    "ahd": MetricRow("Histogram difference (AHD)", "voxels", False, 0.0, _TRUTH, intensity.histogram_difference),
    "slice-consistency-0": MetricRow("Slice consistency, axis 0", "intensity", False, 0.0, _TRUTH, slices.along(0)),
    "slice-consistency-1": MetricRow("Slice consistency, axis 1", "intensity", False, 0.0, _TRUTH, slices.along(1)),
    "slice-consistency-2": MetricRow("Slice consistency, axis 2", "intensity", False, 0.0, _TRUTH, slices.along(2)),
    "psnr-over-pointwise": MetricRow("PSNR beyond recolouring", "dB", True, math.inf, _BOTH, structure.over_pointwise),
    "psnr-answered": MetricRow("PSNR as answered", "dB", True, math.inf, _TRUTH, intensity.psnr_answered, values="0..1"),
    "structure": MetricRow("Structure kept from the source", "", True, 1.0, _SOURCE, structure.structure_agreement),
    "style": MetricRow("Distance from the style key", "intensity", False, 0.0, frozenset({"key"}), intensity.style_distance, None, "0..1"),
    "spread": MetricRow(
        "Spread over repeats", "intensity", False, 0.0, frozenset({"repeats", "mask"}), intensity.spread,
        when_zero="the repeats are equal, as they are where nothing is drawn at random",
    ),
    "psnr-ct2mri": MetricRow("PSNR as CT2MRI", "dB", True, math.inf, _WHOLE, intensity.psnr_ct2mri, None, "0..1"),
    "ssim-ct2mri": MetricRow("SSIM as CT2MRI", "", True, 1.0, _WHOLE, intensity.ssim_ct2mri, None, "0..1"),
    "nrmse-ct2mri": MetricRow("NRMSE as CT2MRI", "", False, 0.0, _WHOLE, intensity.nrmse_ct2mri, None, "0..1"),
    "vif": MetricRow("Visual information fidelity", "", True, 1.0, _TRUTH, structure.vif, on_request=True),
}  # fmt: skip
