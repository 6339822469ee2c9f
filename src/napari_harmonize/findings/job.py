"""The benchmark: sections measured, claims judged, and everything written as JSON, a page and pictures."""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari_harmonize
from napari_harmonize.errors import SettingsError
from napari_harmonize.events import Job, Note, Progress, Stage
from napari_harmonize.findings import features, subjects
from napari_harmonize.findings.cache import Cache
from napari_harmonize.findings.claims import judge
from napari_harmonize.findings.costs import NetworkCost, network_cost
from napari_harmonize.findings.page import page
from napari_harmonize.findings.pictures import draw
from napari_harmonize.findings.results import section_to_json
from napari_harmonize.findings.sections import SECTIONS
from napari_harmonize.findings.table import REAL, SIMULATED, Bench, fill
from napari_harmonize.settings import to_json
from napari_harmonize.translation import built_in, load
from napari_harmonize.translation.engine import threads
from napari_harmonize.translation.package import RECIPE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from napari_harmonize.events import Event
    from napari_harmonize.findings.section import Section
    from napari_harmonize.findings.settings import BenchmarkSettings
    from napari_harmonize.findings.subjects import Subject
    from napari_harmonize.translation import ModelPackage
    from napari_harmonize.volumes import Volume

    Maker = Callable[[str, int, Path], Subject]

KIND, VERSION = "napari-harmonize.findings", 1
RESULTS, PAGE, IMAGES = "results.json", "findings.md", "images"


def benchmark(
    settings: BenchmarkSettings,
    out: Path,
    cache: Path,
    *,
    only: Sequence[str] = (),
    find: Callable[[str], ModelPackage | None] | None = None,
    real: Mapping[str, Sequence[Subject]] | None = None,
    make: Maker | None = None,
) -> Job[dict[str, Any]]:
    """Measure the findings of the papers.

    Parameters
    ----------
    settings : BenchmarkSettings
        How much, where.
    out : Path
        Folder for results.json, findings.md and images.
    cache : Path
        Folder of simulated subjects and measurements; a run that was stopped goes on from it.
    only : sequence of str
        Sections; all where empty.
    find : callable, optional
        Gives a model package by name, or None where there is none; those built in where absent.
    real : mapping of str to sequence of Subject, optional
        Real pairs by task, measured beside the simulated subjects.
    make : callable, optional
        ``make(task, number, folder)`` gives a held-out subject; they are simulated where absent.

    Yields
    ------
    Event
        Stages, progress in subjects and measurements, notes.

    Returns
    -------
    dict
        What results.json holds.

    Raises
    ------
    SettingsError
        There is no section of that name.
    HarmonizeError
        Subjects are not there yet and the simulator's template is not installed, or a scan of the anatomies cannot be used.
    """
    _refuse_unknown(only)
    began = time.monotonic()
    kind, described, function = features.maker(settings.vit)
    bench = Bench(settings, Cache(cache / "measurements"), find or finder(), described, function)
    anatomies = yield from _anatomies(settings.anatomies, settings.subjects)
    make = make or functools.partial(subjects.simulated, anatomies=settings.anatomies)
    (out / IMAGES).mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    with threads(settings.threads):
        for name in only or SECTIONS:
            yield Stage(SECTIONS[name].title)
            found[name] = yield from _section(bench, name, cache / "subjects", real or {}, make, kind, out / IMAGES)
    return _written(settings, kind, anatomies, found, time.monotonic() - began, out)


def _refuse_unknown(names: Iterable[str]) -> None:
    for name in names:
        if name not in SECTIONS:
            raise SettingsError(f"A section is one of {', '.join(SECTIONS)}", f"{name!r} arrived")


def _anatomies(folder: str, count: int) -> Generator[Event, None, int]:
    """Count the brains of the user's own that so many subjects are warps of, and say what must be known of them."""
    if not folder:
        return 0
    from napari_harmonize.simulate.own import scans, unmasked

    found = scans(folder)[:count]
    for sentence in unmasked(found):
        yield Note(sentence)
    return len({scan.content for scan in found})


def _written(settings: BenchmarkSettings, kind: str, anatomies: int, sections: dict[str, Any], seconds: float, out: Path) -> dict[str, Any]:
    """Write JSON and page, and give what the JSON holds; brains of the user's own stand there by what they hold, not by a path."""
    own = subjects.own_name(settings.anatomies) if settings.anatomies else ""
    told = {**to_json(settings), "vit": Path(settings.vit).name, "anatomies": own}
    facts = {"kind": KIND, "version": VERSION, "tool": napari_harmonize.__version__, "settings": told, "features": kind}
    found = {**facts, "anatomies": anatomies, "hours": round(seconds / 3600, 2), "sections": sections}
    found["left out"] = [section.title for name, section in SECTIONS.items() if name not in sections]
    (out / RESULTS).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / PAGE).write_text(page(found), encoding="utf-8")
    return found


def finder(folders: Iterable[Path] = ()) -> Callable[[str], ModelPackage | None]:
    """Make a function that looks for a model in folders of packages first, then among those built in."""
    places = tuple(folders)

    def find(name: str) -> ModelPackage | None:
        for folder in places:
            if (folder / name / RECIPE).is_file():
                return load(folder / name)
        return load(name) if name in built_in() else None

    return find


def _section(
    bench: Bench,
    name: str,
    home: Path,
    real: Mapping[str, Sequence[Subject]],
    make: Maker,
    kind: str,
    images: Path,
) -> Generator[Event, None, dict[str, Any]]:
    """Measure a section on simulated subjects, and on real pairs of its tasks."""
    section = SECTIONS[name]
    tables, verdicts, costs = [], [], []
    for task in section.tasks:
        people = yield from _people(task, bench.settings.subjects, home, make)
        reference = yield from _reference(section, bench, task, home, make)
        table = yield from fill(bench, section, task, SIMULATED, people, reference)
        tables.append(table)
        verdicts += [(task, judge(claim, table.found, table.absent, kind)) for claim in section.claims(task, bench.settings.full)]
        costs += _costs(bench, section, task, people[0]) if section.costs else []
        if real.get(task):
            tables.append((yield from fill(bench, section, task, REAL, real[task], None)))
    pictures = [picture for table in tables for picture in draw(name, section, table, kind, images)]
    made = section_to_json(section, tables, verdicts, costs, pictures, kind, bench.settings)
    names = dict.fromkeys(way.model for table in tables for way in table.ways if way.is_model and way.name in table.found)
    return made | {"models": {name: package.hash for name in names if (package := bench.find(name)) is not None}}


def _people(task: str, count: int, home: Path, make: Maker) -> Generator[Event, None, list[Subject]]:
    yield Stage("Held-out subjects", task)
    found = []
    for number in range(count):
        found.append(make(task, number, home))
        yield Progress(number + 1, count, "subjects")
    return found


def _reference(section: Section, bench: Bench, task: str, home: Path, make: Maker) -> Generator[Event, None, Volume | None]:
    """True volume of one subject more, where a baseline is matched to one."""
    if not any(way.reference for way in section.ways(task, bench.settings.full)):
        return None
    yield Stage("Held-out subjects", f"{task}, one to match to")
    return make(task, subjects.REFERENCE, home).truth


def _costs(bench: Bench, section: Section, task: str, subject: Subject) -> list[NetworkCost]:
    names = dict.fromkeys(way.model for way in section.ways(task, bench.settings.full) if way.is_model)
    packages = [package for name in names if (package := bench.find(name)) is not None]
    return [network_cost(bench.settings, package, subject) for package in packages]
