"""Signal equations against an independent simulation and textbook facts."""

import math

import numpy as np
import pytest

from napari_harmonize.simulate.relaxation import BRAIN, TISSUES
from napari_harmonize.simulate.signal import MPRAGE_1P5T, MPRAGE_3T, Ct, Flair, GradientEcho, Mprage, SpinEcho, TurboSpinEcho


def _stepwise(sequence: Mprage, t1: float, cycles: int = 60) -> float:
    """Longitudinal magnetisation at the centre of k-space by walking through time in 0.1 ms steps."""
    m, read = 1.0, 0.0
    first = sequence.ti - sequence.n // 2 * sequence.tau
    flips = {round((first + i * sequence.tau) * 10) for i in range(sequence.n)}
    centre = round(sequence.ti * 10)
    for _ in range(cycles):
        m = -m
        for tick in range(round(sequence.tr * 10)):
            if tick == centre:
                read = m
            if tick in flips:
                m *= math.cos(math.radians(sequence.alpha))
            m = 1 - (1 - m) * math.exp(-0.1 / t1)
    return abs(read)


@pytest.mark.parametrize("t1", [656.0, 1331.0])
def test_mprage_agrees_with_stepwise_simulation(t1):
    tissue = TISSUES["white"].__class__((t1, t1), (80.0, 80.0), 1.0, 0.0)
    expected = _stepwise(MPRAGE_3T, t1, cycles=8) * math.sin(math.radians(MPRAGE_3T.alpha)) * math.exp(-MPRAGE_3T.te / 80.0)
    assert MPRAGE_3T.signal(tissue) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("sequence", [MPRAGE_1P5T, MPRAGE_3T])
def test_t1_look_orders_tissues(sequence):
    fluid, grey, white = (sequence.signal(TISSUES[name]) for name in ("csf", "grey", "white"))
    assert fluid < grey < white


def test_more_contrast_at_3t():
    ratios = [sequence.signal(TISSUES["grey"]) / sequence.signal(TISSUES["white"]) for sequence in (MPRAGE_1P5T, MPRAGE_3T)]
    assert ratios[1] < ratios[0]


def test_impossible_timing_is_refused():
    with pytest.raises(ValueError, match="recovery"):
        Mprage(ti=300.0).signal(TISSUES["white"])


def test_t2_look_is_inverted_and_flair_nulls_fluid():
    t2 = [SpinEcho().signal(TISSUES[name]) for name in ("csf", "grey", "white")]
    flair = [Flair().signal(TISSUES[name]) for name in ("csf", "grey", "white", "gliosis")]
    assert t2[0] > t2[1] > t2[2]
    assert flair[0] < 1e-6
    assert flair[3] > flair[1] > flair[2]


def test_ct_gives_hounsfield_units():
    assert Ct().signal(TISSUES["bone"]) == 1000
    assert np.all([0 < Ct().signal(TISSUES[name]) < 60 for name in BRAIN])


def test_a_turbo_spin_echo_of_no_length_is_a_spin_echo():
    assert TurboSpinEcho(n=0).signal(TISSUES["grey"]) == pytest.approx(SpinEcho().signal(TISSUES["grey"]))
    assert TurboSpinEcho(n=24).signal(TISSUES["csf"]) < TurboSpinEcho(n=8).signal(TISSUES["csf"])
    with pytest.raises(ValueError, match="recovery"):
        TurboSpinEcho(tr=100).signal(TISSUES["white"])


def test_a_gradient_echo_agrees_with_stepwise_simulation():
    """Flip after flip until nothing changes (Ernst and Anderson 1966)."""
    sequence, tissue, m = GradientEcho(), TISSUES["white"], 1.0
    recovery = math.exp(-sequence.tr / tissue.t1[1])
    for _ in range(400):
        m = 1 - (1 - m * math.cos(math.radians(sequence.alpha))) * recovery
    expected = tissue.density * m * math.sin(math.radians(sequence.alpha)) * math.exp(-sequence.te / tissue.t2_star(True))
    assert sequence.signal(tissue) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("name", "measured"), [("grey", (84.0, 66.0)), ("white", (66.2, 53.2)), ("deep grey", (57.0, 36.0))])
def test_gradient_echoes_decay_as_measured(name, measured):
    """Peters et al. 2007, to a tenth."""
    assert [TISSUES[name].t2_star(strong) for strong in (False, True)] == pytest.approx(measured, rel=0.1)


def test_iron_darkens_deep_grey_matter_on_a_late_gradient_echo():
    late = GradientEcho(tr=700, te=25, alpha=20)
    assert late.signal(TISSUES["deep grey"]) < late.signal(TISSUES["white"]) < late.signal(TISSUES["csf"])
