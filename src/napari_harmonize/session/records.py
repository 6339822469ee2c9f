"""What the project folder is told: one line for everything that matters, and each result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from napari_harmonize.session.backend import job
from napari_harmonize.session.review import Item
from napari_harmonize.session.runs import Run, RunState
from napari_harmonize.volumes import discreet, public_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_harmonize.session.backend import Backend
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.session.project import Project
    from napari_harmonize.session.review import Decision
    from napari_harmonize.session.style import Look
    from napari_harmonize.translation import Result
    from napari_harmonize.volumes import Volume

T = TypeVar("T")


def load_facts(role: str, volume: Volume) -> dict[str, Any]:
    """Audit line of a volume that came."""
    shape, spacing = list(volume.shape), [round(side, 4) for side in volume.spacing]
    return {"role": role, "name": public_name(volume), "sha256": volume.sha256, "shape": shape, "spacing_mm": spacing}


def run_facts(run: Run) -> dict[str, Any]:
    """Audit line of a run that ended."""
    facts: dict[str, Any] = {"run": run.id, "state": run.state.value, "model": run.model, "ticks": list(run.ticks)}
    if run.case is not None:
        facts |= {"source": public_name(run.case.source), "source_sha256": run.case.source.sha256}
    if run.result is not None:
        facts |= {"facts_sha256": run.result.run.hash, "result_sha256": result_hash(run.result)}
    return _discreet(facts | ({"error": run.error} if run.error else {}), run)


def _discreet(value: T, run: Run) -> T:
    return value if run.case is None else discreet(value, run.case.source, run.case.truth, run.case.mask)


def look_facts(look: Look) -> dict[str, Any]:
    """Audit line of a change of style that was kept."""
    key = look.wished()
    return {} if key is None else {"key": key.describe(), "peeks": key.peeks, "history": list(key.history)}


def decision_facts(made: Decision) -> dict[str, Any]:
    """Audit line of a decision; the decision itself stands in the rater's file."""
    return {"run": made.item.run, "verdict": made.verdict.value, "rater": made.rater, "result_sha256": made.item.result_sha256}


def result_hash(result: Result) -> str:
    """Hash of a result's array, as its run states it."""
    return str(result.run.facts.get("result", {}).get("sha256", "") or result.volume.sha256)


def item_of(run: Run) -> Item:
    """Worklist item of a run with a result."""
    assert run.result is not None
    source = run.result.run.facts.get("source", {})
    return Item(run.id, str(source.get("name", "")), run.model, str(source.get("sha256", "")), result_hash(run.result))


def keep(desk: Desk, backend: Backend, project: Project, run: Run) -> Request:
    """Write a run's result into the project, so that it can be reviewed another day."""
    result, folder = run.result, project.results
    assert result is not None
    record = {
        "id": run.id,
        "model": run.model,
        "ticks": _discreet(list(run.ticks), run),
        "facts": dict(result.run.facts),
        "volatile": dict(result.run.volatile),
    }
    work = job(f"Keeping {run.id}", lambda: _write(backend, folder, run.id, result.volume, record))
    return desk.ask("keep", f"Keeping {run.id}", work, lambda _: None, slot=f"keep {run.id}")


def kept_runs(project: Project) -> tuple[Run, ...]:
    """List the runs a project keeps; their volumes are read when they are looked at."""
    runs = []
    for path in sorted(project.results.glob("run-*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        runs.append(Run(record["id"], 0, RunState.DONE, model=record["model"], ticks=tuple(record["ticks"])))
    return tuple(runs)


def reread(desk: Desk, backend: Backend, project: Project, run: Run, answer: Callable[[Result], None]) -> Request:
    """Read a kept result again."""
    folder = project.results
    return desk.ask("load", f"Reading {run.id}", job(f"Reading {run.id}", lambda: _read(backend, folder, run.id)), answer, slot="reread")


def kept_item(project: Project, run: Run) -> Item:
    """Worklist item of a kept run, without reading its volume."""
    facts = json.loads((project.results / f"{run.id}.json").read_text(encoding="utf-8"))["facts"]
    source = facts.get("source", {})
    return Item(run.id, source.get("name", ""), run.model, source.get("sha256", ""), facts.get("result", {}).get("sha256", ""))


def _write(backend: Backend, folder: Path, run_id: str, volume: Volume, record: dict[str, Any]) -> None:
    backend.write(volume, folder / f"{run_id}.nii.gz")
    # the record comes last: a run is kept only once its volume is whole
    part = folder / f"{run_id}.json.part"
    part.write_text(json.dumps(record, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    part.replace(folder / f"{run_id}.json")


def _read(backend: Backend, folder: Path, run_id: str) -> Result:
    record = json.loads((folder / f"{run_id}.json").read_text(encoding="utf-8"))
    return backend.result(backend.read(folder / f"{run_id}.nii.gz"), record["facts"], record["volatile"])
