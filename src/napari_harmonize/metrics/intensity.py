"""Metrics of intensities: the result against the truth, voxel by voxel or as distributions."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import Undefined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_harmonize.metrics.comparison import Comparison

AHD_BINS = 255
MI_BINS = 64


def psnr(case: Comparison) -> float:
    """Peak signal-to-noise ratio over the mask in dB: -10 log10 of the mean squared difference, data range 1."""
    from skimage.metrics import peak_signal_noise_ratio

    result, truth = case.pair()
    return float("inf") if np.array_equal(result, truth) else float(peak_signal_noise_ratio(truth, result, data_range=1))


def psnr_answered(case: Comparison) -> float:
    """PSNR of the result as it answered, in 0..1, against the truth divided by its 99.5th percentile: a wrong tone counts.

    PSNR itself divides the result by its own percentile too, so that a style key of the right tone may look worse than a wrong one.
    """
    if not _in_unit_range(case.result[case.inside]):
        raise Undefined("A result is measured as it answered in 0..1", "it has other values")
    return psnr(dataclasses.replace(case, truth=case.scaled_truth, scaled=True))


def mae(case: Comparison) -> float:
    """Mean absolute difference over the mask, on the scale 0..1."""
    result, truth = case.pair()
    return float(np.abs(result - truth).mean())


def mae_hounsfield(case: Comparison) -> float:
    """Mean absolute difference over the mask in Hounsfield units, unscaled."""
    truth = case.need_truth()
    if not case.hounsfield:
        raise Undefined("A difference in HU needs a result and a truth in HU", "these are not")
    return float(np.abs(case.result[case.inside].astype(np.float64) - truth[case.inside]).mean())


def mse(case: Comparison) -> float:
    """Mean squared difference over the mask, on the scale 0..1."""
    result, truth = case.pair()
    return float(((result - truth) ** 2).mean())


def nrmse(case: Comparison) -> float:
    """Root of the mean squared difference over the mask, divided by the range of the truth there."""
    result, truth = case.pair()
    span = float(np.ptp(truth))
    if span == 0:
        raise Undefined("This number is divided by the range of the truth in the mask", "the truth is constant there")
    return float(np.sqrt(((result - truth) ** 2).mean()) / span)


def correlation(case: Comparison) -> float:
    """Pearson correlation over the mask, on the scale 0..1."""
    return pearson(*case.pair())


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson correlation of two rows of values.

    Parameters
    ----------
    a, b : (n,) float64
        The values.

    Returns
    -------
    float
        -1..1.

    Raises
    ------
    Undefined
        One of both is constant.
    """
    a, b = a - a.mean(), b - b.mean()
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    if lengths <= 1e-12 * len(a):
        raise Undefined("A correlation needs values that vary inside the mask", "one of the two volumes is constant there")
    return float(np.clip((a @ b) / lengths, -1, 1))


def mutual_information(case: Comparison) -> float:
    """Mutual information over the mask in bits, from a joint histogram of 64 x 64 bins on 0..1."""
    joint = _joint(case)
    independent = np.outer(joint.sum(1), joint.sum(0))
    filled = joint > 0
    return float((joint[filled] * np.log2(joint[filled] / independent[filled])).sum())


def normalised_mutual_information(case: Comparison) -> float:
    """(H(result) + H(truth)) / H(result, truth) over the mask (Studholme 1998): 1 unrelated, 2 one tells the other."""
    joint = _joint(case)
    together = _entropy(joint)
    if together == 0:
        raise Undefined("Mutual information needs values that vary inside the mask", "both volumes are constant there")
    return (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / together


def histogram_difference(case: Comparison) -> float:
    """Sum of the bin-wise absolute differences of the two histograms of 255 bins, in voxels (Durrer et al. 2023, appendix D).

    Both histograms are of the values inside the mask on the scale 0..1.
    """
    counts = [np.histogram(values, bins=AHD_BINS, range=(0, 1))[0] for values in case.pair()]
    return float(np.abs(counts[0] - counts[1]).sum())


def style_distance(case: Comparison) -> float:
    """Wasserstein distance between the style key of the result and the key asked for, in intensity units.

    The key of the result is that of the whole volume as it is, in 0..1, as keys are defined.
    """
    from napari_harmonize.style import compute, distance

    if case.key is None:
        raise Undefined("This number compares with the style key that was asked for", "there is none")
    if not _in_unit_range(case.result):
        raise Undefined("A style key is computed from a volume in 0..1", "the result is not")
    if not (np.nan_to_num(case.result) >= 0.001).any():
        raise Undefined("A style key counts intensities from 0.001 on", "the result has none")
    return distance(compute(case.result, bins=case.key.bins), case.key)


def spread(case: Comparison) -> float:
    """Mean over the mask of the standard deviation over the result and its repeats, all divided by one number.

    That number is the 99.5th percentile of the result inside the mask, so that a repeat that is brighter as a
    whole counts as spread. The standard deviation is the population's.
    """
    if not case.repeats:
        raise Undefined("A spread needs repeats", "there are none")
    top = float(np.percentile(case.result[case.inside], 99.5))
    if not top > 0:
        raise Undefined("The spread is in units of the result's 99.5th percentile", f"it is {top:.6g}")
    values = np.stack([data[case.inside].astype(np.float64) for data in (case.result, *case.repeats)]) / top
    return float(values.std(0).mean())


def nrmse_ct2mri(case: Comparison) -> float:
    """Root mean squared difference of the whole volumes, divided by the range of the synthetic one, as CT2MRI reports it."""
    result, truth = _published(case)
    span = float(np.ptp(result))
    if span == 0:
        raise Undefined("CT2MRI divides by the range of the synthetic volume", "it is constant")
    return float(np.sqrt(((result - truth) ** 2).mean()) / span)


def psnr_ct2mri(case: Comparison) -> float:
    """Peak signal-to-noise ratio in dB of the whole volumes, background included, data range 1, as CT2MRI reports it."""
    from skimage.metrics import peak_signal_noise_ratio

    result, truth = _published(case)
    return float("inf") if np.array_equal(result, truth) else float(peak_signal_noise_ratio(truth, result, data_range=1))


def ssim_ct2mri(case: Comparison) -> float:
    """Structural similarity of the whole volumes, background included, borders cropped, as CT2MRI reports it."""
    from skimage.metrics import structural_similarity

    result, truth = _published(case)
    if min(result.shape) < 7:
        raise Undefined("SSIM slides a window of 7 voxels along each axis", f"the volume has shape {result.shape}")
    return float(structural_similarity(truth, result, data_range=1))


def _published(case: Comparison) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    result, truth = (np.asarray(data, np.float64) for data in (case.result, case.need_truth()))
    for name, data in (("result", result), ("truth", truth)):
        if not _in_unit_range(data):
            raise Undefined("CT2MRI's numbers are those of whole volumes in 0..1", f"the {name} has other values")
    return result, truth


def _in_unit_range(data: NDArray[Any]) -> bool:
    """Whether every value is in 0..1 to rounding; NaN is not."""
    return bool(((data >= -1e-6) & (data <= 1 + 1e-6)).all())


def _joint(case: Comparison) -> NDArray[np.float64]:
    counts, _, _ = np.histogram2d(*case.pair(), bins=MI_BINS, range=((0, 1), (0, 1)))
    return np.asarray(counts / counts.sum())


def _entropy(shares: NDArray[np.float64]) -> float:
    filled = shares[shares > 0]
    return float(-(filled * np.log2(filled)).sum()) + 0.0
