"""Checkpoints of CT2MRI: every form they come in, and what is refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_harmonize.diffusion.schedules import bridge, buffers
from napari_harmonize.diffusion.settings import BridgeSettings
from napari_harmonize.errors import ModelError, SettingsError, StyleError
from napari_harmonize.events import finish
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings
from napari_harmonize.style import from_histogram
from napari_harmonize.translation import import_checkpoint, load, recognise
from napari_harmonize.translation.importers.ct2mri import convert, inspect, recognises
from napari_harmonize.translation.importers.files import load_style_keys

TINY = BridgeUNetSettings(width=32, multipliers=(1, 2), blocks=1, head_width=32, bins=16)


def _state(settings: BridgeUNetSettings = TINY, schedule: BridgeSettings | None = None, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state_dict as upstream saves it, with random weights."""
    generator = torch.Generator().manual_seed(seed)
    weights = BridgeUNet(settings).state_dict()
    state = {f"denoise_fn.{name}": torch.randn(value.shape, generator=generator) for name, value in weights.items()}
    arrays = buffers(bridge(schedule or BridgeSettings()))
    return state | {name: torch.from_numpy(values).float() for name, values in arrays.items()}


def _weights(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if name.startswith("denoise_fn.")}


def _gaps(found) -> tuple[str, ...]:
    return (*found.missing, *found.unexpected, *found.mis_shaped)


def _save(folder: Path, content: object, name: str = "top_model_epoch_5.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def _same(found, state) -> bool:
    wanted = {name.removeprefix("denoise_fn."): value for name, value in _weights(state).items()}
    return set(found) == set(wanted) and all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    last, averaged = _state(seed=1), _weights(_state(seed=2))
    return _save(tmp_path, {"step": 1600, "epoch": 3, "model": last, "ema": averaged})


def test_averaged_weights_lie_over_the_last_ones(checkpoint):
    found = inspect(checkpoint, head_width=32)
    assert _same(found.state, _state(seed=2))
    assert _same(inspect(checkpoint, head_width=32, weights="model").state, _state(seed=1))
    assert "step 1600 and epoch 3" in found.sentence
    assert found.assumed == _gaps(found) == ()


def test_partial_average_is_filled_from_the_last_weights(tmp_path):
    averaged = _weights(_state(seed=2))
    kept = averaged.pop("denoise_fn.out.2.bias")
    found = inspect(_save(tmp_path, {"model": _state(seed=1), "ema": averaged}), head_width=32)
    assert not torch.equal(found.state["out.2.bias"], kept)
    assert torch.equal(found.state["out.2.bias"], _state(seed=1)["denoise_fn.out.2.bias"])
    assert "1 tensors, not averaged, from the last ones" in found.sentence


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_bare_weights(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    (torch.save if suffix == ".pth" else save_file)(_state(), path)
    assert recognises(path)
    found = inspect(path, head_width=32)
    assert _same(found.state, _state())
    assert found.network == TINY


@pytest.mark.parametrize(
    "settings",
    [
        TINY,
        BridgeUNetSettings(5, 5, 32, (1, 2, 3), 2, (), 32, 128),
        BridgeUNetSettings(1, 1, 64, (1,), 1, (), 64, 0),
        BridgeUNetSettings(3, 0, 32, (1, 1), 1, (), 32, 0),
        BridgeUNetSettings(3, 3, 32, (1, 2, 2), 1, (2, 4), 32, 16),
        BridgeUNetSettings(3, 3, 32, (1, 2), 3, (1, 2), 32, 0),
    ],
)
def test_network_is_told_by_its_tensors(tmp_path, settings):
    found = inspect(_save(tmp_path, _state(settings)), head_width=settings.head_width)
    assert found.network == settings
    assert found.radius == settings.channels // 2
    assert _gaps(found) == ()


@pytest.mark.parametrize(
    "schedule", [BridgeSettings(), BridgeSettings("sin", 200, 0.5), BridgeSettings("control", 400, 2.0), BridgeSettings("linear", 200, 3.0)]
)
def test_schedule_is_told_by_its_buffers(tmp_path, schedule):
    assert inspect(_save(tmp_path, _state(schedule=schedule)), head_width=32).path == schedule


def test_without_buffers_the_schedule_is_assumed(tmp_path):
    found = inspect(_save(tmp_path, {"ema": _weights(_state())}), head_width=32)
    assert found.path == BridgeSettings()
    assert "linear, 1000 steps" in found.assumed[0]


def test_unknown_schedule_is_refused(tmp_path):
    state = _state()
    state["m_t"] = state["m_t"] ** 2
    with pytest.raises(ModelError, match="schedule is one of"):
        inspect(_save(tmp_path, state))


@pytest.mark.parametrize("fill", [0.0, float("nan")])
def test_a_schedule_of_nothing_is_refused(tmp_path, fill):
    state = _state()
    state["m_t"], state["variance_t"] = (torch.full_like(state[name], fill) for name in ("m_t", "variance_t"))
    with pytest.raises(ModelError, match="schedule is one of"):
        inspect(_save(tmp_path, state))


def test_recipe_and_card(checkpoint):
    found = convert(checkpoint, head_width=32, from_contrast="FLAIR", to_contrast="T1")
    recipe = found.recipe
    assert (recipe.network, recipe.path, recipe.objective, recipe.radius) == ("bridge-unet", "bridge", "grad", 1)
    assert recipe.conditioning == ("source", "style")
    assert (recipe.defaults.sampler, recipe.defaults.steps, recipe.defaults.eta) == ("bridge-published", 50, 0.0)
    assert recipe.defaults.consistency == "co-prediction+correction"
    correction = recipe.defaults.correction
    assert (correction.repeats, correction.weight, correction.scale, correction.score) == (1, 0.5, "released", "average")
    assert [name for name, _ in recipe.steps] == ["mask", "resample", "robust_brats", "crop_to_foreground", "fit_to_size"]
    assert recipe.training is None
    assert "step 1600" in found.card.data
    assert (found.card.from_contrasts, found.card.to_contrasts) == (("FLAIR",), ("T1",))


def test_what_nobody_confirmed_is_assumed(checkpoint):
    assumed = " ".join(convert(checkpoint, head_width=32).assumed)
    assert all(part in assumed for part in ('predicts "grad"', "from CT", "to T1", "axial", "0 to 80 HU", "training keys"))
    assert "attention head" not in assumed
    answers = {"objective": "grad", "from_contrast": "CT", "to_contrast": "T1", "axis": "axial", "window_low": -100.0, "window_high": 200.0}
    confirmed = convert(checkpoint, head_width=32, **answers)
    assert confirmed.assumed == ("Nothing is known of its training keys: a key must be chosen, and none is called far from training.",)
    assert dict(confirmed.recipe.steps)["window"] == {"low": -100.0, "high": 200.0}


def test_answers_that_do_not_fit_are_refused(checkpoint):
    with pytest.raises(SettingsError, match="head_width"):
        convert(checkpoint, headwidth=32)
    with pytest.raises(SettingsError, match="low end"):
        convert(checkpoint, head_width=32, window_low=90.0)


def test_gaps_are_listed_and_refused(tmp_path):
    state = _state()
    del state["denoise_fn.time_embed.2.bias"]
    state["denoise_fn.out.0.weight"] = torch.zeros(7)
    state["denoise_fn.extra.weight"] = torch.zeros(1)
    path = _save(tmp_path, state)
    found = inspect(path, head_width=32)
    assert found.missing == ("time_embed.2.bias",)
    assert found.unexpected == ("extra.weight",)
    assert found.mis_shaped == ("out.0.weight (7,) instead of (32,)",)
    with pytest.raises(ModelError, match=r"missing: time_embed.2.bias; mis-shaped: out.0.weight \(7,\)"):
        convert(path, head_width=32)


def test_left_over_tensors_are_named(tmp_path):
    found = convert(_save(tmp_path, _state() | {"denoise_fn.extra.weight": torch.zeros(1)}), head_width=32)
    assert "extra.weight" in found.notes[0]
    assert "extra.weight" not in found.state


def test_too_few_tensors_are_refused(tmp_path):
    state = {name: value for name, value in _state().items() if "input_blocks.1" not in name}
    with pytest.raises(ModelError, match=r"tell its shape.*input_blocks.1"):
        inspect(_save(tmp_path, state))


def test_even_stacks_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"odd number of slices.*2"):
        inspect(_save(tmp_path, _state(BridgeUNetSettings(2, 2, 32, (1,), 1, (), 32, 0))))


def test_optimiser_states_are_refused(tmp_path):
    path = _save(tmp_path, {"optimizer": [{"state": {}}], "scheduler": [{"best": 0.1}]}, "top_model_optim_sche_epoch_5.pth")
    assert recognises(path)
    with pytest.raises(ModelError, match="optimiser only"):
        inspect(path)


def test_files_of_other_systems_are_not_recognised(tmp_path):
    other = {"input_blocks.0.0.weight": torch.zeros(1)}
    assert not recognises(_save(tmp_path, other))
    assert not recognises(_save(tmp_path, [1, 2]))
    with pytest.raises(ModelError, match="Choose another system"):
        inspect(_save(tmp_path, other))
    with pytest.raises(ModelError, match="holds a list"):
        inspect(_save(tmp_path, [1, 2]))


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Command:
    """Asks for a function torch blocks by name."""

    def __reduce__(self):
        return os.system, ("true",)


def test_a_blocked_function_is_named(tmp_path):
    torch.save({"model": Command()}, tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"Only tensors are read.*asks for (posix|nt)\.system"):
        inspect(tmp_path / "model.pth")


@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_never_run(tmp_path, legacy):
    trap = tmp_path / "sprung"
    path = tmp_path / "model.pth"
    torch.save({"model": Trap(trap)}, path, _use_new_zipfile_serialization=not legacy)
    for read in (recognises, inspect, recognise):
        with pytest.raises(ModelError, match="Only tensors are read"):
            read(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.pth", b"not a checkpoint"), ("b.pth", b""), ("d.pth", b"abc"), ("e.pth", b"PK\x03\x04zz"), ("c.safetensors", b"\x10" + bytes(20))],
)
def test_damaged_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"read to its end.*" + name):
        inspect(tmp_path / name)


def test_truncated_checkpoint_is_refused(checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(ModelError, match="read to its end"):
        inspect(checkpoint)


def test_imported_package_loads_and_runs(checkpoint, tmp_path):
    package = finish(import_checkpoint(checkpoint, tmp_path / "package", head_width=32))
    again = load(tmp_path / "package")
    assert again.hash == package.hash
    assert any("predicts" in sentence for sentence in again.card.assumed)
    assert _same(again.load_network().state_dict(), _state(seed=2))


def _key(peak: int, bins: int = 16) -> np.ndarray:
    histogram = np.exp(-0.5 * ((np.arange(bins) - peak) / 2) ** 2)
    return from_histogram(10 * histogram / histogram.sum()).curves.T[:, :, None]


def _pickle(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_key_files_are_read(tmp_path, protocol):
    path = _pickle(tmp_path / "keys.pkl", {"a": _key(4), 7: _key(9)}, protocol)
    found = load_style_keys(path)
    assert set(found) == {"a", "7"}
    assert found["a"].shape == (3, 16)
    assert np.array_equal(found["a"], _key(4)[..., 0].T)


def test_key_files_written_by_old_numpy_are_read(tmp_path):
    path = _pickle(tmp_path / "keys.pkl", {"a": _key(4)}, 2)
    old = path.read_bytes().replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in old
    path.write_bytes(old)
    assert load_style_keys(path)["a"].shape == (3, 16)


def test_key_files_run_no_code(tmp_path):
    trap = tmp_path / "sprung"
    with pytest.raises(StyleError, match="Only arrays are read"):
        load_style_keys(_pickle(tmp_path / "keys.pkl", {"a": Trap(trap)}))
    assert not trap.exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"a": [1.0]}, {"a": np.zeros((16, 2))}, {"a": np.zeros((16, 3, 1), int)}, {"a": np.array(["x"])}]
)
def test_key_files_that_hold_something_else_are_refused(tmp_path, content):
    with pytest.raises(StyleError, match=r"keys\.pkl"):
        load_style_keys(_pickle(tmp_path / "keys.pkl", content))


def test_damaged_key_files_are_refused(tmp_path):
    path = _pickle(tmp_path / "keys.pkl", {"a": _key(4)})
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StyleError, match="pickle of"):
        load_style_keys(path)
    with pytest.raises(StyleError, match=r"absent\.pkl"):
        load_style_keys(tmp_path / "absent.pkl")


def test_training_keys_come_from_a_key_file(checkpoint, tmp_path):
    several = _pickle(tmp_path / "keys.pkl", {"a": _key(4), "b": _key(9), "c": _key(6)})
    training = convert(checkpoint, head_width=32, style_keys=str(several)).recipe.training
    assert len(training.keys) == 3
    assert training.average.curves == pytest.approx(np.mean([_key(peak)[..., 0].T for peak in (4, 9, 6)], axis=0))
    averaged = _pickle(tmp_path / "average.pkl", {"a": _key(4), "b": _key(4)})
    found = convert(checkpoint, head_width=32, style_keys=str(averaged))
    assert found.recipe.training.average.curves == pytest.approx(_key(4)[..., 0].T)
    assert "same key" in found.notes[-1]


def test_keys_with_other_bins_are_refused(checkpoint, tmp_path):
    keys = _pickle(tmp_path / "keys.pkl", {"a": _key(4, 32), "b": _key(9, 32)})
    with pytest.raises(ModelError, match="16 bins"):
        convert(checkpoint, head_width=32, style_keys=str(keys))
