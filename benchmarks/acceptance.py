"""Measure a model package on the sample pairs and, where they are at hand, on real pairs.

``python benchmarks/acceptance.py [PACKAGE] [--real FOLDER] [--steps N] [--only PAIR] [--rows METHOD...] [--write]`` prints one
table: the untouched source, histogram matching with the truth's own histogram and the best pointwise mapping the
truth allows (both peek), the model with its averaged training key, with another person's, with the truth's own
key (oracle: peeks), and with slice consistency off.

Numbers follow one rule: each volume is divided by its 99.5th percentile inside the brain mask, clipped to 0..1 and set to 0
outside the mask; PSNR over the mask with data range 1; SSIM is scikit-image's default map averaged inside the mask. A model
answers on the scale of its targets; the last two columns measure it as it answered, only the truth being divided. Sources are
said to have the contrast they have.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from real_pairs import real_pairs

from napari_harmonize.events import finish
from napari_harmonize.metrics import consistency_error, evaluate, pointwise_mapping
from napari_harmonize.metrics.comparison import scale
from napari_harmonize.settings import replace
from napari_harmonize.style import Origin, compute
from napari_harmonize.translation import Case, load, translate
from napari_harmonize.translation.package import CARD
from napari_harmonize.volumes import from_array, read

SAMPLES = Path(__file__).parent.parent / "sample_data"


HEAD = (
    "| pair | method | PSNR dB | SSIM | correlation | slice-consistency error | PSNR as answered | SSIM as answered |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def sample_pairs():
    for folder in sorted(path for path in SAMPLES.iterdir() if path.is_dir()):
        source, truth, mask = (read(folder / f"{which}.nii.gz") for which in ("source", "target", "mask"))
        yield folder.name, Case(source, truth, mask), mask.data > 0


def said(name, case):
    """The case with its source's contrast stated, as a user states it."""
    contrast = next((word for word in ("FLAIR", "T2", "CT") if word in name.upper()), "T1")
    return dataclasses.replace(case, source=case.source.replace(modality=contrast))


def other_person(root):
    """T1 look of a person who is in no pair."""
    brain = read(root / "mr_t1_brain_lia.mgz")
    inside = brain.data > 0
    return compute(scale(brain.data, inside) * inside, origin=Origin.REFERENCE, source_name=brain.name, label="another person's T1")


def alone(data, inside):
    """A volume on the acceptance scale, 0 outside the mask: a window at its rim sees the same nothing in every method."""
    return scale(data, inside) * inside


def measure(case, data, inside):
    scaled, truth = alone(data, inside), alone(case.truth.data, inside)
    return (*scores(scaled, truth, inside), consistency_error(scaled, truth, inside, 2))


def scores(data, truth, inside):
    """PSNR, SSIM and correlation of volumes on one scale."""
    return (score.value for score in evaluate(data, truth, mask=inside, metrics=("psnr", "ssim", "correlation"), scaled=True))


def answered(case, data, inside):
    """PSNR and SSIM of a model's answer as it is."""
    psnr, ssim, _ = scores(data * inside, alone(case.truth.data, inside), inside)
    return f"{psnr:.2f} | {ssim:.4f}"


def rows(case, counted, package, settings, other):
    """Each method's name, and the function that measures it when it is asked for."""
    truth, where = case.truth, from_array(counted.astype(np.uint8), case.mask.affine, name="counted")

    def translated(settings, key=None):
        wished = Case(case.source, truth, case.mask, key() if key else None)
        return finish(translate(wished, settings, package)).volume.data

    def matched():
        return finish(translate(Case(case.source, truth, where), replace(settings, model="baseline:histogram-matching"))).volume.data

    def oracle():
        return compute(scale(truth.data, counted) * counted, origin=Origin.ORACLE, source_name=truth.name)

    found = {
        "untouched": lambda: case.source.data,
        "histogram matching (peeks)": matched,
        "best pointwise mapping (peeks)": lambda: pointwise_mapping(np.asarray(case.source.data), truth.data, counted),
        "model, averaged key": lambda: translated(settings),
        "model, averaged key, no consistency": lambda: translated(replace(settings, consistency="none")),
    }
    if other is not None:
        found["model, other person's key"] = lambda: translated(settings, lambda: other)
    found["model, the truth's own key (oracle)"] = lambda: translated(settings, oracle)
    yield from found.items()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", nargs="?", default="any-to-t1")
    parser.add_argument("--real", type=Path, default=Path("../shared/data/real"))
    parser.add_argument("--steps", type=int, default=0, help="sampler steps; the model's own where not given")
    parser.add_argument("--only", default="", help="pairs whose name holds this")
    parser.add_argument("--rows", nargs="*", default=[], help="methods to measure; all where not given")
    parser.add_argument("--write", action="store_true", help="write the model's rows into its card")
    given = parser.parse_args()
    package = load(given.package)
    own = package.recipe.defaults.settings(str(given.package))
    settings = replace(own, steps=given.steps or own.steps)
    known = [*sample_pairs(), *(real_pairs(given.real) if given.real.is_dir() else ())]
    pairs = [(name, said(name, case), counted) for name, case, counted in known]
    other = other_person(given.real) if given.real.is_dir() else None
    found = []
    print(HEAD)
    for name, case, counted in pairs:
        if given.only not in name:
            continue
        for method, translated in rows(case, counted, package, settings, other):
            if given.rows and method not in given.rows:
                continue
            data = np.asarray(translated())
            psnr, ssim, correlation, error = measure(case, data, counted)
            own = answered(case, data, counted) if method.startswith("model") else "– | –"
            print(f"| {name} | {method} | {psnr:.2f} | {ssim:.4f} | {correlation:.3f} | {error:.4f} | {own} |", flush=True)
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
