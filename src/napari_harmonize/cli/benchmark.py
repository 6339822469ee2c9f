"""``benchmark``: the findings of the papers, measured again, as tables, a page and pictures."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from napari_harmonize.cli import screen
from napari_harmonize.cli.options import Terminal, apply, given, options
from napari_harmonize.findings.settings import BenchmarkSettings

TERMINAL = Terminal()
BenchmarkOptions = options(BenchmarkSettings, "Benchmark", about="What is not given keeps its default.")
UNASKED = BenchmarkOptions()


def benchmark(
    *,
    out: Path,
    only: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    models: Path | None = None,
    real: Path | None = None,
    cache: Path | None = None,
    chosen: Annotated[BenchmarkOptions, Parameter(name="*")] = UNASKED,  # type: ignore[valid-type]
    terminal: Terminal = TERMINAL,
) -> int:
    """Measure the findings of the papers on simulated subjects; a run that was stopped goes on where it was.

    Parameters
    ----------
    out
        Folder for results.json, findings.md and images.
    only
        A section: style-keys, harmonisation, vessels or spine; all where none is named. May be repeated.
    models
        Folder of model packages that are looked for before those built in.
    real
        Folder of real pairs with pairs.csv (columns patient, task, source, target, mask), measured beside the simulated subjects.
    cache
        Folder of simulated subjects and measurements; "cache" in the output folder where not given.
    """
    settings = apply(BenchmarkSettings(), given(chosen))
    from napari_harmonize.findings import job, subjects

    pairs = None if real is None else subjects.real_pairs(real)
    find = job.finder(() if models is None else (models,))
    work = job.benchmark(settings, out, cache or out / "cache", only=only, find=find, real=pairs)
    found = screen.run(work, terminal)
    for section in found["sections"].values():
        for text in _texts(section):
            screen.tell(text)
    screen.tell(str(out / job.PAGE))
    return 0


def _texts(section: dict[str, Any]) -> list[str]:
    """Tables and claims of a section, for a terminal."""
    from napari_harmonize.findings.page import value

    texts = []
    for table in section["tables"]:
        rows = [(row["way"], *(value(row["numbers"][name]) for name in table["columns"])) for row in table["rows"]]
        texts.append(f"{section['title']}: {table['title']}, {table['subjects']} {table['group']}")
        texts.append(screen.table(rows, ("", *table["columns"].values())) + "\n")
    claims = [(claim["outcome"], claim["task"], claim["text"], claim["reason"]) for claim in section["claims"]]
    return [*texts, screen.table(claims, ("", "task", "finding", "numbers, or why")) + "\n"] if claims else texts
