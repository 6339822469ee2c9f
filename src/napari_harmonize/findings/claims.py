"""What the papers found, as claims about two ways, and whether the numbers here bear them out. No answer is written down in advance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_harmonize.findings.columns import FRECHET, column
from napari_harmonize.findings.statistics import FEWEST, LEVEL, Paired, paired, paired_distances
from napari_harmonize.findings.ways import TRUTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_harmonize.findings.cache import Measurement

HOLDS, FAILS, UNKNOWN = "holds", "does not hold", "not measured"


@dataclass(frozen=True)
class Claim:
    """One finding.

    Parameters
    ----------
    text : str
        The finding in words.
    found_in : str
        Where the paper says so.
    number : str
        Name of the column it is about.
    better, worse : str
        Names of the ways.
    strict : bool
        Whether the first must be better; else it must not be worse.
    """

    text: str
    found_in: str
    number: str
    better: str
    worse: str
    strict: bool = True


@dataclass(frozen=True)
class Verdict:
    """A claim and what came of it.

    Parameters
    ----------
    claim : Claim
        The claim.
    outcome : str
        "holds", "does not hold" or "not measured".
    reason : str
        The numbers, or why there are none.
    """

    claim: Claim
    outcome: str
    reason: str


def judge(claim: Claim, found: Mapping[str, Sequence[Measurement]], absent: Mapping[str, str], features: str) -> Verdict:
    """Hold a claim against what was measured.

    It holds where the mean difference goes its way and the paired test says p < 0.05; a claim that something is not worse holds
    unless the opposite is shown in that sense.

    Parameters
    ----------
    claim : Claim
        The claim.
    found : mapping of str to sequence of Measurement
        By way, for the same subjects in the same order.
    absent : mapping of str to str
        Ways that were not measured, with the reason.
    features : str
        Which features a Fréchet distance is one of.
    """
    reasons = [f"{name}: {absent.get(name, 'not asked for')}" for name in (claim.better, claim.worse) if name not in found]
    if reasons:
        return Verdict(claim, UNKNOWN, "; ".join(dict.fromkeys(reasons)))
    test = _compare(claim, found)
    sign = 1 if column(claim.number, features).higher else -1
    numbers = _numbers(claim, test, features)
    if not math.isfinite(test.difference):
        return Verdict(claim, UNKNOWN, f"{column(claim.number, features).title} has no value here")
    if test.count < FEWEST:
        return Verdict(claim, UNKNOWN, f"{numbers}; a paired test needs {FEWEST} subjects")
    gain, shown = sign * test.difference, test.p < LEVEL
    if not claim.strict:
        return Verdict(claim, FAILS if gain < 0 and shown else HOLDS, numbers)
    if gain > 0 and shown:
        return Verdict(claim, HOLDS, numbers)
    return Verdict(claim, FAILS, f"{numbers}: {'not told from chance' if not shown else 'the other way round'}")


def _compare(claim: Claim, found: Mapping[str, Sequence[Measurement]]) -> Paired:
    better, worse = found[claim.better], found[claim.worse]
    if claim.number == FRECHET:
        one, other, truth = ([made.features for made in way] for way in (better, worse, found[TRUTH]))
        return paired_distances(one, other, truth)
    first, second = ([made.scores.get(claim.number, math.nan) for made in way] for way in (better, worse))
    return paired(first, second)


def _numbers(claim: Claim, test: Paired, features: str) -> str:
    about = column(claim.number, features)
    p = "" if math.isnan(test.p) else f", p {'< 0.001' if test.p < 0.001 else f'= {test.p:.3f}'}"
    return f"{about.title} {test.difference:+.4g}{f' {about.unit}' if about.unit else ''}{p}, {test.count} subjects"
