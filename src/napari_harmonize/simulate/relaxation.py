"""What each simulated tissue is made of: relaxation times, proton density and X-ray attenuation.

T1 of grey and white matter in living brains: Rooney et al., Magn Reson Med 57:308 (2007) at 1.5 T, Wansapura et al.,
J Magn Reson Imaging 9:531 (1999) at 3 T. T2: Stanisz et al., Magn Reson Med 54:507 (2005) at 1.5 T, Wansapura at 3 T.
Cerebrospinal fluid: T1 about 4.3 s at either field; T2 about 2 s (Spijkerman et al., MAGMA 31:415, 2018). Proton
densities are relative to water (Tofts, Quantitative MRI of the Brain, 2003). Deep grey matter lies between the two
with a T2 shortened by iron; gliosis is given the long T1 and T2 seen in chronic white-matter lesions; remnants of
meninges, bone and scalp are set by rule. Hounsfield units are textbook values at 120 kV.

What gradient echoes lose besides, R2' = 1/T2* − 1/T2, is taken from the T2* of Peters et al., Magn Reson Imaging 25:748
(2007): cortex 84 and 66 ms, white matter 66 and 53 ms at 1.5 T and 3 T, which leaves 1.3/s and 6.2/s in both and is given
to every tissue but deep grey matter, whose putamen (56 and 32 ms) and caudate nucleus (59 and 41 ms) lose more by iron.

Lesions. Solid tumour at 3 T: T1 1.85 to 3.2 s and T2 115 to 225 ms where methionine uptake is high (Kinoshita et al., Cancers
13:4067, 2021), T2 172 ms in low-grade glioma; oedema around a glioblastoma: T1 1.58 s (both Badve et al., AJNR 38:492,
2017). Acute infarct: T2 grows by about 2 ms an hour at 3 T (Damion et al., Phys Med Biol 64:095016, 2019); the value is that
of the second day. Its attenuation is 22 HU, that of an old cavity 7 HU, which is fluid's (mean values of 102 patients, J Neonatal
Surg 14(7):5888, 2025); oedema loses 7 to 8 HU for every 3 % of water. Necrosis lies between tumour and fluid by rule, as do the
values at 1.5 T, which are a sixth shorter in T1. White-matter hyperintensities are gliosis mixed with white matter, old
cavities are fluid with a rim of gliosis.
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
    dephasing : tuple of float
        Loss of a gradient echo besides T2, R2' in 1/s, at 1.5 T and at 3 T.
    """

    t1: tuple[float, float]
    t2: tuple[float, float]
    density: float
    hounsfield: float
    dephasing: tuple[float, float] = (1.3, 6.2)

    def t2_star(self, strong: bool) -> float:
        """Decay time of a gradient echo in ms, 1 / (1/T2 + R2'), at 3 T or at 1.5 T."""
        return 1 / (1 / self.t2[strong] + self.dephasing[strong] / 1000)


TISSUES = {
    "csf": Tissue((4300.0, 4300.0), (2000.0, 2000.0), 1.00, 8.0),
    "grey": Tissue((1188.0, 1331.0), (95.0, 110.0), 0.82, 39.0),
    "white": Tissue((656.0, 832.0), (72.0, 80.0), 0.70, 30.0),
    "deep grey": Tissue((870.0, 1050.0), (78.0, 80.0), 0.78, 38.0, (4.6, 15.3)),
    "gliosis": Tissue((1250.0, 1450.0), (150.0, 145.0), 0.85, 23.0),
    "remnant": Tissue((900.0, 1100.0), (45.0, 42.0), 0.60, 50.0),
    "bone": Tissue((500.0, 550.0), (1.0, 1.0), 0.10, 1000.0),
    "scalp": Tissue((500.0, 550.0), (60.0, 55.0), 0.60, -40.0),
    "oedema": Tissue((1320.0, 1580.0), (170.0, 160.0), 0.88, 21.0),
    "infarct": Tissue((1250.0, 1500.0), (140.0, 135.0), 0.86, 22.0),
    "tumour": Tissue((1540.0, 1850.0), (180.0, 170.0), 0.86, 36.0),
    "necrosis": Tissue((2400.0, 2800.0), (420.0, 400.0), 0.95, 18.0),
}
BRAIN = ("csf", "grey", "white", "deep grey", "gliosis", "remnant")
HEAD = (*BRAIN, "bone", "scalp")
WIDE = (*HEAD, "oedema", "infarct", "tumour", "necrosis")
