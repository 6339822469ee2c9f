"""Every section end to end on two small subjects and tiny models; what is kept, and what is measured anew."""

from __future__ import annotations

import functools
import json
import math
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import tiny_model
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import Note, finish
from napari_harmonize.findings import table
from napari_harmonize.findings.claims import UNKNOWN
from napari_harmonize.findings.columns import FRECHET
from napari_harmonize.findings.job import PAGE, RESULTS, benchmark
from napari_harmonize.findings.sections import SECTIONS
from napari_harmonize.findings.settings import BenchmarkSettings
from napari_harmonize.findings.subjects import TASKS
from napari_harmonize.findings.ways import KEYS, TRUTH
from napari_harmonize.training.zoo import names
from small_subjects import among, small

if TYPE_CHECKING:
    from pathlib import Path

TWO = BenchmarkSettings(subjects=2, slices=7, device="cpu")


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("full", [False, True])
def test_claims_are_about_ways_and_numbers_of_their_section(name, full):
    section = SECTIONS[name]
    for task in section.tasks:
        ways = section.ways(task, full)
        names = [way.name for way in ways]
        assert len(set(names)) == len(names)
        assert TASKS[task].simulation().voxel == 2  # the simulator knows both contrasts
        assert {way.key for way in ways} <= set(KEYS)
        assert (FRECHET in section.columns) == (TRUTH in names)
        for claim in section.claims(task, full):
            assert {claim.better, claim.worse} <= set(names)
            assert claim.number in section.columns


def test_every_model_that_is_asked_for_can_be_trained():
    asked = {way.model for section in SECTIONS.values() for task in section.tasks for way in section.ways(task, False) if way.is_model}
    assert asked <= set(names())


@dataclass(frozen=True)
class Measured:
    """What a section's benchmark gave, and where it left its files."""

    found: dict
    home: Path

    @property
    def out(self) -> Path:
        return self.home / "out"

    @property
    def cache(self) -> Path:
        return self.home / "cache"


@pytest.fixture(scope="module")
def measured(packages, tmp_path_factory):
    """Each section, measured once for all tests."""

    @functools.cache
    def once(name: str) -> Measured:
        home = tmp_path_factory.mktemp(name)
        work = benchmark(TWO, home / "out", home / "cache", only=(name,), find=among(packages), make=small)
        return Measured(finish(work), home)

    return once


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_from_subjects_to_page(name, measured):
    there = measured(name)
    section, made = SECTIONS[name], there.found["sections"][name]
    assert json.loads((there.out / RESULTS).read_text()) == there.found
    absent = set()
    for task, shown in zip(section.tasks, made["tables"], strict=True):
        ways = [way.name for way in section.ways(task, False) if way.name != TRUTH]
        assert [row["way"] for row in shown["rows"]] == [name for name in ways if name not in shown["absent"]]
        assert set(shown["absent"]) <= set(ways)
        absent |= set(shown["absent"].values())
        for row in shown["rows"]:
            assert list(row["numbers"]) == list(section.columns)
            kept = [number["mean"] for column, number in row["numbers"].items() if column != "vif"]  # slices too small for it
            assert all(value is not None and math.isfinite(value) for value in kept), row
    assert absent == (
        {"the model flair-to-t1 is not there", "the model flair-to-t1-no-key is not there"} if name == "style-keys" else set()
    )
    assert {claim["outcome"] for claim in made["claims"]} == {UNKNOWN}
    reasons = ("is not there", "needs 6 subjects", "no value")
    assert all(any(reason in claim["reason"] for reason in reasons) for claim in made["claims"])


@pytest.mark.parametrize("name", SECTIONS)
def test_page_pictures_and_costs_of_a_section(name, measured):
    there = measured(name)
    made, text = there.found["sections"][name], (there.out / PAGE).read_text()
    assert all(claim["text"] in text for claim in made["claims"])
    for picture in made["pictures"]:
        assert (there.out / "images" / picture["file"]).stat().st_size > 2000
        assert f"images/{picture['file']}" in text
    asked = {row["model"] for shown in made["tables"] for row in shown["rows"]}
    assert set(made["models"]) == {model for model in asked if not model.startswith("baseline:")}
    assert bool(made["costs"]) == SECTIONS[name].costs
    assert all(cost["rate"] > 0 and cost["gflops"] > 0 and cost["parameters"] > 0 for cost in made["costs"])


def test_rows_differ_as_their_settings_do(measured):
    rows = measured("style-keys").found["sections"]["style-keys"]["tables"][0]["rows"]
    means = [row["numbers"]["psnr"]["mean"] for row in rows]
    assert len(rows) == 8
    assert len(set(means)) == len(means)


def stopped(work, measurements: int) -> None:
    """Close a job after so many new measurements."""
    done = 0
    while done < measurements:
        event = next(work)
        done = event.done if getattr(event, "unit", "") == table.UNIT else done
    work.close()


def test_a_stopped_run_goes_on_to_the_same(tmp_path, find, make, measured, monkeypatch):
    def run():
        return benchmark(TWO, tmp_path / "out", tmp_path / "cache", only=("harmonisation",), find=find, make=make)

    stopped(run(), 5)
    assert len(list((tmp_path / "cache" / "measurements").rglob("*.npz"))) == 5
    made = []
    measure = table.measure
    monkeypatch.setattr(table, "measure", lambda *given: made.append(given) or measure(*given))
    assert finish(run())["sections"] == measured("harmonisation").found["sections"]
    assert len(made) == 2 * 2 * 4 - 5
    made.clear()
    assert finish(run())["sections"] == measured("harmonisation").found["sections"]
    assert made == []


def test_only_a_changed_model_is_measured_anew(tmp_path, make, packages, measured, monkeypatch):
    cache = shutil.copytree(measured("style-keys").cache, tmp_path / "cache")
    monkeypatch.setattr(tiny_model, "SEED", 8)
    tiny_model.make(tmp_path / "models" / "ct-to-t1-no-key", style=False)

    def to_make(*folders) -> str:
        notes: list[str] = []
        work = benchmark(TWO, tmp_path / "out", cache, only=("style-keys",), find=among(*folders, packages), make=make)
        finish(work, lambda event: notes.append(event.text) if isinstance(event, Note) else None)
        return notes[0]

    assert "0 of 16 measurements" in to_make()
    assert "4 of 16 measurements" in to_make(tmp_path / "models")
    assert "0 of 16 measurements" in to_make(tmp_path / "models")


def test_real_pairs_are_tables_of_their_own(tmp_path, find, make, measured):
    real = {"1p5t-to-3t": [make("1p5t-to-3t", 77)]}
    cache = measured("harmonisation").cache
    found = finish(benchmark(TWO, tmp_path / "out", cache, only=("harmonisation",), find=find, make=make, real=real))
    tables = found["sections"]["harmonisation"]["tables"]
    assert [(shown["task"], shown["group"], shown["subjects"]) for shown in tables] == [
        ("1p5t-to-3t", "simulated subjects", 2),
        ("1p5t-to-3t", "real pairs", 1),
        ("3t-to-1p5t", "simulated subjects", 2),
    ]
    assert tables[1]["absent"] == {"histogram matching to another subject": "there is no other subject to match to"}


def test_untouched_and_matched_have_the_numbers_they_must(measured):
    found = measured("harmonisation").found["sections"]["harmonisation"]
    rows = {row["way"]: row["numbers"] for row in found["tables"][0]["rows"]}
    assert rows["histogram matching to the truth (peeks)"]["ahd"]["mean"] < 0.1 * rows["original"]["ahd"]["mean"]
    assert rows["original"]["dice-white"]["count"] == 2


def test_ways_that_do_not_suit_a_model_say_why(packages, find):
    guided = next(way for way in SECTIONS["spine"].ways("flair-to-t1", False) if way.name.endswith("w 2"))
    assert table.why_absent(guided, find("compare-ddim-image"), TWO, None) == ""
    assert table.why_absent(guided, None, TWO, None) == f"the model {guided.model} is not there"
    swapped = next(way for way in SECTIONS["vessels"].ways("flair-to-t1", False) if "shifted" in way.name)
    assert "time is continuous" in table.why_absent(swapped, find("compare-ddim-image"), TWO, None)
    best = next(way for way in SECTIONS["style-keys"].ways("ct-to-t1", False) if way.key == "best")
    assert "without training style keys" in table.why_absent(best, find("ct-to-t1-no-key"), TWO, None)


def test_an_unknown_section_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="style-keys, harmonisation, vessels, spine"):
        finish(benchmark(TWO, tmp_path, tmp_path, only=("everything",)))


def test_middle_slices_lie_about_the_middle_of_the_mask(make):
    subject = make("ct-to-t1", 0)
    assert subject.middle(7) == range(2, 9)
    assert subject.middle(40) == range(12)
