"""The translation job: grid, events, determinism, memory, stopping, style."""

from __future__ import annotations

import dataclasses
import gc
import json
import weakref

import numpy as np
import pytest
import torch

import tiny_model
from napari_harmonize import style
from napari_harmonize.errors import EngineError, ModelError, OutOfMemory, SettingsError, StyleError, VolumeError
from napari_harmonize.events import Note, Preview, Progress, Stage, finish
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, Target, load_engine, prepare_case, preview, translate
from napari_harmonize.translation import engine as engines
from napari_harmonize.translation.importers import IMPORTERS
from napari_harmonize.volumes import Meaning, Volume, canonical, from_array


def asked(package, **changes):
    return replace(package.recipe.defaults.settings(), **changes)


def heard(job):
    events = []
    return finish(job, events.append), events


def kinds(events, kind):
    return [event for event in events if isinstance(event, kind)]


def key_of(mean: float, **facts) -> style.StyleKey:
    values = np.clip(np.random.default_rng(5).normal(mean, 0.1, 4000), 0.01, 1)
    return style.compute(values, label="given", **{"origin": style.Origin.REFERENCE, **facts})


def test_the_result_lies_on_the_sources_own_grid(case, tiny_package):
    result = finish(translate(case, asked(tiny_package), tiny_package))
    source = case.source
    assert result.volume.shape == source.shape
    assert np.array_equal(result.volume.affine, source.affine)
    header = result.volume.header
    assert (header.qform_code, header.sform_code, header.dtype, header.slope) == (1, 2, "float32", 1.0)
    assert result.volume.data.dtype == np.float32
    assert result.volume.meaning is Meaning.UNIT
    assert (result.volume.data[source.data == 0] == 0).all()
    inside = result.volume.data[source.data > 0]
    assert 0 <= inside.min() < inside.max() <= 1
    assert "Synthetic" in result.volume.notes[0]


def test_every_orientation_of_one_image_gives_one_result(case, tiny_package):
    results = []
    for order, flips in (((0, 1, 2), ()), ((2, 0, 1), (1,)), ((1, 0, 2), (0, 2))):
        data = np.flip(case.source.data.transpose(order), flips)
        turn = np.zeros((4, 4))
        turn[3, 3] = 1
        for new, old in enumerate(order):
            turn[old, new] = -1 if new in flips else 1
            turn[old, 3] += data.shape[new] - 1 if new in flips else 0
        source = from_array(np.ascontiguousarray(data), case.source.affine @ turn, name="head")
        result = finish(translate(Case(source), asked(tiny_package), tiny_package)).volume
        assert result.shape == data.shape
        results.append(canonical(result)[0].data)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.parametrize(("axis", "rows"), [("sagittal", "later"), ("coronal", "earlier"), ("axial", "earlier")])
def test_another_working_spacing_and_axis_still_end_on_the_source_grid(case, tmp_path, axis, rows):
    package = tiny_model.make(tmp_path / "coarse", working_spacing=(2.0, 2.0, 2.0), axis=axis, rows=rows)
    result = finish(translate(case, asked(package), package))
    assert result.volume.shape == case.source.shape
    assert np.array_equal(result.volume.affine, case.source.affine)
    assert result.volume.data[case.source.data > 0].std() > 0.01
    step = next(step for step in result.run.facts["preparation"]["steps"] if step["step"] == "resample")
    assert step["params"]["from_shape"] == list(case.source.shape)


def test_hounsfield_targets_come_back_in_their_units(case, tmp_path):
    package = tiny_model.make(tmp_path / "ct", target=Target("HU", -1000.0, 1000.0, "CT"))
    volume = finish(translate(case, asked(package), package)).volume
    assert volume.meaning is Meaning.HU
    assert volume.modality == "CT"
    assert (volume.data[case.source.data == 0] == -1000).all()
    assert -1000 <= volume.data.min() < volume.data.max() <= 1000


def test_without_a_mask_step_the_outside_is_not_blanked(case, tmp_path):
    package = tiny_model.make(tmp_path / "open", mask=False)
    volume = finish(translate(case, asked(package), package)).volume
    assert (volume.data[case.source.data == 0] != 0).any()


@pytest.mark.parametrize(("consistency", "passes"), [("none", 3), ("co-prediction", 3), ("co-prediction+correction", 5)])
def test_progress_counts_network_evaluations_to_an_exact_total(case, tiny_package, consistency, passes):
    result, events = heard(translate(case, asked(tiny_package, consistency=consistency, batch=3), tiny_package))
    progress = kinds(events, Progress)
    slices = result.run.facts["preparation"]["slices"]
    total = passes * (slices[1] - slices[0] + 1)
    assert [event.done for event in progress] == sorted({event.done for event in progress})
    assert {event.total for event in progress} == {total}
    assert progress[-1].done == total == result.run.facts["evaluations"]
    names = [event.name for event in kinds(events, Stage)]
    assert list(dict.fromkeys(names)) == ["Preparing", "Loading the model", "Sampling", "Restoring"]


def test_previews_show_three_slices_around_the_one_looked_at(case, tiny_package, monkeypatch):
    monkeypatch.setattr("napari_harmonize.translation.job.SECONDS_BETWEEN_PREVIEWS", 0.0)
    _, events = heard(translate(case, asked(tiny_package), tiny_package, look_at=5))
    shown = kinds(events, Preview)
    assert [(event.step, event.steps) for event in shown] == [(1, 3), (2, 3), (3, 3)]
    assert shown[0].indices == (4, 5, 6)
    assert shown[0].slices.shape == (3, 26, 20)
    assert shown[0].slices.min() >= 0
    assert shown[0].slices.max() <= 1
    _, events = heard(translate(case, asked(tiny_package), tiny_package, look_at=99))
    assert len(kinds(events, Preview)[0].indices) == 3


def test_previews_are_at_most_four_a_second(case, tiny_package, monkeypatch):
    clock = iter(np.arange(100, 10000, 0.05))
    monkeypatch.setattr("napari_harmonize.translation.job.time.monotonic", lambda: next(clock))
    _, events = heard(translate(case, asked(tiny_package, steps=20), tiny_package))
    # one look at the clock per step, two per preview: 20 steps of 0.05 s and a little more
    assert 3 <= len(kinds(events, Preview)) <= 6


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_the_same_bytes_twice(case, tiny_package, eta):
    runs = [finish(translate(case, asked(tiny_package, eta=eta, seed=3), tiny_package)) for _ in range(2)]
    assert runs[0].volume.data.tobytes() == runs[1].volume.data.tobytes()
    assert runs[0].run.hash == runs[1].run.hash
    assert runs[0].run.facts["result"]["sha256"] != ""


def test_a_seed_matters_only_where_noise_is_drawn(case, tiny_package):
    def run(**changes):
        return finish(translate(case, asked(tiny_package, **changes), tiny_package))

    assert np.array_equal(run(seed=1).volume.data, run(seed=2).volume.data)
    assert run(seed=1).run.facts["sampling"]["seed_matters"] is False
    assert not np.array_equal(run(seed=1, eta=1.0).volume.data, run(seed=2, eta=1.0).volume.data)
    assert run(seed=1, eta=1.0).run.facts["sampling"]["seed_matters"] is True


@pytest.mark.parametrize("consistency", ["none", "co-prediction"])
def test_batches_do_not_change_the_result(case, tiny_package, consistency):
    results = [
        finish(translate(case, asked(tiny_package, consistency=consistency, eta=0.5, batch=batch), tiny_package)).volume.data
        for batch in (1, 5)
    ]
    assert np.abs(results[0] - results[1]).max() < 1e-4


def crowded(monkeypatch, limit, text="DefaultCPUAllocator: can't allocate memory", kind=RuntimeError):
    whole = engines.Engine.predict

    def predict(self, x, *rest):
        if len(x) > limit:
            raise kind(text)
        return whole(self, x, *rest)

    monkeypatch.setattr(engines.Engine, "predict", predict)


@pytest.mark.parametrize(("kind", "text"), [(RuntimeError, "can't allocate memory"), (torch.OutOfMemoryError, "CUDA"), (MemoryError, "")])
def test_a_batch_that_does_not_fit_is_halved_and_said_so(case, tiny_package, monkeypatch, kind, text):
    whole = finish(translate(case, asked(tiny_package, batch=2), tiny_package))
    crowded(monkeypatch, 2, text, kind)
    result, events = heard(translate(case, asked(tiny_package, batch=8), tiny_package))
    assert [event.text for event in kinds(events, Note)] == [
        "A batch of 8 slices did not fit into memory; going on with 4.",
        "A batch of 4 slices did not fit into memory; going on with 2.",
    ]
    assert result.run.facts["engine"]["batches"] == [8, 4, 2]
    assert result.run.facts["notes"][0].startswith("A batch of 8")
    assert np.array_equal(result.volume.data, whole.volume.data)
    assert kinds(events, Progress)[-1].done == kinds(events, Progress)[-1].total


def test_memory_may_run_out_half_way(case, tiny_package, monkeypatch):
    whole, calls = engines.Engine.predict, []

    def predict(self, x, *rest):
        calls.append(len(x))
        if len(calls) == 4:
            raise RuntimeError("out of memory")
        return whole(self, x, *rest)

    monkeypatch.setattr(engines.Engine, "predict", predict)
    result = finish(translate(case, asked(tiny_package, batch=4), tiny_package))
    assert result.run.facts["engine"]["batches"] == [4, 2]


def test_a_single_stack_that_does_not_fit_ends_the_run(case, tiny_package, monkeypatch):
    crowded(monkeypatch, 0)
    with pytest.raises(OutOfMemory, match="A single stack of slices fits"):
        finish(translate(case, asked(tiny_package), tiny_package))


def test_other_failures_of_torch_become_ours(case, tiny_package, monkeypatch):
    crowded(monkeypatch, 0, "size of tensor a must match")
    with pytest.raises(EngineError, match="size of tensor a must match") as caught:
        finish(translate(case, asked(tiny_package), tiny_package))
    assert not isinstance(caught.value, OutOfMemory)


def test_a_state_that_does_not_fit_is_out_of_memory_too(case, tiny_package, monkeypatch):
    def make_state(*_):
        raise RuntimeError("MPS backend out of memory")

    monkeypatch.setattr("napari_harmonize.translation.job.make_state", make_state)
    with pytest.raises(OutOfMemory, match="state fits into memory"):
        finish(translate(case, asked(tiny_package), tiny_package))


def test_stopping_between_batches_frees_everything(case, tiny_package):
    job = translate(case, asked(tiny_package, batch=2), tiny_package)
    for event in job:
        if isinstance(event, Progress):
            break
    frames = job.gi_frame.f_locals
    watched = [weakref.ref(frames["work"].engine.network), weakref.ref(frames["work"].prepared)]
    del frames
    job.close()
    gc.collect()
    assert [ref() for ref in watched] == [None, None]
    assert list(job) == []


def test_the_key_is_the_training_average_unless_one_is_given(case, tiny_package):
    plain = finish(translate(case, asked(tiny_package), tiny_package))
    assert plain.run.facts["style"]["origin"] == "training average"
    given = finish(translate(dataclasses.replace(case, key=key_of(0.8)), asked(tiny_package), tiny_package))
    assert given.run.facts["style"]["label"] == "given"
    assert np.array(given.run.facts["style"]["curves"]).shape == (3, 128)
    assert not np.array_equal(plain.volume.data, given.volume.data)


def test_the_truth_is_never_looked_at(case, tiny_package):
    truth = case.source.replace(data=case.source.data[::-1] * 3)
    plain = finish(translate(case, asked(tiny_package), tiny_package))
    beside = finish(translate(dataclasses.replace(case, truth=truth), asked(tiny_package), tiny_package))
    assert plain.run.hash == beside.run.hash
    assert beside.run.facts["peeks"] is None


def test_a_key_that_peeks_is_recorded_as_such(case, tiny_package):
    oracle = dataclasses.replace(case, key=key_of(0.5, origin=style.Origin.ORACLE))
    run = finish(translate(oracle, asked(tiny_package), tiny_package)).run
    assert run.facts["peeks"] == "The style key knows the ground truth."


def test_a_model_with_keys_does_not_run_without_one(case, tmp_path):
    package = tiny_model.make(tmp_path / "keyless", training=False)
    with pytest.raises(ModelError, match="none was given and none came with the model"):
        finish(translate(case, asked(package), package))
    assert finish(translate(dataclasses.replace(case, key=key_of(0.5)), asked(package), package)).volume.shape == case.source.shape


def test_a_key_of_other_bins_is_refused(case, tiny_package):
    key = style.compute(np.linspace(0.1, 0.9, 100), bins=64)
    with pytest.raises(StyleError, match="takes style keys of 128 bins"):
        finish(translate(dataclasses.replace(case, key=key), asked(tiny_package), tiny_package))


def test_a_model_without_keys_says_that_a_key_has_no_effect(case, tmp_path):
    package = tiny_model.make(tmp_path / "pure", style=False)
    result, events = heard(translate(dataclasses.replace(case, key=key_of(0.5)), asked(package), package))
    assert "takes no style key" in kinds(events, Note)[0].text
    assert result.run.facts["style"] is None


def test_a_network_that_is_told_the_source_style(case, tmp_path):
    package = tiny_model.make(tmp_path / "shuffle", network="shuffle-unet")
    prepared = prepare_case(case, package)
    own = style.compute(prepared.volume.data, mask=prepared.inside)
    assert prepared.source_key.same_as(own)
    assert finish(translate(case, asked(package), package, prepared=prepared)).volume.shape == case.source.shape


def test_preparing_and_loading_are_not_done_again(case, tiny_package):
    settings = asked(tiny_package)
    prepared, engine = prepare_case(case, tiny_package), load_engine(tiny_package, settings)
    result, events = heard(translate(case, settings, tiny_package, prepared=prepared, engine=engine))
    assert [event.name for event in kinds(events, Stage)] == ["Sampling", "Restoring"]
    assert result.run.hash == finish(translate(case, settings, tiny_package)).run.hash
    other = Case(case.source.replace(data=case.source.data * 2, sha256="other"))
    _, events = heard(translate(other, settings, tiny_package, prepared=prepared, engine=engine))
    assert "Preparing" in [event.name for event in kinds(events, Stage)]
    _, events = heard(translate(case, replace(settings, precision="bfloat16"), tiny_package, prepared=prepared, engine=engine))
    assert "Loading the model" in [event.name for event in kinds(events, Stage)]


@pytest.mark.parametrize(("consistency", "rows"), [("none", "later"), ("co-prediction", "earlier")])
def test_a_preview_of_single_slices_is_the_run_itself(case, tmp_path, consistency, rows):
    package = tiny_model.make(tmp_path / "single", radius=0, rows=rows)
    settings = asked(package, eta=1.0, seed=4, consistency=consistency)
    whole = canonical(finish(translate(case, settings, package)).volume)[0].data
    seen, events = heard(preview(case, settings, package, (4, 5, 8)))
    for index, picture in seen.slices.items():
        expected = whole[:, :, index].T
        assert picture.shape == expected.shape
        inside = canonical(case.source)[0].data[:, :, index].T > 0
        assert np.abs(picture - expected)[inside].max() < 1e-4
    assert kinds(events, Progress)[-1].done == kinds(events, Progress)[-1].total == 3 * 3
    assert seen.run.facts["preview of slices"] == [4, 5, 8]


def test_a_preview_of_stacks_sees_true_neighbours(case, tiny_package):
    settings = asked(tiny_package, consistency="none")
    whole = canonical(finish(translate(case, settings, tiny_package)).volume)[0].data
    seen = finish(preview(case, settings, tiny_package, (5, 6, 7)))
    inside = canonical(case.source)[0].data > 0
    # the end stacks of a preview lack only what their outermost channels would have become
    assert np.abs(seen.slices[6] - whole[:, :, 6].T)[inside[:, :, 6].T].max() < 1e-4


def test_a_preview_covers_slices_between_and_beyond_the_prepared_ones(case, tmp_path):
    package = tiny_model.make(tmp_path / "coarse", working_spacing=(2.0, 2.0, 3.0))
    seen = finish(preview(case, asked(package), package, (0, 5, 6)))
    assert {picture.shape for picture in seen.slices.values()} == {(26, 20)}
    assert seen.slices[5].std() > 0.01
    assert seen.slices[0].max() == 0
    scaled = canonical(case.source)[0].data[:, :, 5].T / case.source.data.max()
    assert np.corrcoef(seen.source[5].ravel(), scaled.ravel())[0, 1] > 0.9
    with pytest.raises(SettingsError, match="between 0 and 11"):
        finish(preview(case, asked(package), package, (12,)))


def test_a_sampler_that_does_not_suit_is_refused_with_its_reason(case, tiny_package):
    with pytest.raises(SettingsError, match="walks a diffusion path"):
        finish(translate(case, asked(tiny_package, sampler="ddim"), tiny_package))
    with pytest.raises(SettingsError, match="3 to 1000 steps"):
        finish(translate(case, asked(tiny_package, sampler="bridge-published", steps=2), tiny_package))


def test_nothing_in_the_mask_is_refused(case, tiny_package):
    empty = Volume(np.zeros(case.source.shape, np.float32), case.source.affine, name="empty")
    with pytest.raises(VolumeError, match="empty is empty where head lies"):
        finish(translate(dataclasses.replace(case, mask=empty), asked(tiny_package), tiny_package))


def test_a_mask_on_another_grid_limits_the_result(case, tiny_package):
    box = Volume(np.ones((5, 26, 12), np.float32), case.source.affine, name="mask")
    result = finish(translate(dataclasses.replace(case, mask=box), asked(tiny_package), tiny_package))
    assert (result.volume.data[5:] == 0).all()
    assert result.volume.data[:5].max() > 0
    assert result.run.facts["mask"]["name"] == "mask"


def test_threads_are_as_before_afterwards(case, tiny_package):
    before = torch.get_num_threads()
    result = finish(translate(case, asked(tiny_package, threads=before + 1), tiny_package))
    assert result.run.facts["engine"]["threads"] == before + 1
    assert torch.get_num_threads() == before


def test_narrow_arithmetic_gives_nearly_the_same(case, tiny_package):
    wide = finish(translate(case, asked(tiny_package), tiny_package)).volume.data
    narrow = finish(translate(case, asked(tiny_package, precision="bfloat16"), tiny_package))
    assert narrow.run.facts["engine"]["precision"] == "bfloat16"
    assert 0 < np.abs(wide - narrow.volume.data).max() < 0.1


def test_an_absent_device_is_refused(case, tiny_package, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match="cuda is not"):
        finish(translate(case, asked(tiny_package, device="cuda"), tiny_package))


def test_the_record_is_json_and_names_no_folder(case, tiny_package, tmp_path):
    run = finish(translate(case, asked(tiny_package, model=str(tiny_package.path)))).run
    text = json.dumps(run.to_json())
    assert str(tmp_path) not in text
    facts = json.loads(text)
    assert facts["model"]["hash"] == tiny_package.hash
    assert facts["model"]["trained_on"] == "random numbers"
    assert facts["volatile"]["seconds"] > 0
    assert "volatile" not in run.facts
    assert facts["target"]["outside"] == 0


def test_an_imported_checkpoint_runs_at_once(case, tmp_path, reference):
    from safetensors.torch import load_file

    from napari_harmonize.translation import import_checkpoint

    state = load_file(reference / "ct2mri" / "state_dict.safetensors")
    ema = {name: value for name, value in state.items() if name.startswith("denoise_fn.")}
    torch.save({"step": 5, "epoch": 1, "model": state, "ema": ema}, tmp_path / "latest_model_1.pth")
    config = json.loads((reference / "ct2mri" / "config.json").read_text())
    head_width = next(value for key, value in _walk(config) if key == "num_head_channels")
    answers = {"from_contrast": "FLAIR", "head_width": head_width}
    package, events = heard(import_checkpoint(tmp_path / "latest_model_1.pth", tmp_path / "imported", **answers))
    assert "assumed" not in " ".join(package.card.failures)
    assert package.card.assumed
    assert any("Assumed" in event.text for event in kinds(events, Note))
    assert package.recipe.defaults.sampler == "bridge-published"
    small = replace(package.recipe.defaults.settings(), steps=3, consistency="none")
    seen = finish(preview(dataclasses.replace(case, key=key_of(0.5)), small, package, (5,)))
    assert seen.slices[5].shape == (26, 20)
    assert set(IMPORTERS) >= {"ct2mri"}


def _walk(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _walk(item)
