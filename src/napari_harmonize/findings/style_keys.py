"""The ablation of style keys and slice consistency (Choo et al. 2024, Table 2)."""

from __future__ import annotations

from typing import Any

from napari_harmonize.findings.claims import Claim
from napari_harmonize.findings.section import Section
from napari_harmonize.findings.ways import Way

PURE, PURE_ISTA = "pure bridge", "+ co-prediction and correction"
OTHER, AVERAGE = "+ another person's key", "+ averaged key"
CO_PREDICTED, BOTH = "+ averaged key, co-prediction", "+ averaged key, co-prediction and correction"
BEST = "+ most similar training key (peeks), co-prediction and correction"
ERROR = "slice-consistency-2"
TABLE = "Choo et al., Table 2"
STEPS, FULL_STEPS = 20, 100


def ways(task: str, full: bool) -> tuple[Way, ...]:
    """Every row costs about as many evaluations: half as many steps where each is corrected once, as in the paper."""
    steps = FULL_STEPS if full else STEPS
    plain: dict[str, Any] = {"steps": steps, "consistency": "none"}
    together = {"steps": steps, "consistency": "co-prediction"}
    corrected = {"steps": steps // 2, "consistency": "co-prediction+correction"}
    without = f"{task}-no-key"
    return (
        Way("source as it is", "baseline:identity"),
        Way(PURE, without, plain),
        Way(PURE_ISTA, without, corrected),
        Way(OTHER, task, plain, "other person"),
        Way(AVERAGE, task, plain),
        Way(CO_PREDICTED, task, together),
        Way(BOTH, task, corrected),
        Way(BEST, task, corrected, "best"),
    )


def claims(task: str, full: bool) -> tuple[Claim, ...]:
    """The order of the table's rows, and what slice consistency must do to the slices."""
    return (
        Claim("Co-prediction and correction improve the pure bridge.", TABLE, "psnr", PURE_ISTA, PURE),
        Claim("Another person's key improves the pure bridge.", TABLE, "psnr", OTHER, PURE),
        Claim("The averaged key is better than another person's.", TABLE, "psnr", AVERAGE, OTHER),
        Claim("Co-prediction improves the bridge with the averaged key.", TABLE, "psnr", CO_PREDICTED, AVERAGE),
        Claim("Correction improves it further (in the paper by 0.002 dB).", TABLE, "psnr", BOTH, CO_PREDICTED),
        Claim("The most similar training key is better than the averaged one.", TABLE, "psnr", BEST, BOTH),
        Claim("Co-prediction lowers the slice-consistency error.", "Choo et al., Figure 1", ERROR, CO_PREDICTED, AVERAGE),
        Claim("Correction does not raise it.", "Choo et al., section 2.3", ERROR, BOTH, CO_PREDICTED, strict=False),
    )


SECTION = Section(
    "Style keys and slice consistency",
    "A bridge on stacks of slices without and with the style key of the target, sampled slice by slice, with co-prediction, and with "
    "correction besides. Rows cost about the same number of evaluations. The paper's other person is the Colin 27 brain; here it is one "
    "training subject.",
    TABLE,
    ("ct-to-t1", "flair-to-t1"),
    ("nrmse", "psnr", "ssim", ERROR),
    ways,
    claims,
    differs=(
        "Looks are drawn far more freely here than the scans of one hospital differ: the key of one other person is then the key of "
        "another scanner, and asking for it costs decibels where the paper gained some.",
        "A stack holds three slices, and the small bridges see 2 mm voxels: neighbouring slices are much alike before co-prediction, "
        "which leaves it less to mend in PSNR than it mends in the slice-consistency error.",
        "The most similar training key is similar in its curve alone, so its gain differs much from subject to subject.",
    ),
)
