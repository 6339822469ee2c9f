"""Exports of the xmodality system: what their tensors tell, what is asked, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.events import finish
from napari_harmonize.networks import NETWORKS
from napari_harmonize.networks.modality_adm import ModalityADMSettings
from napari_harmonize.networks.modality_dit import ModalityDiTSettings
from napari_harmonize.networks.modality_unet import ModalityUNetSettings
from napari_harmonize.networks.modality_uvit import ModalityUViTSettings
from napari_harmonize.translation import import_checkpoint, load, recognise
from napari_harmonize.translation.importers.xmodality import ORIENTATIONS, Answers, convert, inspect, recognises
from xmodality_export import KINDS, stored, write

every_kind = pytest.mark.parametrize("kind", KINDS)


def _file(folder: Path, kind: str, name: str = "weights.safetensors", **changes) -> Path:
    tensors = stored(kind)
    for key, value in changes.items():
        if value is None:
            del tensors[key]
        else:
            tensors[key] = value
    return write(folder / name, tensors)


@every_kind
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_kind_and_sizes_are_told_by_the_tensors(tmp_path, kind, suffix):
    path = _file(tmp_path, kind, f"weights{suffix}")
    assert recognises(path)
    assert recognise(path) == "xmodality"
    found = inspect(path)
    assert found.network == f"xmodality-{kind}"
    assert found.settings == NETWORKS[found.network].settings.tiny()
    assert found.fit.missing == found.fit.unexpected == found.fit.mis_shaped == ()
    NETWORKS[found.network].load()(found.settings).load_state_dict(found.fit.state)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("unet", ModalityUNetSettings(width=64, multipliers=(1, 1, 2, 3))),
        ("adm", ModalityADMSettings(width=12, multipliers=(1, 3), heads=3)),
        ("uvit", ModalityUViTSettings(width=8, multipliers=(1, 2, 2), heads=4, token_heads=2, depth=11, expansion=2)),
        ("dit", ModalityDiTSettings(patch=2, features=24, depth=11, heads=3, expansion=3, frequencies=6)),
    ],
)
def test_other_sizes_are_told_too(tmp_path, kind, settings):
    assert inspect(write(tmp_path / "a.safetensors", stored(kind, settings))).settings == settings


def test_layouts_of_flax_become_those_of_torch(tmp_path):
    tensors = stored("adm")
    state = inspect(write(tmp_path / "a.safetensors", tensors)).fit.state
    kernel = tensors["Conv_0/kernel"]
    assert torch.equal(state["stem.weight"], kernel.permute(3, 2, 0, 1))
    assert torch.equal(state["out.weight"][:, :, 0, 0], tensors["Dense_2/kernel"].T)
    name = "MultiHeadDotProductAttention_0"
    heads, query, out = 2, tensors[f"{name}/query/kernel"], tensors[f"{name}/out/kernel"]
    x = torch.randn(5, len(query), generator=torch.Generator().manual_seed(0))
    ours = x @ state["encoder.0.attend.attention.query.weight"].T
    torch.testing.assert_close(ours.reshape(5, heads, -1), torch.einsum("nf,fhd->nhd", x, query))
    torch.testing.assert_close(
        x @ state["encoder.0.attend.attention.out.weight"].T, torch.einsum("nhd,hdf->nf", x.reshape(5, heads, -1), out)
    )
    assert torch.equal(state["encoder.0.attend.attention.key.bias"], tensors[f"{name}/key/bias"].flatten())


def test_the_name_of_the_collection_is_cut_off(tmp_path):
    tensors = {f"params/{key}": value for key, value in stored("dit").items()}
    assert inspect(write(tmp_path / "a.npz", tensors)).fit.missing == ()


def test_narrow_numbers_become_float32(tmp_path):
    tensors = {key: value.bfloat16() for key, value in stored("unet").items()}
    assert all(value.dtype == torch.float32 for value in inspect(write(tmp_path / "a.safetensors", tensors)).fit.state.values())


@pytest.mark.parametrize("kind", ["adm", "uvit", "dit"])
def test_recipe_of_a_denoiser(tmp_path, kind):
    recipe = convert(_file(tmp_path, kind)).recipe
    assert (recipe.path, recipe.objective, recipe.radius, recipe.conditioning) == ("log-snr", "velocity", 0, ("source",))
    assert recipe.path_settings["schedule"] == "cosine"
    assert (recipe.defaults.sampler, recipe.defaults.steps, recipe.defaults.clip) == ("ddpm", 128, True)
    assert recipe.defaults.consistency == "none"
    assert (recipe.target.meaning, recipe.target.low, recipe.target.high, recipe.target.modality) == ("HU", -50, 350, "CTA")
    assert recipe.orientation == "SLP"
    assert [name for name, _ in recipe.steps] == ["strip_flat_slices", "resample_slices", "scale_slices", "pad_slices"]
    assert dict(recipe.steps)["resample_slices"] == {"size": (256, 256)}


def test_recipe_of_the_direct_network(tmp_path):
    recipe = convert(_file(tmp_path, "unet")).recipe
    assert (recipe.path, recipe.objective, recipe.conditioning) == ("direct", "clean", ())
    assert (recipe.defaults.sampler, recipe.defaults.steps) == ("one-pass", 1)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_borders_grow_at_the_end_of_the_file_s_own_axes(tmp_path, orientation):
    recipe = convert(_file(tmp_path, "adm"), orientation=orientation, procedure="full resolution").recipe
    assert recipe.orientation == f"S{orientation[:2]}"
    steps = dict(recipe.steps)
    assert "resample_slices" not in steps
    assert steps["pad_slices"] == {"value": 0.5, "multiple": 8, "ends": "".join(sorted(orientation, key="LRPAIS".index))}


@pytest.mark.parametrize("schedule", ["shifted-cosine", "sigmoid"])
def test_the_schedule_is_swappable_after_training(tmp_path, schedule):
    assert convert(_file(tmp_path, "dit"), schedule=schedule).recipe.path_settings["schedule"] == schedule


@every_kind
def test_the_card_names_what_the_code_does_differently(tmp_path, kind):
    found = convert(_file(tmp_path, kind))
    failures = " ".join(found.card.failures)
    assert ("one row of a slice at a time" in failures) == (kind in ("adm", "uvit"))
    assert ("no residual connection" in failures) == (kind != "dit")
    assert ("flicker" in failures) == (kind != "unet")
    assert ("not of the training size" in failures) == (kind == "dit")
    assert ("on a processor choose ddim" in failures) == (kind != "unet")
    assert "another size than the published one" in found.card.data
    assert found.card.stripped is False
    assert (found.card.from_contrasts, found.card.to_contrasts) == (("TOF",), ("CTA",))


def test_what_nobody_confirmed_is_assumed(tmp_path):
    path = _file(tmp_path, "adm")
    assumed = " ".join(convert(path).assumed)
    assert all(part in assumed for part in ("L, P, S", "256 x 256", "velocity", "cosine", "-50 to 350 HU", "from TOF", "to CTA"))
    assert convert(path, **vars(Answers())).assumed == ()


@pytest.mark.parametrize("answers", [{"window_low": 400.0}, {"orientation": "SLP"}, {"heads": 4}, {"schedule": "laplace"}])
def test_answers_that_make_no_sense_are_refused(tmp_path, answers):
    with pytest.raises(SettingsError):
        convert(_file(tmp_path, "adm"), **answers)


def test_gaps_are_listed_by_the_file_s_own_names(tmp_path):
    changes = {"Dense_2/bias": None, "RMSNorm_0/scale": torch.zeros(7), "opt_state/0/count": torch.zeros(1)}
    path = _file(tmp_path, "adm", **changes)
    found = inspect(path).fit
    assert found.missing == ("Dense_2/bias",)
    assert found.unexpected == ("opt_state/0/count",)
    assert found.mis_shaped == ("RMSNorm_0/scale (7,) instead of (16,)",)
    with pytest.raises(ModelError, match=r"missing: Dense_2/bias; mis-shaped: RMSNorm_0/scale \(7,\)"):
        convert(path)


def test_left_over_tensors_are_named(tmp_path):
    found = convert(_file(tmp_path, "unet", **{"opt_state/count": torch.zeros(1)}))
    assert "opt_state/count" in found.notes[0]


@pytest.mark.parametrize(
    ("kind", "key"), [("adm", "Conv_0/kernel"), ("uvit", "Transformer_0/SwiGLU_0/Dense_1/kernel"), ("dit", "Dense_0/kernel")]
)
def test_too_few_tensors_are_refused(tmp_path, kind, key):
    with pytest.raises(ModelError, match=r"lacks|none of them"):
        inspect(_file(tmp_path, kind, **{key: None}))


def test_shapes_that_make_no_network_are_refused(tmp_path):
    path = _file(tmp_path, "unet", **{"Conv_0/kernel": torch.zeros(7, 7, 1, 48)})
    with pytest.raises(ModelError, match=r"make a network|missing|mis-shaped"):
        convert(path)


def test_files_of_other_systems_are_not_recognised(tmp_path):
    assert not recognises(write(tmp_path / "a.safetensors", {"denoise_fn.out.2.weight": torch.zeros(2)}))
    assert not recognises(write(tmp_path / "b.npz", {"cls": torch.zeros(2)}))
    with pytest.raises(ModelError, match="none of them"):
        inspect(tmp_path / "b.npz")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pkl", ".pickle"])
def test_pickled_states_are_never_opened(tmp_path, suffix):
    path, trap = tmp_path / f"state{suffix}", tmp_path / "sprung"
    path.write_bytes(pickle.dumps({"params": Trap(trap)}))
    for read in (recognises, inspect, convert, recognise):
        with pytest.raises(ModelError, match=r"could run code.*is a pickle.*safetensors"):
            read(path)
    assert not trap.exists()


def test_pickles_inside_archives_are_never_opened(tmp_path):
    trap = tmp_path / "sprung"
    held = np.empty(1, object)
    held[0] = Trap(trap)
    np.savez(tmp_path / "a.npz", **{"Conv_0/kernel": held}, allow_pickle=True)
    with pytest.raises(ModelError, match="read to its end"):
        recognises(tmp_path / "a.npz")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content"), [("a.npz", b"PK\x03\x04zz"), ("b.npz", b""), ("c.npz", b"abc"), ("d.safetensors", b"\x10" + bytes(20))]
)
def test_damaged_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"read to its end.*" + name):
        recognises(tmp_path / name)


@every_kind
def test_an_imported_package_loads(tmp_path, kind):
    path = _file(tmp_path, kind)
    package = finish(import_checkpoint(path, tmp_path / "package"))
    again = load(tmp_path / "package")
    assert again.hash == package.hash
    state = inspect(path).fit.state
    assert all(torch.equal(value, state[key]) for key, value in again.load_network().state_dict().items())
