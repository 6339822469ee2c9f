"""Train the models of the zoo, and put what has learnt into the package.

``python benchmarks/zoo.py [NAME ...] [--out FOLDER] [--device cuda] [--ship]`` simulates the pairs that are missing,
trains the models that are not trained, one after another, and goes on where it was stopped. With ``--ship`` the
packages of trained models that beat their untouched sources go into ``src/napari_harmonize/models``, their logs and
what came out into ``docs/models/zoo``, and the page ``docs/models/zoo.md`` is written anew.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

from napari_harmonize.events import Note, Progress, Stage, finish
from napari_harmonize.training.folder import LOG
from napari_harmonize.training.zoo import FACTS, FOLDER, LARGEST, Facts, make_zoo, names, package_of, read_facts, zoo_model
from napari_harmonize.translation import save
from napari_harmonize.translation.package import WEIGHTS

ROOT = Path(__file__).parent.parent
PAGE, SHELF = ROOT / "docs" / "models" / "zoo.md", ROOT / "docs" / "models" / "zoo"
HEAD = (
    "| model | task | network | parameters | steps | minutes | SSIM | PSNR dB | untouched SSIM, PSNR | ships |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="models; all where none is named")
    parser.add_argument("--out", type=Path, default=ROOT / "zoo", help="folder of pairs and runs")
    parser.add_argument("--ship", action="store_true", help="put what is trained into the package; nothing is trained")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="", help="where to train; the processor where not given")
    given = parser.parse_args()
    if not given.ship:
        finish(make_zoo(given.out, given.names, given.device), tell())
        return
    for name in given.names or names():
        if (given.out / name / FACTS).exists():
            ship(given.out, name)
    write_page()


def tell():
    """Print stages, notes and now and then how far it is."""
    last = 0.0

    def listen(event):
        nonlocal last
        if isinstance(event, Progress) and time.monotonic() - last > 30:
            last = time.monotonic()
            print(f"  {event.done} of {event.total} {event.unit}", flush=True)
        elif isinstance(event, Note | Stage):
            print(event.text if isinstance(event, Note) else f"{event.name}: {event.detail}", flush=True)

    return listen


def ship(out, name):
    """Copy one model's facts and log, and its package where it has learnt."""
    facts = read_facts(out / name / FACTS)
    SHELF.mkdir(parents=True, exist_ok=True)
    shutil.copy(out / name / FACTS, SHELF / f"{name}.json")
    shutil.copy(out / name / LOG, SHELF / f"{name}.csv")
    folder = FOLDER.parent / name
    if folder.exists():
        shutil.rmtree(folder)
    if not facts.learnt:
        print(f"{name} has not learnt: SSIM {facts.ssim:.4f}, untouched {facts.untouched_ssim:.4f}", file=sys.stderr)
        return
    package = package_of(out, name)
    halved = {key: value.half() for key, value in package.load_network().state_dict().items()}
    size = (save(folder, package.recipe, package.card, halved).path / WEIGHTS).stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{name} takes {size} bytes, at most {LARGEST} are allowed")
    print(f"{name}: {size / 1e6:.2f} MB")


def row(name):
    """One model's line of the table."""
    model = zoo_model(name)
    start = f"| `{name}` | {model.task} | `{model.recipe.network}` | {model.parameters:,} | {model.fit.steps}"
    if not (SHELF / f"{name}.json").exists():
        return f"{start} | not trained yet | | | | no |"
    facts: Facts = read_facts(SHELF / f"{name}.json")
    numbers = f"{facts.ssim:.4f} | {facts.psnr:.2f} | {facts.untouched_ssim:.4f}, {facts.untouched_psnr:.2f}"
    return f"{start} | {facts.minutes:.1f} | {numbers} | {'yes' if facts.learnt else 'no'} |"


def write_page():
    """Write the table into the page, between its two marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- table -->")
    _, _, after = rest.partition("<!-- end of table -->")
    table = "\n".join([*HEAD, *(row(name) for name in names())])
    PAGE.write_text(f"{before}<!-- table -->\n{table}\n<!-- end of table -->{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
