"""Checkpoints of the spine system: every form they come in, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch

from graf_checkpoint import OPTIONS_2D, OPTIONS_3D, OPTIONS_GAN, behind, diffusion_state, lightning, option_object, raw, weights
from napari_harmonize.diffusion import PATHS
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.events import Note, finish
from napari_harmonize.settings import from_json
from napari_harmonize.translation import IMPORTERS, import_checkpoint, load, recognise
from napari_harmonize.translation.importers.files import Options, load_tensors
from napari_harmonize.translation.importers.graf import convert, inspect, recognises
from napari_harmonize.volumes import Meaning

if TYPE_CHECKING:
    from pathlib import Path


def _flat(tmp_path: Path, **changes) -> Path:
    return lightning(tmp_path / "last.ckpt", diffusion_state(), OPTIONS_2D | changes)


def _volume(tmp_path: Path, **changes) -> Path:
    return raw(tmp_path / "T2_to_CT.pt", diffusion_state("unet-3d"), OPTIONS_3D | changes)


def _same(found, wanted) -> bool:
    return set(found) == set(wanted) and all(torch.equal(found[name], value) for name, value in wanted.items())


def test_a_training_file_of_slices(tmp_path):
    path = _flat(tmp_path)
    assert recognise(path) == "graf"
    found = convert(path)
    recipe = found.recipe
    assert _same(found.state, weights("sa-unet", 1))
    assert not _same(found.state, weights("sa-unet", 2))
    assert any("averaged weights" in note for note in found.notes)
    assert (recipe.network, recipe.path, recipe.objective, recipe.radius) == ("sa-unet", "cosine-beta", "clean", 0)
    assert (recipe.axis, recipe.orientation, recipe.conditioning, recipe.patch) == ("sagittal", "RIP", ("source",), ())
    assert (recipe.dropped, recipe.learns_variance, recipe.low) == (True, True, -1.0)
    assert (recipe.target.meaning, recipe.target.low, recipe.target.high, recipe.target.bounded) == ("HU", -1000, 1000, True)
    assert [name for name, _ in recipe.steps] == ["resample", "divide_by_maximum", "pad_to_multiple"]
    defaults = recipe.defaults
    assert (defaults.sampler, defaults.steps, defaults.eta, defaults.spacing) == ("ddim-graf", 20, 1.0, "strided")
    assert (defaults.guidance, defaults.clip, defaults.consistency) == (0.0, False, "none")
    assert found.card.from_contrasts == ("T1",)
    assert found.card.to_contrasts == ("CT",)
    assert (found.card.anatomy, found.card.stripped) == ("spine", None)
    assert found.assumed == ("Slice, row and column rise to RIP.",)
    assert any("wrong sign" in sentence for sentence in found.card.failures)


def test_noise_mode_takes_the_right_rule(tmp_path):
    recipe = convert(_flat(tmp_path, image_mode=False, linear=True, timesteps=100)).recipe
    assert (recipe.objective, recipe.defaults.sampler, recipe.path) == ("noise", "ddim", "linear-beta")
    settings = from_json(PATHS["linear-beta"].settings, recipe.path_settings)
    assert (settings.steps, settings.first, settings.last) == (100, pytest.approx(1e-3), pytest.approx(0.2))


def test_the_released_form_of_volumes(tmp_path):
    path = _volume(tmp_path)
    assert recognise(path) == "graf"
    found = convert(path)
    recipe = found.recipe
    assert _same(found.state, weights("unet-3d", 1))
    assert (recipe.network, recipe.objective, recipe.conditioning) == ("unet-3d", "clean", ("source", "position"))
    assert (recipe.patch, recipe.dropped, recipe.target.bounded) == ((8, 16, 16), False, False)
    assert recipe.steps[-1] == ("pad_volume", {"value": 0.5, "grow": True, "larger": "LAS"})
    assert (recipe.defaults.steps, recipe.defaults.consistency) == (25, "co-prediction")
    assert found.card.from_contrasts == ("T2",)
    assert any("mid-grey" in sentence for sentence in found.card.failures)
    needed = convert(path, padding="needed", orientation="RPI", patch=(16, 16, 16))
    assert needed.recipe.steps[-1] == ("pad_volume", {"value": 0.0, "grow": False, "larger": "LAS"})
    assert needed.recipe.orientation == "RPI"
    assert "The file says patch is (8, 16, 16); the answer [16, 16, 16] was taken." in needed.notes


def test_a_training_file_of_volumes(tmp_path):
    state = diffusion_state("unet-3d", "diffusion_net.")
    options = {name: value for name, value in OPTIONS_3D.items() if name not in ("condition_types", "target_shape3D")}
    rows = {"input_rows": ["T2w"], "output_rows": ["CT"], "target_patch_shape": [16, 8, 8]}
    found = convert(lightning(tmp_path / "3d.ckpt", state, options | rows, "utils.arguments.Diffusion_Option"))
    assert _same(found.state, weights("unet-3d", 1))
    assert found.recipe.patch == (16, 8, 8)
    assert found.card.from_contrasts == ("T2",)


def test_volumes_with_attention_are_told_by_their_names(tmp_path):
    state = behind("generator.", weights("sa-unet", dimensions=3, position=True, learns_variance=False))
    found = inspect(raw(tmp_path / "a.pt", state, None))
    assert (found.network, found.dimensions, found.direct) == ("sa-unet", 3, False)
    assert convert(tmp_path / "a.pt").recipe.conditioning == ("source", "position")


@pytest.mark.parametrize(
    ("network", "prefix", "changes"),
    [
        ("pix2pix-unet", "gan.", {}),
        ("resnet-generator", "gan.", {"halvings": 2, "blocks": 3}),
        ("sa-unet-generator", "gan.", {}),
        ("unet-3d", "generator.", {"source_channels": 0, "timed": False}),
    ],
)
def test_generators(tmp_path, network, prefix, changes):
    state = behind(prefix, weights(network, **changes)) | {"discriminator.model.0.weight": torch.zeros(1)}
    path = lightning(tmp_path / "gan.ckpt", state, OPTIONS_GAN, "loader.arguments.Cut_Option")
    assert recognise(path) == "graf"
    found = convert(path)
    recipe = found.recipe
    assert (recipe.network, recipe.path, recipe.objective) == (network, "direct", "clean")
    assert (recipe.defaults.sampler, recipe.defaults.steps) == ("one-pass", 1)
    assert found.recipe.network_settings.items() >= changes.items()
    assert any("the discriminator" in note for note in found.notes)
    assert not any("time steps" in sentence for sentence in found.assumed)


def test_what_no_option_tells_is_assumed_or_asked(tmp_path):
    path = raw(tmp_path / "bare.pt", behind("generator.", weights("sa-unet")), None)
    found = convert(path)
    assert len(found.assumed) == 7
    assert 'The network predicts "clean".' in found.assumed
    said = convert(path, objective="noise", from_contrast="T1", timesteps=500)
    assert len(said.assumed) == 4
    assert said.recipe.path_settings["steps"] == 500
    named = tmp_path / "elsewhere.yaml"
    raw(tmp_path / "elsewhere.pt", {"x": torch.zeros(1)}, OPTIONS_2D)
    assert convert(path, options=str(named)).recipe.dropped


def test_the_schedule_is_told_by_its_buffers(tmp_path):
    from napari_harmonize.translation.importers.graf_layout import schedule

    path = schedule("linear", 200)
    betas = torch.from_numpy(1 - path.a**2 / torch.cat([torch.ones(1), torch.from_numpy(path.a[:-1] ** 2)]).numpy()).float()
    state = behind("generator.", weights("sa-unet")) | {"constants.betas": betas}
    assert inspect(raw(tmp_path / "b.pt", state, None)).told == {"schedule": "linear", "timesteps": 200}
    with pytest.raises(ModelError, match="A schedule is one of cosine, linear"):
        inspect(raw(tmp_path / "c.pt", state | {"constants.betas": betas * 2}, None))


@pytest.mark.parametrize("fold", [1, 2])
def test_folded_pixels_are_told_by_the_options(tmp_path, fold):
    state = behind("generator.", weights("sa-unet", patch=fold))
    assert inspect(raw(tmp_path / "f.pt", state, OPTIONS_2D | {"patch_size": fold})).settings.patch == fold


@pytest.mark.parametrize("multipliers", [(1.0, 1.5, 3.0), (1.0,), (2.0, 1.0)])
def test_widths_are_told_by_the_tensors(tmp_path, multipliers):
    state = behind("generator.", weights("unet-3d", width=16, multipliers=multipliers))
    assert inspect(raw(tmp_path / "w.pt", state, None)).settings.multipliers == multipliers


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label_emb.weight": torch.zeros(3, 32)}, "class label"),
        ({"downs.0.0.mlp.1.weight": torch.zeros(16, 40)}, "embedding vector"),
        ({"init_conv.weight": torch.zeros(8, 4, 7, 7)}, "3 channels beside"),
        ({"final_conv.weight": torch.zeros(3, 8, 1, 1)}, "predicts 3"),
        ({"mid_block1.block1.proj.weight": torch.zeros(16, 16, 5, 5)}, r"mis-shaped: mid_block1.block1.proj.weight"),
        ({"downs.0.0.block1.proj.weight": torch.zeros(9, 8, 3, 3)}, "width divisible by 8"),
    ],
)
def test_networks_that_cannot_run_here_are_refused(tmp_path, changes, sentence):
    path = raw(tmp_path / "x.pt", behind("generator.", weights("sa-unet") | changes), None)
    with pytest.raises(ModelError, match=sentence):
        convert(path)


def test_missing_and_surplus_tensors_are_named(tmp_path):
    state = weights("sa-unet") | {"more.weight": torch.zeros(1)}
    assert (
        "Left out, because the network has no such tensor: more.weight."
        in convert(raw(tmp_path / "m.pt", behind("generator.", state), None)).notes
    )
    del state["mid_attn.fn.norm.g"]
    with pytest.raises(ModelError, match=r"missing: mid_attn\.fn\.norm\.g"):
        convert(raw(tmp_path / "m.pt", behind("generator.", state), None))


def test_other_intensities_are_refused(tmp_path):
    colour = {"target": {"mean": [0.4, 0.5], "std": [0.5, 0.5]}, "conditional": {"mean": [0.5], "std": [0.5]}}
    with pytest.raises(ModelError, match="2 x - 1"):
        convert(_flat(tmp_path, normalize=colour))
    half = {"target": {"mean": [0.5], "std": [0.5]}, "conditional": {"mean": [0.5], "std": [0.5]}}
    assert convert(_flat(tmp_path, normalize=half)).recipe.network == "sa-unet"


def test_an_optimiser_alone_is_refused(tmp_path):
    torch.save({"optimizer_states": [{"state": {}}], "lr_schedulers": []}, tmp_path / "o.ckpt")
    assert recognises(tmp_path / "o.ckpt")
    with pytest.raises(ModelError, match="optimiser only"):
        convert(tmp_path / "o.ckpt")


def test_options_arrive_inert(tmp_path):
    bag = load_tensors(_flat(tmp_path))["hyper_parameters"]["opt"]
    assert type(bag) is Options
    assert vars(bag) == OPTIONS_2D


class Trap:
    """Code that a careless reader would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_every_other_class_is_refused(tmp_path):
    with option_object("loader.arguments.Train_Option", OPTIONS_2D) as other:
        torch.save({"state_dict": diffusion_state(), "hyper_parameters": {"opt": other}}, tmp_path / "other.ckpt")
    with pytest.raises(ModelError, match=r"Only tensors are read.*loader\.arguments\.Train_Option"):
        recognise(tmp_path / "other.ckpt")
    trap = tmp_path / "sprung"
    with pytest.raises(ModelError, match="Only tensors are read"):
        convert(lightning(tmp_path / "trap.ckpt", diffusion_state(), OPTIONS_2D | {"lr": Trap(trap)}))
    assert not trap.exists()


def test_yaml_that_asks_for_objects_is_refused(tmp_path):
    path = raw(tmp_path / "y.pt", behind("generator.", weights("sa-unet")), OPTIONS_2D)
    for text in ("a: !!python/object/apply:os.getcwd []", "- a list", "a: [", "\x00"):
        path.with_suffix(".yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ModelError, match=r"named values in a \.yaml file.*y\.yaml"):
            convert(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"timesteps": "many"},
        {"image_dropout": [1]},
        {"target_shape3D": 3},
        {"normalize": {"mean": "x"}},
        {"patch_size": [2]},
        {"input_rows": 3, "output_rows": 3},
    ],
)
def test_options_of_other_kinds_are_refused(tmp_path, changes):
    with pytest.raises(ModelError, match="of the kinds the authors' code gives them"):
        convert(_flat(tmp_path, **changes))


def test_files_that_hold_something_else_are_not_taken(tmp_path):
    for number, content in enumerate(([1, 2], {1: torch.zeros(2)}, {"state_dict": [1]}, {"gan.model.1.weight": torch.zeros(1)})):
        torch.save(content, tmp_path / f"{number}.pt")
        assert not recognises(tmp_path / f"{number}.pt")
        with pytest.raises(ModelError, match="holds none"):
            inspect(tmp_path / f"{number}.pt")
    state = {"gan.model.1.weight": torch.zeros(4, 1, 7, 7), "gan.model.7.conv_block.6.weight": torch.zeros(4, 4, 3, 3)}
    with pytest.raises(ModelError, match="enough tensors to tell its shape"):
        inspect(raw(tmp_path / "few.pt", state, None))


def test_a_patch_fits_its_network(tmp_path):
    with pytest.raises(SettingsError, match="three sizes"):
        convert(_volume(tmp_path), patch=(16,))
    with pytest.raises(SettingsError, match="divisible by 2"):
        convert(_volume(tmp_path), patch=(16, 16, 17))


def test_unknown_answers_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="Did you mean 'objective'"):
        convert(_flat(tmp_path), objectve="noise")


@pytest.mark.parametrize(("from_contrast", "to_contrast"), [("CT", "T1"), ("T1", "T2")])
def test_other_directions(tmp_path, from_contrast, to_contrast):
    recipe = convert(_flat(tmp_path, condition_types=[to_contrast, from_contrast])).recipe
    assert (recipe.source == Meaning.HU) is (from_contrast == "CT")
    assert (recipe.target.meaning, recipe.target.modality) == ("0..1", to_contrast)
    assert recipe.steps[1][0] == ("window" if from_contrast == "CT" else "divide_by_maximum")


@pytest.mark.parametrize("make", [_flat, _volume])
def test_imported_package_loads(tmp_path, make):
    heard = []
    package = finish(import_checkpoint(make(tmp_path), tmp_path / "package"), heard.append)
    assert load(tmp_path / "package").hash == package.hash
    assert IMPORTERS["graf"].help in next(event.text for event in heard if isinstance(event, Note))
    network = package.load_network()
    assert package.multiple == network.multiple == 2
