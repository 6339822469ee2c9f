"""The page of findings, out of what results.json holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOTICE = "<!-- Made by `make findings`; do not edit. -->"
TITLE = "# Findings of the papers, measured again"
LEVELS = (
    "A claim *holds* where the mean difference goes its way and a paired test over the subjects says p < 0.05 (Wilcoxon's signed ranks; "
    "for Fréchet distances, which have one value for all subjects together, a bootstrap over subjects). It *does not hold* where the test "
    "does not tell the two apart, or where it goes the other way. It is *not measured* where a model is not there or fewer than six "
    "subjects were measured. Many claims are tested without a correction for their number."
)
PEOPLE = (
    "The simulated subjects are warps of **one averaged brain** (ICBM-152), scanned by the simulator with seeds that no training uses. "
    "What holds for them need not hold for patients. The models are the small ones of this project, not those of the papers."
)
OWN = (
    "The simulated subjects are warps of **{brains}**, segmented from T1 scans, scanned by the simulator with seeds that no training "
    "uses; whether a model was trained on the same brains is not known here. What holds for them need not hold for patients. The "
    "models are the small ones of this project, not those of the papers."
)
SCALE = (
    "Models are measured as they answer, on the scale of their targets, where 1 is the 99.5th percentile in the mask. A source or a "
    "baseline, which has no such scale, and the truth are divided by that percentile of the whole volume first."
)
HOW = (
    "```bash no-test\n"
    "make findings                              # everything; a stopped run goes on where it was\n"
    "napari-harmonize benchmark --out findings --only style-keys --subjects 6\n"
    "napari-harmonize benchmark --out findings --full --device cuda\n"
    "```"
)


def page(found: Mapping[str, Any] | None) -> str:
    """Write the page.

    Parameters
    ----------
    found : mapping, optional
        What results.json holds; without it the page says how to make it.

    Returns
    -------
    str
        Markdown; pictures are linked as ``images/...``.
    """
    parts = [NOTICE, TITLE]
    if found is None:
        parts += ["Nothing was measured yet. What is measured, and how it is judged:", PEOPLE, SCALE, LEVELS, HOW]
        return "\n\n".join(parts) + "\n"
    settings = found["settings"]
    form = "full" if settings["full"] else "standard"
    parts.append(
        f"Made by version {found['tool']} in its {form} form with **{settings['subjects']} simulated subjects** of every task, "
        f"in {found['hours']:g} h (without what was kept from before)."
    )
    if found["left out"]:
        parts.append(f"Not measured yet: {'; '.join(found['left out'])}.")
    parts += [people(found.get("anatomies", 0)), SCALE, LEVELS, HOW, _overview(found["sections"])]
    for section in found["sections"].values():
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def people(anatomies: int) -> str:
    """Say whose warps the simulated subjects are: of so many brains of the user's own, or of the template where there are none."""
    return OWN.format(brains=f"{anatomies} brain{'s' if anatomies > 1 else ''} of the user's own") if anatomies else PEOPLE


def _overview(sections: Mapping[str, Any]) -> str:
    rows = []
    for section in sections.values():
        outcomes = [claim["outcome"] for claim in section["claims"]]
        rows.append((section["title"], section["paper"], *(str(outcomes.count(name)) for name in OUTCOMES)))
    return markdown(("section", "paper", *OUTCOMES), rows)


OUTCOMES = ("holds", "does not hold", "not measured")


def _section(section: Mapping[str, Any]) -> Iterable[str]:
    yield f"## {section['title']}"
    yield section["about"]
    yield f"{section['paper']}. Measured on {section['measured on']}; mean ± standard deviation over subjects."
    if section["models"]:
        models = ", ".join(f"`{name}` {key[:12]}" for name, key in section["models"].items())
        yield f"Models, with the first figures of their hash: {models}."
    for table in section["tables"]:
        yield from _table(table)
    if section["costs"]:
        yield from _costs(section["costs"])
    for picture in section["pictures"]:
        yield f"![{picture['caption']}](images/{picture['file']})"
        yield f"*{picture['caption']}*"
    if section["claims"]:
        yield "**What the paper found, and what came out here**"
        head = ("task", "finding", "where", "here", "numbers, or why")
        yield markdown(
            head, [tuple(claim[name] for name in ("task", "text", "found in", "outcome", "reason")) for claim in section["claims"]]
        )
    if section.get("differs"):
        yield "**What is not as in the paper, and may be why a finding does not come out**"
        yield "\n".join(f"- {sentence}" for sentence in section["differs"])


def _table(table: Mapping[str, Any]) -> Iterable[str]:
    group = table["group"] if table["subjects"] > 1 else table["group"].removesuffix("s")
    yield f"**{table['title']}, {table['subjects']} {group}**"
    rows = [(row["way"], *(value(row["numbers"][name]) for name in table["columns"])) for row in table["rows"]]
    yield markdown(("", *table["columns"].values()), rows)
    reasons: dict[str, list[str]] = {}
    for way, reason in table["absent"].items():
        reasons.setdefault(reason, []).append(way)
    for reason, ways in reasons.items():
        shown = f"{', '.join(ways[:3])}{f' and {len(ways) - 3} more' if len(ways) > 3 else ''}"
        yield f"Not measured: {shown} – {reason.rstrip('.')}."


def _costs(costs: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield "**What a network costs**: one evaluation of one slice or patch, a multiplication and an addition counted as two"
    rows = [
        (
            cost["model"],
            f"{cost['parameters'] / 1e6:.2f} million",
            " × ".join(map(str, cost["size"])),
            f"{cost['gflops']:.3g}",
            f"{cost['rate']:.3g}",
        )
        for cost in costs
    ]
    yield markdown(("model", "parameters", "size", "GFLOP", "evaluations a second"), rows)


def value(number: Mapping[str, Any]) -> str:
    """Write mean and deviation with three or four digits; "-" where there is none."""
    if number["mean"] is None:
        return "-"
    mean = f"{number['mean']:.4g}"
    return mean if number["deviation"] is None else f"{mean} ± {number['deviation']:.2g}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
