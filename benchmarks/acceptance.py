"""Measure a model package on the sample pairs and, where they are at hand, on real pairs.

``python benchmarks/acceptance.py [PACKAGE] [--real FOLDER] [--steps N] [--write]`` prints one table: the untouched source, histogram
matching with the truth's own histogram and the best pointwise mapping the truth allows (both peek), the model with
its averaged training key, with the truth's own key (oracle: peeks), and with slice consistency off.

Numbers follow one rule: each volume is divided by its 99.5th percentile inside the brain mask and clipped to 0..1;
PSNR over the mask with data range 1; SSIM is scikit-image's default map averaged inside the mask.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from napari_harmonize.events import finish
from napari_harmonize.metrics import consistency_error, evaluate, pointwise_mapping
from napari_harmonize.metrics.comparison import scale
from napari_harmonize.settings import replace
from napari_harmonize.style import Origin, compute
from napari_harmonize.translation import Case, load, translate
from napari_harmonize.translation.package import CARD
from napari_harmonize.volumes import from_array, read

SAMPLES = Path(__file__).parent.parent / "sample_data"


@dataclass(frozen=True)
class Subject:
    name: str
    case: Case
    references: tuple[Path, ...] = ()


def sample_pairs():
    for folder in sorted(path for path in SAMPLES.iterdir() if path.is_dir()):
        source, truth, mask = (read(folder / f"{which}.nii.gz") for which in ("source", "target", "mask"))
        yield folder.name, Case(source, truth, mask)


def real_pairs(root):
    t1 = read(root / "pair_stroke" / "T1.nii.gz")
    mask = from_array((t1.data > 0).astype(np.uint8), t1.affine, name="mask")
    for contrast in ("T2", "FLAIR"):
        yield f"stroke {contrast} to T1", Case(read(root / "pair_stroke" / f"{contrast}.nii.gz"), t1, mask)


def other_person(root):
    """T1 look of a person who is in no pair."""
    brain = read(root / "mr_t1_brain_lia.mgz")
    inside = brain.data > 0
    return compute(scale(brain.data, inside) * inside, origin=Origin.REFERENCE, source_name=brain.name, label="another person's T1")


def measure(case, data):
    inside = case.mask.data > 0
    scores = {score.name: score.value for score in evaluate(data, case.truth.data, mask=inside, metrics=("psnr", "ssim", "correlation"))}
    scaled, truth = scale(data, inside), scale(case.truth.data, inside)
    error = consistency_error(scaled, truth, inside, 2)
    return scores["psnr"], scores["ssim"], scores["correlation"], error


def rows(case, package, settings, other):
    truth, inside = case.truth, case.mask.data > 0
    yield "untouched", measure(case, case.source.data)
    matched = finish(translate(case, replace(settings, model="baseline:histogram-matching"))).volume.data
    yield "histogram matching (peeks)", measure(case, matched)
    pointwise = pointwise_mapping(np.asarray(case.source.data), truth.data, inside)
    yield "best pointwise mapping (peeks)", measure(case, np.asarray(pointwise))
    yield "model, averaged key", measure(case, finish(translate(case, settings, package)).volume.data)
    off = replace(settings, consistency="none")
    yield "model, averaged key, no consistency", measure(case, finish(translate(case, off, package)).volume.data)
    oracle = compute(scale(truth.data, inside) * inside, origin=Origin.ORACLE, source_name=truth.name)
    for label, key in (("model, other person's key", other), ("model, the truth's own key (oracle)", oracle)):
        if key is not None:
            wished = Case(case.source, truth, case.mask, key)
            yield label, measure(case, finish(translate(wished, settings, package)).volume.data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", nargs="?", default="any-to-t1")
    parser.add_argument("--real", type=Path, default=Path("../shared/data/real"))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true", help="write the model's rows into its card")
    given = parser.parse_args()
    package = load(given.package)
    settings = replace(package.recipe.defaults.settings(str(given.package)), steps=given.steps)
    pairs = [*sample_pairs(), *(real_pairs(given.real) if given.real.is_dir() else ())]
    other = other_person(given.real) if given.real.is_dir() else None
    found = []
    print("| pair | method | PSNR dB | SSIM | correlation | slice-consistency error |\n| --- | --- | --- | --- | --- | --- |")
    for name, case in pairs:
        if given.only not in name:
            continue
        for method, (psnr, ssim, correlation, error) in rows(case, package, settings, other):
            print(f"| {name} | {method} | {psnr:.2f} | {ssim:.4f} | {correlation:.3f} | {error:.4f} |", flush=True)
            if method == "model, averaged key":
                found += [[name, "PSNR in dB", round(psnr, 2)], [name, "SSIM", round(ssim, 4)]]
    if given.write:
        card = package.path / CARD
        values = {**json.loads(card.read_text()), "metrics": found}
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
        card.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    torch.set_num_threads(torch.get_num_threads())
    main()
