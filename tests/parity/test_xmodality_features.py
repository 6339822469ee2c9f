"""Numbers and features the angiography system reports: slices, volumes, vision transformer, Fréchet distance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_harmonize.errors import ModelError
from napari_harmonize.findings.vit import load_vit
from napari_harmonize.metrics.angiography import slice_scores, volume_scores
from napari_harmonize.metrics.frechet import frechet_distance
from xmodality_set import arrays, every_set, worst

RELATIVE = 1e-4
FEATURE = 1e-4
PARAMS, FEATURES, METRICS = "vit_small_params.npz", "vit_small_features.npz", "metrics.npz"


def _there(folder, name):
    if not (folder / name).is_file():
        pytest.skip(f"the set {folder.name} has no {name}")
    return folder / name


@every_set
def test_features_of_the_transformer(folder):
    network, found = load_vit(_there(folder, PARAMS)), arrays(_there(folder, FEATURES))
    config = json.loads(str(found["config"]))
    assert network.layers == config["layers"]
    pictures = found["image01_u8"][..., 0] / 255
    assert worst(network.features(pictures), found["features"]) <= FEATURE
    patches = round((found["pos_embedding_interpolated"].shape[1] - 1) ** 0.5)
    assert worst(network.positions((patches, patches)), found["pos_embedding_interpolated"]) <= FEATURE


@every_set
def test_a_transformer_with_other_arrays_is_refused(folder, tmp_path):
    stored = arrays(_there(folder, PARAMS))
    wrong = {**stored, "cls": stored["cls"][..., :-1], "surplus": np.zeros(2)}
    del wrong["embedding/bias"]
    np.savez(tmp_path / "wrong.npz", **wrong)
    with pytest.raises(ModelError, match=r"embedding/bias is missing.*surplus is unexpected.*cls is"):
        load_vit(tmp_path / "wrong.npz")
    (tmp_path / "none.npz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="npz file"):
        load_vit(tmp_path / "none.npz")


@every_set
def test_frechet_distance(folder):
    found = arrays(_there(folder, METRICS))
    assert frechet_distance(found["fd_feat_model"], found["fd_feat_data"]) == pytest.approx(float(found["fd"]), rel=RELATIVE)


@every_set
def test_scores_of_slices_and_volumes(folder):
    found = arrays(_there(folder, METRICS))
    made, truth = found["y_hat_2d"][..., 0], found["y_2d"][..., 0]
    for name, value in slice_scores(made, truth).items():
        assert value == pytest.approx(float(found[f"{name}_2d"]), rel=RELATIVE)
    for number, pair in enumerate(zip(made, truth, strict=True)):
        one = slice_scores(*(data[None] for data in pair))
        assert one["ssim"] == pytest.approx(float(found["ssim_2d_per_image"][number]), rel=RELATIVE)
        assert one["psnr"] == pytest.approx(float(found["psnr_2d_per_image"][number]), rel=RELATIVE)
    for name, value in volume_scores(found["y_hat_3d"], found["y_3d"]).items():
        assert value == pytest.approx(float(found[f"{name}_3d"]), rel=RELATIVE)
