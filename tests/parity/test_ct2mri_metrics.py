"""The published whole-volume numbers against those the published code printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_harmonize.metrics import evaluate

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def cases(reference: Path) -> list[tuple[str, np.ndarray, np.ndarray, dict[str, Any]]]:
    """Every published measurement: name, result, truth, numbers."""
    found = []
    for path in sorted(reference.rglob("config.json")):
        config = json.loads(path.read_text())
        if not {"unet", "bridge", "metrics"} <= config.keys() or not (path.parent / "metrics.npz").is_file():
            continue
        with np.load(path.parent / "metrics.npz") as arrays:
            found += [(name, arrays[f"syn_{name}_xyz"], arrays["raw_xyz"], numbers) for name, numbers in config["metrics"].items()]
    if not found:
        pytest.skip("no CT2MRI set with metrics in the reference folder")
    return found


def test_numbers_are_the_published_ones(cases):
    for case, result, truth, numbers in cases:
        scores = evaluate(result, truth, metrics=[f"{name}-ct2mri" for name in numbers])
        ours = {score.name.removesuffix("-ct2mri"): score.value for score in scores}
        assert ours == pytest.approx(numbers, abs=TOLERANCE), case


def test_the_usual_error_is_another_number_under_another_name(cases):
    for _, result, truth, numbers in cases:
        span = np.ptp(result) / np.ptp(truth)
        ours = evaluate(result, truth, metrics=["nrmse-ct2mri"])[0].value * span
        swapped = evaluate(truth, result, metrics=["nrmse-ct2mri"])[0].value
        assert ours == pytest.approx(swapped, abs=TOLERANCE)
        assert numbers["nrmse"] * span == pytest.approx(swapped, abs=TOLERANCE)
