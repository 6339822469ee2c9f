"""How far ten steps of the second-order bridge are from fifty of the first, with the built-in model on the whole sample pairs.

``python benchmarks/second_order.py`` prints a row for each pair: PSNR in dB against the true T1 inside the mask of ``bridge`` in
50 steps, how far the others are from it, and in brackets the root mean square difference from that result inside the mask. With
the averaged key, eta 0, every stack by itself.
"""

import numpy as np
import torch
from acceptance import measure, sample_pairs

from napari_harmonize.events import finish
from napari_harmonize.settings import replace
from napari_harmonize.translation import Case, load, translate
from napari_harmonize.translation.package import default_model

ASKED = (("bridge", 50), ("bridge-2", 10), ("bridge", 10), ("bridge", 2))


def main():
    torch.set_num_threads(1)
    package = load(default_model())
    settings = replace(package.recipe.defaults.settings(), consistency="none")
    print("| pair | " + " | ".join(f"`{sampler}`, {steps}" for sampler, steps in ASKED) + " |")
    print("| --- |" + " --- |" * len(ASKED))
    for name, case, inside in sample_pairs():
        found = []
        for sampler, steps in ASKED:
            asked = replace(settings, sampler=sampler, steps=steps)
            found.append(np.asarray(finish(translate(Case(case.source, None, case.mask), asked, package)).volume.data, np.float32))
        scores = [measure(case, data, inside)[0] for data in found]
        away = [float(np.sqrt(np.mean((data[inside] - found[0][inside]) ** 2))) for data in found]
        others = [f"{score - scores[0]:+.2f} ({far:.4f})" for score, far in zip(scores[1:], away[1:], strict=True)]
        print(f"| `{name}` | {scores[0]:.2f} | " + " | ".join(others) + " |", flush=True)


if __name__ == "__main__":
    main()
