"""What each simulated tissue is made of: relaxation times, proton density and X-ray attenuation.

T1 of grey and white matter in living brains: Rooney et al., Magn Reson Med 57:308 (2007) at 1.5 T, Wansapura et al.,
J Magn Reson Imaging 9:531 (1999) at 3 T. T2: Stanisz et al., Magn Reson Med 54:507 (2005) at 1.5 T, Wansapura at 3 T.
Cerebrospinal fluid: T1 about 4.3 s at either field; T2 about 2 s (Spijkerman et al., MAGMA 31:415, 2018). Proton
densities are relative to water (Tofts, Quantitative MRI of the Brain, 2003). Deep grey matter lies between the two
with a T2 shortened by iron; gliosis is given the long T1 and T2 seen in chronic white-matter lesions; remnants of
meninges, bone and scalp are set by rule. Hounsfield units are textbook values at 120 kV.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Parameters
    ----------
    t1 : tuple of float
        Longitudinal relaxation time in ms at 1.5 T and at 3 T.
    t2 : tuple of float
        Transverse relaxation time in ms at 1.5 T and at 3 T.
    density : float
        Proton density relative to water, 0..1.
    hounsfield : float
        X-ray attenuation in HU.
    """

    t1: tuple[float, float]
    t2: tuple[float, float]
    density: float
    hounsfield: float


TISSUES = {
    "csf": Tissue((4300.0, 4300.0), (2000.0, 2000.0), 1.00, 8.0),
    "grey": Tissue((1188.0, 1331.0), (95.0, 110.0), 0.82, 39.0),
    "white": Tissue((656.0, 832.0), (72.0, 80.0), 0.70, 30.0),
    "deep grey": Tissue((870.0, 1050.0), (78.0, 80.0), 0.78, 38.0),
    "gliosis": Tissue((1250.0, 1450.0), (150.0, 145.0), 0.85, 23.0),
    "remnant": Tissue((900.0, 1100.0), (45.0, 42.0), 0.60, 50.0),
    "bone": Tissue((500.0, 550.0), (1.0, 1.0), 0.10, 1000.0),
    "scalp": Tissue((500.0, 550.0), (60.0, 55.0), 0.60, -40.0),
}
BRAIN = ("csf", "grey", "white", "deep grey", "gliosis", "remnant")
HEAD = (*BRAIN, "bone", "scalp")
