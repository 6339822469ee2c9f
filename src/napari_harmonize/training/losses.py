"""What training minimises: distances between a prediction and its target, weighted by time and place.

Symbols: x0 clean image, y source, eps noise, SNR = a^2 / s^2, v variance fraction, beta and beta~ the two variances between which a
learned one lies.

Papers: Hang et al., "Efficient diffusion training via min-SNR weighting strategy", ICCV 2023; Nichol and Dhariwal, ICML 2021
(learned variance); Wang et al., IEEE TIP 2004 (SSIM).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from napari_harmonize.diffusion.path import Coefficients

Distance = Callable[["Tensor", "Tensor"], "Tensor"]

LEAST = 60
"""Voxels of a lesion, and of what surrounds it, whose contrast is told."""

LOSSES: dict[str, Distance] = {
    "l1": lambda prediction, target: (prediction - target).abs(),
    "l2": lambda prediction, target: (prediction - target).square(),
}


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean over pixels of each item, weighted.

    Parameters
    ----------
    values, weight : (B, C, ...) Tensor
        What is averaged, and how much each pixel counts.

    Returns
    -------
    (B,) Tensor
    """
    axes = tuple(range(1, values.ndim))
    return (values * weight).sum(axes) / weight.sum(axes).clamp_min(1e-6)


def min_snr(c: Coefficients[Tensor], objective: str, gamma: float) -> Tensor:
    """Weight of each item so that easy times do not drown the others (Hang et al. 2023, equation 8).

    ``min(SNR, gamma)`` in terms of the clean image, divided by what the objective's own error is worth: SNR for the noise,
    SNR + 1 for the velocity, 1 for the clean image.

    Parameters
    ----------
    c : Coefficients
        Weights (B, 1, ...) of the path; a^2 + s^2 is 1.
    objective : str
        "noise", "velocity" or "clean".
    gamma : float
        Largest SNR that counts.

    Returns
    -------
    (B,) Tensor
    """
    snr = (c.a / c.s).square().flatten(1)[:, 0]
    worth = {"noise": snr, "velocity": snr + 1, "clean": torch.ones_like(snr)}[objective]
    return snr.clamp_max(gamma) / worth


def ssim_loss(prediction: Tensor, target: Tensor, data_range: float) -> Tensor:
    """1 - SSIM of each item, with a window of 7 pixels along rows and columns.

    Parameters
    ----------
    prediction, target : (B, C, ..., H, W) Tensor
        Images.
    data_range : float
        Span of their values.

    Returns
    -------
    (B,) Tensor
    """
    one, other = (image.reshape(len(image), -1, *image.shape[-2:]).float() for image in (prediction, target))

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 7, stride=1)

    mu, nu = mean(one), mean(other)
    var, war, cov = mean(one * one) - mu * mu, mean(other * other) - nu * nu, mean(one * other) - mu * nu
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    index = (2 * mu * nu + c1) * (2 * cov + c2) / ((mu * mu + nu * nu + c1) * (var + war + c2))
    return 1 - index.flatten(1).mean(1)


def contrast_loss(prediction: Tensor, target: Tensor, lesion: Tensor, inside: Tensor) -> Tensor:
    """Error of the contrast between the lesions of each item and what surrounds them.

    Voxel by voxel, a network that is not sure shows a lesion at half its contrast; their mean it can get right.

    Parameters
    ----------
    prediction, target : (B, C, H, W) Tensor
        Images.
    lesion : (B, C, H, W) Tensor
        Share 0..1 of tissue that is diseased.
    inside : (B, C, H, W) Tensor
        1 where there is brain, else 0.

    Returns
    -------
    (B,) Tensor
        Difference between the prediction's contrast and the target's, a contrast being the mean of the lesions less that of
        what lies 3 to 7 pixels from them; 0 where either has fewer than 60 voxels.
    """
    there = (lesion > 0.5).to(target.dtype) * inside
    around = (F.max_pool2d(there, 15, 1, 7) - F.max_pool2d(there, 5, 1, 2)).clamp_min(0) * inside
    counts = [part.flatten(1).sum(1) for part in (there, around)]

    def contrast(image: Tensor) -> Tensor:
        one, other = ((image * part).flatten(1).sum(1) / count.clamp_min(1) for part, count in zip((there, around), counts, strict=True))
        return one - other

    return (contrast(prediction) - contrast(target)).abs() * (torch.stack(counts) >= LEAST).all(0)


def variance_loss(fraction: Tensor, error: Tensor, limits: tuple[Tensor, Tensor]) -> Tensor:
    """Kullback-Leibler divergence, in bits for each pixel, of a step whose variance lies between two limits.

    Between Gaussians of the true posterior (variance ``low``) and of the model (log-variance between the two limits by the
    fraction, mean off by ``error``), Nichol and Dhariwal 2021, equations 14 and 15. The error is not followed by the gradient.

    Parameters
    ----------
    fraction : (B, C, ...) Tensor
        v, -1 for the smaller limit to 1 for the larger.
    error : (B, C, ...) Tensor
        Difference of the two means.
    limits : (low, high)
        Posterior variance and variance of the forward step, (B, 1, ...) each.

    Returns
    -------
    (B,) Tensor
    """
    low, high = limits
    share = (fraction + 1) / 2
    log_variance = share * high.log() + (1 - share) * low.log()
    divergence = 0.5 * (log_variance - low.log() + (low + error.detach().square()) / log_variance.exp() - 1)
    return divergence.flatten(1).mean(1) / math.log(2)
