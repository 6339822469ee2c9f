"""Schedules, time lists and step variances against those of the published systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from graf_set import SCHEDULE, folder_root, params
from napari_harmonize.diffusion.schedules import cosine_beta, linear_beta, log_snr
from napari_harmonize.diffusion.settings import LOG_SNRS, CosineBetaSettings, LinearBetaSettings, LogSnrSettings
from xmodality_set import arrays, every_set

if TYPE_CHECKING:
    from napari_harmonize.diffusion.path import Indexed


def _path(name: str, steps: int) -> Indexed:
    return cosine_beta(CosineBetaSettings(steps)) if name == "cosine" else linear_beta(LinearBetaSettings.scaled(steps))


def _buffers() -> list:
    found = sorted(path for path in folder_root().rglob("schedule.npz") if (path.parent / "registration.npz").is_file())
    items = [(path, name) for path in found for name in sorted({key.split(".")[0] for key in np.load(path).files})]
    return params(items, [name for _, name in items])


@pytest.mark.parametrize("buffers", _buffers())
def test_buffers_of_the_spine_system(buffers):
    file, name = buffers
    kind, steps = name.split("_T")
    with np.load(file) as found:
        theirs = {key.split(".")[1]: values for key, values in found.items() if key.startswith(f"{name}.")}
    path = _path(kind, int(steps))
    np.testing.assert_allclose(path.a, theirs["sqrt_a_bar"], atol=SCHEDULE)
    np.testing.assert_allclose(path.s, theirs["sqrt_one_minus_a_bar"], atol=SCHEDULE)
    before = np.append(0.0, path.s[:-1])
    posterior = np.asarray([path.one_step_variance(t) for t in range(path.T)]) * (before / path.s) ** 2
    # their pi has seven digits, which shows where the cosine is nearly 0
    np.testing.assert_allclose(posterior, theirs["posterior_variance"], atol=SCHEDULE, rtol=2e-5)


def _settings(name: str) -> LogSnrSettings | None:
    """Ours for the name of a published schedule; None for one that no sampler uses."""
    kind, _, rest = name.partition("_")
    if kind == "cosine" and rest.startswith("shifted_d"):
        return LogSnrSettings("shifted-cosine", size=int(rest.removeprefix("shifted_d")))
    if kind == "sigmoid":
        return LogSnrSettings("sigmoid", tau=float(rest.removeprefix("tau")))
    return LogSnrSettings(kind) if kind in LOG_SNRS and not rest else None


@every_set
def test_log_snr_schedules(folder):
    found, seen = arrays(folder / "schedules.npz"), set()
    for key in found:
        name = key.removesuffix("_logsnr")
        settings = _settings(name) if name != key else None
        if settings is not None:
            seen.add(settings.schedule)
            _compare(log_snr(settings), found["t"].astype(np.float64), *(found[f"{name}_{part}"] for part in ("logsnr", "alpha", "sigma")))
    assert seen == set(LOG_SNRS)


def _compare(path, t, theirs, alpha, sigma):
    ours, usable = path.log_snr(t), np.isfinite(theirs)
    assert usable.sum() > 1
    limits = {"rtol": 1e-4, "atol": 5e-5}
    weights = path.weights(t)
    # below, float32 leaves few digits of the signal the published curve is made from
    resolved = usable & (alpha > 1e-4)
    np.testing.assert_allclose(ours[resolved], theirs[resolved], **limits)
    np.testing.assert_allclose(weights.a, alpha, **limits)
    np.testing.assert_allclose(weights.s, sigma, **limits)


@every_set
def test_the_grid_of_the_continuous_samplers(folder):
    found = arrays(folder / "schedules.npz")
    path = log_snr(LogSnrSettings())
    times, end = path.grid(len(found["sampling_grid_t"]) - 1)
    assert [*times, 0.0] == pytest.approx(found["sampling_grid_t"].tolist(), abs=1e-6)
    theirs = found["sampling_grid_logsnr_cosine"]
    assert [path.told(t) for t in times] == pytest.approx(theirs[:-1].tolist(), abs=5e-5)
    assert 2 * np.log(end.a / end.s) == pytest.approx(float(theirs[-1]), abs=5e-5)
