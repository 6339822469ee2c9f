"""Imported checkpoints of the spine system through the real job, on tiny networks."""

from __future__ import annotations

import numpy as np
import pytest

from graf_checkpoint import OPTIONS_2D, OPTIONS_3D, OPTIONS_GAN, behind, diffusion_state, lightning, raw, weights
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import finish
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, import_checkpoint, prepare_case, translate
from napari_harmonize.translation.engine import LAYOUTS
from napari_harmonize.translation.importers import graf
from napari_harmonize.volumes import Volume, from_array


def _spine(shape=(7, 13, 22), spacing=(1.6, 0.9, 1.3)) -> Volume:
    """An MR in another order than the model's, with a corner of air."""
    data = np.random.default_rng(3).random(shape).astype(np.float32) * 300 + 20
    data[:2] = 0
    turn = np.array([[0, 0, 1.0], [-1, 0, 0], [0, 1, 0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    return from_array(data, affine, name="spine")


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch):
    """Slices as small as the tiny networks can see."""
    monkeypatch.setattr(graf, "WINDOW", 16)


def _flat(tmp_path, **changes):
    return lightning(tmp_path / "flat.ckpt", diffusion_state(), OPTIONS_2D | {"learned_variance": True} | changes)


def _volume(tmp_path, **changes):
    return raw(tmp_path / "volume.pt", diffusion_state("unet-3d"), OPTIONS_3D | changes)


def _paired(tmp_path):
    return lightning(tmp_path / "gan.ckpt", behind("gan.", weights("pix2pix-unet")), OPTIONS_GAN, "loader.arguments.Cut_Option")


def _unpaired(tmp_path):
    state = behind("gan.", weights("resnet-generator"))
    return lightning(tmp_path / "cut.ckpt", state, OPTIONS_GAN | {"model_name": "resnet"}, "loader.arguments.Cut_Option")


def _paired_3d(tmp_path):
    return raw(tmp_path / "gan3d.pt", behind("generator.", weights("unet-3d", source_channels=0, timed=False)), OPTIONS_3D)


def _package(tmp_path, make, **answers):
    return finish(import_checkpoint(make(tmp_path), tmp_path / "package", **answers))


def _run(package, **changes):
    steps = {} if package.recipe.path == "direct" else {"steps": 2}
    asked = replace(package.recipe.defaults.settings(), device="cpu", **{**steps, **changes})
    return finish(translate(Case(_spine()), asked, package))


@pytest.mark.parametrize("make", [_flat, _volume, _paired, _unpaired, _paired_3d])
def test_an_imported_model_runs_at_once(tmp_path, make):
    package = _package(tmp_path, make)
    result, source = _run(package), _spine()
    assert result.volume.shape == source.shape
    assert np.array_equal(result.volume.affine, source.affine)
    assert result.volume.meaning == "HU"
    assert np.isfinite(result.volume.data).all()
    if package.recipe.target.bounded:
        assert -1000 <= result.volume.data.min() < result.volume.data.max() <= 1000


def test_the_seed_matters_to_a_diffusion_network_alone(tmp_path):
    package = _package(tmp_path, _volume)
    first, again, other = (_run(package, seed=seed).volume.data for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    generator = finish(import_checkpoint(_paired(tmp_path), tmp_path / "generator"))
    assert np.array_equal(_run(generator, seed=0).volume.data, _run(generator, seed=1).volume.data)


def test_guidance_needs_dropped_conditions(tmp_path):
    package = _package(tmp_path, _flat)
    assert package.recipe.dropped
    guided, plain = (_run(package, guidance=weight).volume.data for weight in (1.0, 0.0))
    assert not np.array_equal(guided, plain)
    volumes = finish(import_checkpoint(_volume(tmp_path), tmp_path / "volumes"))
    with pytest.raises(SettingsError, match="trained with dropped conditions"):
        _run(volumes, guidance=1.0)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "ddpm-learned", "ddim-graf"])
def test_other_samplers_walk_it_too(tmp_path, sampler):
    result = _run(_package(tmp_path, _flat), sampler=sampler)
    assert np.isfinite(result.volume.data).all()


def test_small_volumes_are_seen_whole_and_large_ones_in_patches(tmp_path):
    whole = _package(tmp_path, _volume, patch=(64, 64, 64))
    parts = finish(import_checkpoint(tmp_path / "volume.pt", tmp_path / "parts", patch=(8, 8, 8)))
    # many steps in record: one evaluation of the whole each, or one of every patch
    counted = [_run(package, steps=2).run.facts["evaluations"] for package in (whole, parts)]
    assert counted[0] < counted[1]


def test_both_memory_layouts_of_a_graphics_card_fit_their_networks(tmp_path):
    """What is done on CUDA alone, tried where there is none: a network of volumes refuses the layout of slices."""
    for make, dimensions in ((_volume, 3), (_flat, 2)):
        package = finish(import_checkpoint(make(tmp_path), tmp_path / f"of-{dimensions}"))
        assert package.recipe.dimensions == dimensions
        network = package.load_network().to(memory_format=LAYOUTS[dimensions])
        assert network.init_conv.weight.is_contiguous(memory_format=LAYOUTS[dimensions])


def test_a_volume_is_prepared_as_published(tmp_path):
    """Turned to R, I, P, divided by its maximum, negatives to 0, every axis grown by mid-grey with the larger half in front."""
    package = _package(tmp_path, _volume)
    data = np.random.default_rng(0).random((6, 7, 9)).astype(np.float32) * 50 - 5
    prepared = prepare_case(Case(from_array(data, np.eye(4), name="spine")), package)
    expected = np.clip(data.transpose(0, 2, 1)[:, ::-1, ::-1] / data.max(), 0, None)
    border = [(-(-(2 - size % 2) // 2), (2 - size % 2) // 2) for size in expected.shape]
    assert np.allclose(prepared.slices, np.pad(expected, border, constant_values=0.5), atol=1e-6)


def test_slices_are_prepared_as_for_training(tmp_path):
    """Turned the same way, slices keep their thickness, in plane at 1 mm; divided by the volume's maximum, black around them."""
    package = _package(tmp_path, _flat)
    data = np.random.default_rng(0).random((3, 10, 9)).astype(np.float32) * 50 + 5
    prepared = prepare_case(Case(from_array(data, np.diag([3.0, 1.0, 1.0, 1.0]), name="spine")), package)
    assert prepared.slices.shape == (3, 16, 16)
    expected = data.transpose(0, 2, 1)[:, ::-1, ::-1] / data.max()
    rows, columns = np.flatnonzero(prepared.slices[0].any(1)), np.flatnonzero(prepared.slices[0].any(0))
    inside = prepared.slices[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert np.allclose(inside, expected, atol=1e-6)
