"""Make the pages of ``docs/reference`` out of settings declarations, tables and the command line: ``make reference``."""

from __future__ import annotations

import inspect
import io
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

import napari_harmonize.errors
from napari_harmonize.cli import make_app
from napari_harmonize.diffusion import OBJECTIVES, PATHS, SAMPLERS, SPACINGS, Correction
from napari_harmonize.findings.settings import BenchmarkSettings
from napari_harmonize.metrics import METRICS
from napari_harmonize.networks import NETWORKS
from napari_harmonize.prepare import STEPS
from napari_harmonize.settings import Declaration, Settings, declarations
from napari_harmonize.simulate.effects import EFFECTS
from napari_harmonize.simulate.settings import AcquisitionSettings, SimulationSettings, SubjectSettings
from napari_harmonize.style import Edit
from napari_harmonize.translation import BASELINES, IMPORTERS, Card, Recipe, TranslationSettings
from napari_harmonize.translation.plan import refusal
from napari_harmonize.translation.remedies import REMEDIES
from napari_harmonize.volumes import READERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cyclopts import App

FOLDER = Path(__file__).parent / "reference"
NOTICE = "<!-- Made by `make reference`; do not edit. -->"


def pages() -> dict[str, str]:
    """Every page, by file name."""
    made = {
        "settings.md": settings_page(),
        "tables.md": tables_page(),
        "matrix.md": matrix_page(),
        "command-line.md": command_page(),
        "errors.md": errors_page(),
    }
    return {name: f"{NOTICE}\n\n{text.strip()}\n" for name, text in made.items()}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def code(names: Iterable[str]) -> str:
    """Names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def settings_page() -> str:
    """Every settings class."""
    parts = ["# Settings", "Every class below is a frozen dataclass; the form, the command line and the JSON files follow from it."]
    parts += section("Translation", "What a user may choose for one run.", TranslationSettings)
    parts += section("Correction", "Between the steps, where slice consistency asks for it.", Correction)
    parts += section("Edit of a style key", "What the handles and sliders of the style dock change.", Edit)
    parts += section("Model card", "What `card.json` of a model package says.", Card)
    parts += section("Simulation", "What `napari-harmonize simulate` makes.", SimulationSettings)
    parts += section("Simulated subject", "Part of a simulation: `subject`.", SubjectSettings)
    parts += section("Simulated acquisition", "Part of a simulation: `acquisition`.", AcquisitionSettings)
    parts += section("Benchmark", "What `napari-harmonize benchmark` measures.", BenchmarkSettings)
    parts += ["## Networks", "Part of a recipe: `network_settings`."]
    parts += many((name, row.help, row.settings) for name, row in NETWORKS.items())
    parts += ["## Paths", "Part of a recipe: `path_settings`."]
    parts += many((name, row.help, row.settings) for name, row in PATHS.items())
    parts += ["## Steps of preparation", "Part of a recipe: `steps`."]
    parts += many((name, first_line(cls), cls.Settings) for name, cls in STEPS.items())
    parts += ["## Importers", "What a checkpoint cannot tell: `napari-harmonize import FILE --answer NAME=VALUE`."]
    parts += many((name, row.help, row.questions()) for name, row in IMPORTERS.items())
    return "\n\n".join(parts)


RESAMPLED = (("resample", {"spacing": (1.0, 1.0, 1.0)}),)
MODELS = {
    "bridge, stacks": Recipe("bridge-unet", path="bridge", objective="grad", steps=RESAMPLED),
    "diffusion, slices": Recipe("guided-unet", path="linear-beta", objective="noise", radius=0, steps=RESAMPLED),
    "with learnt variance": Recipe("guided-unet", path="linear-beta", objective="noise", radius=0, steps=RESAMPLED, learns_variance=True),
    "continuous time": Recipe("xmodality-adm", path="log-snr", objective="velocity", radius=0, steps=RESAMPLED),
    "diffusion, volumes": Recipe("unet-3d", path="cosine-beta", objective="clean", radius=0, patch=(32, 128, 128), steps=RESAMPLED),
    "one pass, slices": Recipe("pix2pix-unet", path="direct", objective="clean", radius=0, steps=RESAMPLED),
}
SHORT = {"none": "N", "co-prediction": "C", "co-prediction+correction": "C+", "three planes": "P", "three planes+correction": "P+"}


def matrix_page() -> str:
    """Which sampler and which slice consistency suit which model, as the refusals say."""
    reasons: dict[str, int] = {}
    rows = [[f"`{name}`", *(cell(name, recipe, reasons) for recipe in MODELS.values())] for name in SAMPLERS]
    words = ", ".join(f"{short} {word}" for word, short in SHORT.items())
    why = "\n".join(f"{number}. {reason}" for reason, number in reasons.items())
    return "\n\n".join(
        [
            "# Models, samplers and slice consistency",
            f"A cell lists what runs: {words}. A number says why the rest, or all of it, is refused. Every cell is tried on a tiny network "
            "in the tests: run to its end although memory runs out half-way, stopped half-way, or refused.",
            table(["sampler", *MODELS], rows),
            why,
        ]
    )


def cell(sampler: str, recipe: Recipe, reasons: dict[str, int]) -> str:
    """Consistencies that run, and the numbers of the reasons against the others."""
    steps = min(max(10, SAMPLERS[sampler].limits[0]), SAMPLERS[sampler].limits[1])
    found = {name: refusal(TranslationSettings(sampler=sampler, steps=steps, consistency=name), recipe) for name in SHORT}
    numbers = sorted({reasons.setdefault(reason, len(reasons) + 1) for reason in found.values() if reason})
    allowed = " ".join(SHORT[name] for name, reason in found.items() if not reason)
    return f"{allowed} <sup>{', '.join(map(str, numbers))}</sup>".strip() if numbers else allowed


def section(title: str, about: str, cls: type[Settings]) -> list[str]:
    """A heading, a sentence and the table of a settings class."""
    return [f"## {title}", about, settings_table(cls)]


def many(rows: Iterable[tuple[str, str, type[Settings]]]) -> Iterator[str]:
    """One smaller section for each row of a table of units."""
    for name, about, cls in rows:
        yield f"### {name}"
        yield about
        yield settings_table(cls)


def settings_table(cls: type[Settings]) -> str:
    """One line for each setting."""
    found = declarations(cls)
    if not found:
        return "It has no settings."
    rows = [(f"`{name}`", kind(item), limits(item), default(item), item.help) for name, item in found.items()]
    return table(("name", "kind", "allowed", "default", "what it is"), rows)


def kind(item: Declaration) -> str:
    """What sort of value a setting is, in plain words."""
    name = {"str": "text", "bool": "yes or no", "int": "whole number", "float": "number", "tuple": "list"}.get(item.kind.__name__)
    return (name or f"see {item.kind.__name__}") + " or nothing" * item.optional


def limits(item: Declaration) -> str:
    """Choices, or limits with their unit."""
    if item.choices is not None:
        return code(item.allowed())
    low = "" if item.low is None else f"{item.low:.10g}"
    high = "" if item.high is None else f"{item.high:.10g}"
    text = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}" if high else ""
    return f"{text} {item.unit}".strip()


def default(item: Declaration) -> str:
    """Value when nothing is said."""
    if isinstance(item.default, Settings):
        return ""
    return {"": "empty", "()": "empty", "None": "nothing", "True": "yes", "False": "no"}.get(str(item.default), f"`{item.default}`")


def tables_page() -> str:
    """Every table of things to choose from."""
    parts = ["# Tables", "What can be chosen. A row more in the source, and it appears here, in the forms and on the command line."]
    for title, head, rows in listed():
        parts += [f"## {title}", table(head, rows)]
    return "\n\n".join(parts)


def listed() -> Iterator[tuple[str, Sequence[str], list[Sequence[str]]]]:
    """Title, head and rows of every table."""
    head = ("name", "what it is", "paths", "steps", "by default", "evaluations a step", "seed matters", "times")
    yield "Samplers", head, [_sampler(name) for name in SAMPLERS]
    yield (
        "Time lists",
        ("name", "what it is", "paths"),
        [(f"`{name}`", row.help, code(row.paths)) for name, row in SPACINGS.items()],
    )
    yield "Paths", ("name", "what it is", "kind"), [(f"`{name}`", row.help, row.kind) for name, row in PATHS.items()]
    yield (
        "Objectives",
        ("name", "the network predicts", "paths"),
        [(f"`{name}`", row.help, code(row.paths)) for name, row in OBJECTIVES.items()],
    )
    yield "Networks", ("name", "what it is"), [(f"`{name}`", row.help) for name, row in NETWORKS.items()]
    yield "Steps of preparation", ("name", "what it does"), [(f"`{name}`", first_line(cls)) for name, cls in STEPS.items()]
    yield "Metrics", ("name", "title", "unit", "better", "perfect", "needs", "what it is"), [_metric(name) for name in METRICS]
    yield (
        "Baselines",
        ("model", "what it is", "looks at the truth", "takes a style key"),
        [(f"`baseline:{name}`", row.help, _yes(row.needs_reference), _yes(row.needs_key)) for name, row in BASELINES.items()],
    )
    yield "Importers", ("system", "what it is", "files"), [(f"`{name}`", row.help, code(row.suffixes)) for name, row in IMPORTERS.items()]
    yield "File formats", ("name", "what it is", "endings read", "endings written"), [_format(name) for name in READERS]
    yield "Remedies of pre-flight", ("name", "what it does"), [(f"`{name}`", row.help) for name, row in REMEDIES.items()]
    yield (
        "Effects of the simulator",
        ("name", "what it is", "strength in"),
        [(f"`{name}`", row.help, row.unit) for name, row in EFFECTS.items()],
    )


def _span(span: tuple[int, int]) -> str:
    return f"{span[0]} to {span[1]}"


def _sampler(name: str) -> tuple[str, ...]:
    row = SAMPLERS[name]
    seed = "always" if row.seed_matters(0) else "where eta is above 0" if row.seed_matters(1) else "never"
    about = f"{row.help}{' Needs a network that learned its variance.' if row.learned_variance else ''}"
    return f"`{name}`", about, code(row.paths), _span(row.limits), str(row.default_steps), str(row.passes), seed, f"`{row.spacing}`"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _metric(name: str) -> tuple[str, ...]:
    row = METRICS[name]
    best = "depends on the case" if row.best is None else "infinite" if math.isinf(row.best) else f"{row.best:g}"
    about = f"{row.help}{' Only on request.' if row.on_request else ''}"
    return f"`{name}`", row.title, row.unit, "higher" if row.higher_is_better else "lower", best, ", ".join(sorted(row.needs)), about


def _format(name: str) -> tuple[str, ...]:
    row = READERS[name]
    return f"`{name}`", row.sentence, code(row.suffixes), code(row.writer.suffixes) if row.writer else ""


def command_page() -> str:
    """Help of every command."""
    parts = [
        "# Command line",
        "Exit codes: 0 done, 1 refused or failed with a sentence, 2 wrong usage, 3 stopped by pre-flight, 130 stopped by the user.",
    ]
    app = make_app()
    app.help_formatter = "plain"
    for path in commands(app):
        title = " ".join(("napari-harmonize", *path))
        parts += [f"## {title}", f"```text\n{help_of(app, path)}\n```"]
    return "\n\n".join(parts)


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and sub-command."""
    yield path
    for name in sorted(name for name in app if not name.startswith("-")):
        yield from commands(app[name], (*path, name))


def help_of(app: App, path: Sequence[str]) -> str:
    """Help of one command, as wide as it likes."""
    text = io.StringIO()
    app.help_print(list(path), console=Console(file=text, width=1000, color_system=None))
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


def errors_page() -> str:
    """The tree of exceptions."""
    about = "Everything raised on purpose carries three sentences: the rule, what arrived, what to do."
    tree = inspect.cleandoc(napari_harmonize.errors.__doc__ or "").split("::", 1)[1].split("\n\nEach", 1)[0]
    return f"# Errors\n\n{about}\n\n```text\n{inspect.cleandoc(tree)}\n```"


def first_line(thing: object) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def main() -> int:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
