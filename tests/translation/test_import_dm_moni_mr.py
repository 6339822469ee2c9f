"""Checkpoints of the contrast-harmonisation system: every form they come in, and what is refused."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.events import Note, finish
from napari_harmonize.networks.guided_unet import GuidedUNet, GuidedUNetSettings
from napari_harmonize.settings import from_json
from napari_harmonize.translation import import_checkpoint, load, recognise
from napari_harmonize.translation.importers.dm_moni_mr import Answers, convert, inspect, recognises

TINY = GuidedUNetSettings(width=32, multipliers=(1, 2), blocks=1, scale_shift=True)


def _state(settings: GuidedUNetSettings = TINY, seed: int = 0) -> OrderedDict[str, torch.Tensor]:
    """A state_dict as upstream saves it, of parameters, with random weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in GuidedUNet(settings).state_dict().items()}
    return OrderedDict((name, torch.nn.Parameter(0.1 * torch.randn(shape, generator=generator))) for name, shape in shapes.items())


def _save(folder: Path, content: object, name: str = "savedmodel250000.pt") -> Path:
    torch.save(content, folder / name)
    return folder / name


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return _save(tmp_path, _state())


@pytest.mark.parametrize("name", ["savedmodel250000.pt", "emasavedmodel_0.9999_250000.pt", "weights.safetensors", "half.pt"])
def test_every_form_is_recognised_and_read(tmp_path, name):
    state, path = _state(), tmp_path / name
    if name.startswith("half"):
        state = {key: value.detach().half() for key, value in state.items()}
    if name.endswith(".pt"):
        torch.save(state, path)
    else:
        save_file({key: value.detach() for key, value in state.items()}, path)
    assert recognise(path) == "dm-moni-mr"
    found = inspect(path)
    assert found.network == TINY
    assert set(found.state) == set(state)
    assert all(torch.equal(found.state[key], value.float()) and not found.state[key].requires_grad for key, value in state.items())
    assert {value.dtype for value in found.state.values()} == {torch.float32}


def test_the_name_of_the_file_tells_what_it_holds(tmp_path):
    assert "averaged at rate 0.9999, step 250000" in inspect(_save(tmp_path, _state(), "emasavedmodel_0.9999_250000.pt")).sentence
    assert "(step 10000;" in inspect(_save(tmp_path, _state(), "savedmodel010000.pt")).sentence
    assert "step unknown" in inspect(_save(tmp_path, _state(), "mine.pt")).sentence


@pytest.mark.parametrize(
    ("settings", "answers"),
    [
        (TINY, {}),
        (GuidedUNetSettings(width=64, multipliers=(1, 1), blocks=1), {}),
        (GuidedUNetSettings(width=32, multipliers=(1, 1, 2), blocks=2, attention=(2, 4), heads=4), {"heads": 4}),
        (GuidedUNetSettings(width=32, multipliers=(1, 2), blocks=1, attention=(1,), resblock_updown=True), {}),
        (GuidedUNetSettings(width=32, multipliers=(2, 1), blocks=3, classes=2, label=1, learned_variance=False), {"label": 1}),
        (GuidedUNetSettings(width=32, multipliers=(1,), blocks=2, attention_order="new"), {"attention_order": "new"}),
        (GuidedUNetSettings(width=32, multipliers=(1, 1), source_channels=3), {}),
        (
            GuidedUNetSettings(
                width=32, multipliers=(1, 1), blocks=1, attention=(2,), scale_shift=True, resblock_updown=True, time_scale=20.0
            ),
            {"rescaled_times": True, "diffusion_steps": 50},
        ),
    ],
)
def test_network_is_told_by_its_tensors(tmp_path, settings, answers):
    found = inspect(_save(tmp_path, _state(settings)), from_json(Answers, answers))
    assert found.network == settings
    assert (*found.missing, *found.unexpected, *found.mis_shaped) == ()


def test_recipe_and_card(checkpoint):
    found = convert(checkpoint, from_contrast="T1 1.5 T", to_contrast="T1 3 T")
    recipe = found.recipe
    assert (recipe.network, recipe.path, recipe.objective, recipe.radius) == ("guided-unet", "linear-beta", "noise", 0)
    assert recipe.path_settings == {"steps": 1000, "first": 1e-4, "last": 0.02}
    assert (recipe.axis, recipe.frame.axes, recipe.low, recipe.conditioning) == ("sagittal", (0, 1, 2), 0.0, ("source",))
    assert (recipe.target.bounded, recipe.learns_variance, recipe.dropped, recipe.training) == (True, True, False, None)
    defaults = recipe.defaults
    assert (defaults.sampler, defaults.steps, defaults.spacing, defaults.consistency, defaults.clip) == (
        "ddpm-learned",
        50,
        "respaced",
        "none",
        True,
    )
    assert [name for name, _ in recipe.steps] == ["mask", "bias_field", "resample", "normalise", "crop_to_foreground", "pad_to_multiple"]
    assert dict(recipe.steps)["normalise"] == {"percentile": 99.9, "lowest": 0.1}
    assert dict(recipe.steps)["pad_to_multiple"]["least"] == (224, 224)
    assert (found.card.from_contrasts, found.card.to_contrasts) == (("T1 1.5 T",), ("T1 3 T",))
    assert "step 250000" in found.card.data


def test_the_card_names_the_published_defects(checkpoint):
    said = " ".join(convert(checkpoint).card.failures)
    assert "cannot tell early from late times" not in said
    wanted = ("1000 steps", "50 respaced", "bottleneck only", "source drift", "clipped to -1..1", "own 0..1", "its geometry", "by itself")
    assert all(part in said for part in wanted)


def test_the_card_says_so_only_where_it_is_true(tmp_path):
    attentive = GuidedUNetSettings(width=32, multipliers=(1, 2), blocks=1, attention=(2,), learned_variance=False)
    found = convert(_save(tmp_path, _state(attentive)), diffusion_steps=30)
    said = " ".join(found.card.failures)
    assert "bottleneck" not in said
    assert "cannot tell early from late times" in said
    assert (found.recipe.defaults.sampler, found.recipe.defaults.steps) == ("ddpm", 30)


def test_answers_change_recipe_and_assumptions(checkpoint):
    assumed = " ".join(convert(checkpoint).assumed)
    assert all(
        part in assumed for part in ("from T1 3 T", "1 head.", "legacy order", "linear schedule", "1000 time steps", "224", "R, A, S")
    )
    assert "Class" not in assumed
    answers = {
        **{"from_contrast": "a", "to_contrast": "b", "heads": 4, "attention_order": "new", "label": 0, "schedule": "cosine"},
        **{"diffusion_steps": 500, "rescaled_times": False, "orientation": "SPL", "size": 0, "lowest": 1.0, "highest": 99.0},
        "bias_field": False,
    }
    found = convert(checkpoint, **answers)
    assert found.assumed == ()
    assert (found.recipe.path, found.recipe.path_settings["steps"], found.recipe.axis) == ("cosine-beta", 500, "axial")
    assert "bias_field" not in dict(found.recipe.steps)
    assert found.recipe.network_settings["heads"] == 4


def test_answers_that_do_not_fit_are_refused(checkpoint):
    with pytest.raises(SettingsError, match="from_contrast"):
        convert(checkpoint, from_contrasts="T1")
    with pytest.raises(SettingsError, match="heads divide"):
        convert(checkpoint, heads=7)
    with pytest.raises(SettingsError, match="more than 20"):
        convert(checkpoint, diffusion_steps=20)
    with pytest.raises(SettingsError, match="orientation"):
        convert(checkpoint, orientation="RAR")


def test_gaps_are_listed_and_refused(tmp_path):
    state = _state()
    del state["time_embed.2.bias"]
    state["out.0.weight"] = torch.zeros(7)
    state["extra.weight"] = torch.zeros(1)
    path = _save(tmp_path, state)
    found = inspect(path)
    assert found.missing == ("time_embed.2.bias",)
    assert found.unexpected == ("extra.weight",)
    assert found.mis_shaped == ("out.0.weight (7,) instead of (32,)",)
    with pytest.raises(ModelError, match=r"missing: time_embed.2.bias; mis-shaped: out.0.weight \(7,\)"):
        convert(path)


def test_left_over_tensors_are_named(tmp_path):
    found = convert(_save(tmp_path, _state() | {"extra.weight": torch.zeros(1)}))
    assert "extra.weight" in found.notes[0]
    assert "extra.weight" not in found.state


def test_too_few_tensors_are_refused(tmp_path):
    state = {name: value for name, value in _state().items() if "input_blocks.1" not in name}
    with pytest.raises(ModelError, match=r"tell its shape.*input_blocks.1"):
        inspect(_save(tmp_path, state))


def test_networks_this_plugin_has_no_use_for_are_refused(tmp_path):
    several = GuidedUNetSettings(width=32, multipliers=(1, 1), source_channels=4)
    with pytest.raises(ModelError, match=r"one source volume.*4 source images"):
        convert(_save(tmp_path, _state(several)))
    colours = GuidedUNetSettings(width=32, multipliers=(1, 1), channels=3, source_channels=3)
    with pytest.raises(ModelError, match=r"one image.*predicts 6"):
        convert(_save(tmp_path, _state(colours)))


def test_optimiser_states_are_refused(tmp_path):
    network = GuidedUNet(TINY)
    path = _save(tmp_path, torch.optim.AdamW(network.parameters(), lr=1e-4).state_dict(), "optsavedmodel250000.pt")
    assert recognise(path) == "dm-moni-mr"
    with pytest.raises(ModelError, match=r'optimiser only.*"emasavedmodel"'):
        inspect(path)


def test_files_of_other_systems_are_not_recognised(tmp_path):
    prefixed = {f"denoise_fn.{name}": value for name, value in _state().items()}
    assert not recognises(_save(tmp_path, prefixed))
    assert not recognises(_save(tmp_path, [1, 2]))
    with pytest.raises(ModelError, match="holds a list"):
        inspect(tmp_path / "savedmodel250000.pt")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_is_never_run(tmp_path):
    trap = tmp_path / "sprung"
    path = _save(tmp_path, {"model": Trap(trap)})
    for read in (recognises, inspect, recognise):
        with pytest.raises(ModelError, match="Only tensors are read"):
            read(path)
    assert not trap.exists()


def test_imported_package_loads(checkpoint, tmp_path):
    heard = []
    package = finish(import_checkpoint(checkpoint, tmp_path / "package"), heard.append)
    again = load(tmp_path / "package")
    assert again.hash == package.hash
    assert again.card.sampler == "ddpm-learned"
    assert any("heads" in sentence or "head." in sentence for sentence in again.card.assumed)
    state = again.load_network().state_dict()
    assert all(torch.equal(state[name], value) for name, value in _state().items())
    assert any("contrast harmonisation" in event.text for event in heard if isinstance(event, Note))
