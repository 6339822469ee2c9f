"""Counting operations and memory, and what is said of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import tiny_model
from napari_harmonize.events import finish
from napari_harmonize.settings import replace, to_json
from napari_harmonize.translation import Case, Recipe, batches, cost, estimate, load_engine, prepare_case, translate
from napari_harmonize.translation.package import ModelPackage


def test_one_convolution_is_counted_as_two_operations_per_weight():
    ask, work = cost._convolution("cpu")
    with FlopCounterMode(display=False) as counter:
        ask()
    assert counter.get_total_flops() == work


def test_counting_without_computing_agrees_with_counting_a_real_pass(tiny_package):
    counted = cost.measure(tiny_package, (24, 20))
    network, ask = cost._question(tiny_package.recipe, (24, 20), "cpu", 1)
    plain = sdpa_kernel(SDPBackend.MATH)  # the fused attention of the processor is not counted
    with torch.inference_mode(), plain, FlopCounterMode(display=False) as counter:
        ask()
    assert counted.flops == counter.get_total_flops()
    assert counted.parameters == sum(value.numel() for value in network.parameters())


def test_memory_grows_with_the_slice_and_covers_the_widest_layer(tiny_package):
    small, large = (cost.measure(tiny_package, size).bytes for size in ((16, 16), (32, 32)))
    assert large == pytest.approx(4 * small, rel=0.35)
    assert large >= 2 * 32 * 32 * 32 * 4


def test_the_published_network_costs_what_its_specification_measured(reference):
    layout = json.loads((reference / "ct2mri" / "published_layout.json").read_text())
    from napari_harmonize.networks import NETWORKS

    settings = NETWORKS["bridge-unet"].settings()
    recipe = Recipe(
        network="bridge-unet", network_settings=to_json(settings), path="bridge", objective="grad", conditioning=("source", "style")
    )
    found = cost._measure(cost._Named("published", recipe), (160, 160))
    assert found.parameters == layout["skc"]["n_parameters"]
    assert found.flops == pytest.approx(1.611e12, rel=0.01)
    assert 0.4e9 < found.bytes * cost.WORKSPACE < 1.2e9


def test_an_estimate_says_seconds_memory_and_place(case, tiny_package):
    settings = replace(tiny_package.recipe.defaults.settings(), device="cpu")
    said = estimate(case, settings, tiny_package)
    run = finish(translate(case, settings, tiny_package)).run
    assert said.evaluations >= run.facts["evaluations"]
    assert said.evaluations <= run.facts["evaluations"] + 3 * settings.steps
    assert said.seconds > 0
    assert said.sentence.startswith("about ")
    assert said.sentence.endswith(f"GB on {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}")
    more = estimate(case, replace(settings, consistency="co-prediction+correction", steps=30), tiny_package)
    assert more.evaluations == said.evaluations / settings.steps * 59
    assert more.seconds > said.seconds


@pytest.mark.parametrize("spacing", [None, (2.0, 2.0, 3.0)])
def test_the_expected_size_is_that_of_the_prepared_volume(case, tmp_path, spacing):
    package = tiny_model.make(tmp_path / "model", working_spacing=spacing)
    prepared = prepare_case(case, package)
    expected = cost.expected_size(case.source, package)
    assert np.abs(np.array(expected) - prepared.slices.shape).max() <= 2


def test_a_fixed_size_is_expected(case, tiny_package):
    recipe = replace_steps(tiny_package.recipe, (("fit_to_size", {"size": [40, 30, 8]}),))
    package = ModelPackage("fixed", recipe, tiny_package.card, tiny_package.path)
    assert cost.expected_size(case.source, package) == (8, 30, 40)


def replace_steps(recipe, steps):
    import dataclasses

    return dataclasses.replace(recipe, steps=steps)


def test_a_network_too_heavy_to_try_is_judged_by_a_convolution(tiny_package, monkeypatch):
    monkeypatch.setattr(cost, "LIGHT", 0)
    cost._rate.cache_clear()
    assert cost.measured_rate(tiny_package, (24, 20), "cpu", "float32", 1) > 1e8
    cost._rate.cache_clear()


@pytest.mark.parametrize(("seconds", "text"), [(0.1, "1 s"), (24.3, "24 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_are_told_plainly(seconds, text):
    assert cost._duration(seconds) == text


def test_a_batch_is_what_was_asked_or_what_fits(case, tiny_package, monkeypatch):
    settings = replace(tiny_package.recipe.defaults.settings(), device="cpu")
    engine, prepared = load_engine(tiny_package, settings), prepare_case(case, tiny_package)
    assert batches.choose(5, engine, prepared) == 5
    assert batches.choose(0, engine, prepared) == 8
    each = cost.measure(tiny_package, prepared.slices.shape[1:]).bytes * cost.WORKSPACE
    monkeypatch.setattr(batches, "_free_memory", lambda: int(each * 5))
    assert batches.choose(0, engine, prepared) == 2
    monkeypatch.setattr(batches, "_free_memory", lambda: 0)
    assert batches.choose(0, engine, prepared) == 1


def test_free_memory_is_told_by_the_system_or_taken_to_be_little(monkeypatch):
    assert batches.free_bytes(torch.device("cpu")) > 2**20

    def refuse(*_, **__):
        raise OSError

    monkeypatch.setattr("builtins.open", refuse)
    assert batches._free_memory() > 2**20
    monkeypatch.setattr(batches.os, "sysconf", refuse)
    assert batches._free_memory() == 4 * 2**30


def test_an_estimate_needs_no_truth_and_no_key(case, tiny_package):
    assert estimate(Case(case.source), tiny_package.recipe.defaults.settings(), tiny_package).bytes > 0
