"""Measure whether a model keeps lesions to be seen and tissues in order.

``python benchmarks/lesions.py [PACKAGE] [--real FOLDER] [--pairs FOLDER] [--pictures FOLDER]``

Lesions of simulated pairs (``napari-harmonize simulate``) are those of their label volumes. Those of the real FLAIR pairs are drawn by
rule: voxels brighter than white matter by three robust deviations, opened, in pieces of at least 0.1 ml. Contrast to noise is the
difference between the mean of a lesion and that of the white matter within 6 mm around it, over the deviation there; it is taken per
lesion piece and averaged by volume. Tissues are those of a segmentation of the true T1, lesions and their rim left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from real_pairs import real_pairs
from scipy import ndimage

from napari_harmonize.events import finish
from napari_harmonize.metrics.comparison import scale
from napari_harmonize.tissue import TISSUES, segment
from napari_harmonize.translation import Case, load, translate
from napari_harmonize.volumes import Meaning, read

LEAST_ML, NEAR_MM = 0.1, 6.0
LESIONS = (5, 9, 10, 11, 12)
HEAD = ("pair", "lesions", "ml", "source", "truth", "result", "result / source", *TISSUES, "in order")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs="?", default="any-to-t1")
    parser.add_argument("--real", type=Path, default=Path("../shared/data/real"))
    parser.add_argument("--pairs", type=Path, help="folder of simulated pairs")
    parser.add_argument("--count", type=int, default=6, help="simulated pairs with lesions")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of every pair")
    given = parser.parse_args()
    package = load(given.package)
    settings = package.recipe.defaults.settings(str(given.package))
    print("| " + " | ".join(HEAD) + " |\n" + "| --- " * len(HEAD) + "|")
    for name, case, lesions in cases(given):
        result = finish(translate(case, settings, package)).volume.data
        inside = case.mask.data > 0
        volumes = {"source": case.source.data, "truth": case.truth.data, "result": result}
        scaled = {role: scale(np.asarray(data), inside) for role, data in volumes.items()}
        tissues = segment(np.asarray(case.truth.data), inside, case.truth.spacing).labels
        print(line(name, scaled, tissues, lesions, case.source.spacing), flush=True)
        if given.pictures:
            draw(given.pictures / f"{name}.png", scaled, lesions)


def cases(given: argparse.Namespace):
    """Each pair's name, case and lesions as a bool volume."""
    if given.real.is_dir():
        for name, case, counted in real_pairs(given.real):
            if "FLAIR" in name:
                yield name, case, bright(np.asarray(case.source.data, float), np.asarray(case.truth.data), counted, case.source.spacing)
    if given.pairs:
        found = 0
        for folder in sorted(path for path in given.pairs.iterdir() if (path / "labels.nii.gz").exists()):
            lesions = np.isin(np.round(read(folder / "labels.nii.gz").data), LESIONS)
            source, truth, mask = (read(folder / f"{role}.nii.gz") for role in ("source", "target", "mask"))
            if found < given.count and len(pieces(lesions & (mask.data > 0), source.spacing)):
                found += 1
                yield folder.name, Case(source.replace(meaning=Meaning.ARBITRARY), truth, mask), lesions & (mask.data > 0)


def bright(flair: np.ndarray, t1: np.ndarray, inside: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Draw what is brighter in a FLAIR than its white matter; the rim of the brain is left out, where flow and fat shine."""
    white = (segment(t1, inside, spacing).labels == 3) & inside
    middle = float(np.median(flair[white]))
    deviation = 1.4826 * float(np.median(np.abs(flair[white] - middle)))
    core = ndimage.distance_transform_edt(inside, sampling=spacing) > NEAR_MM
    return ndimage.binary_opening((flair > middle + 3 * deviation) & core, iterations=1)


def pieces(lesions: np.ndarray, spacing: tuple[float, ...]) -> list[np.ndarray]:
    """Lesions large enough to be measured, each a bool volume."""
    labels, count = ndimage.label(lesions)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:] * float(np.prod(spacing)) / 1000
    return [labels == number + 1 for number in np.flatnonzero(sizes >= LEAST_ML)]


def contrast(data: np.ndarray, lesion: np.ndarray, white: np.ndarray, spacing: tuple[float, ...]) -> float:
    """Contrast to noise of one lesion, signed; not a number where there is no white matter beside it."""
    around = (ndimage.distance_transform_edt(~lesion, sampling=spacing) <= NEAR_MM) & white
    if around.sum() < 20:
        return float("nan")
    return float((data[lesion].mean() - data[around].mean()) / max(data[around].std(), 1e-6))


def line(name: str, scaled: dict[str, np.ndarray], tissues: np.ndarray, lesions: np.ndarray, spacing: tuple[float, ...]) -> str:
    """One pair's line of the table."""
    rim = ndimage.binary_dilation(lesions, iterations=2)
    white = (tissues == 3) & ~rim
    parts = pieces(lesions, spacing)
    seen = np.array([[contrast(data, part, white, spacing) for data in scaled.values()] for part in parts]).reshape(-1, 3)
    weight = np.array([part.sum() for part in parts], float)
    good = np.isfinite(seen).all(1)
    source, truth, result = np.average(np.abs(seen[good]), axis=0, weights=weight[good]) if good.any() else [float("nan")] * 3
    means = [float(scaled["result"][(tissues == number) & ~rim].mean()) for number in (1, 2, 3)]
    millilitres = sum(part.sum() for part in parts) * float(np.prod(spacing)) / 1000
    told = (f"{good.sum()}", f"{millilitres:.1f}", *(f"{value:.2f}" for value in (source, truth, result, result / source)))
    order = "yes" if means[0] < means[1] < means[2] else "no"
    return "| " + " | ".join((name, *told, *(f"{mean:.3f}" for mean in means), order)) + " |"


def draw(path: Path, scaled: dict[str, np.ndarray], lesions: np.ndarray) -> None:
    """Draw the slice with most lesion: source, truth, result, and the source with the lesions' outline."""
    from matplotlib import pyplot

    at = int(lesions.sum((0, 1)).argmax())
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(1, 4, figsize=(14, 4.5))
    for axis, (role, data) in zip(axes, [*scaled.items(), ("lesions", scaled["source"])], strict=True):
        axis.imshow(data[:, :, at].T, cmap="gray", vmin=0, vmax=1.1, origin="lower")
        axis.set_title(role)
        axis.axis("off")
    axes[-1].contour(lesions[:, :, at].T, levels=[0.5], colors="tab:orange", linewidths=0.8)
    figure.savefig(path, dpi=80, bbox_inches="tight")
    pyplot.close(figure)


if __name__ == "__main__":
    main()
