"""The built-in pairs: what their files do not say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_harmonize.errors import ReadError
from napari_harmonize.volumes import Meaning, read

if TYPE_CHECKING:
    from napari_harmonize.volumes import Volume

FOLDER = Path(__file__).parent.parent / "sample_data"


@dataclass(frozen=True)
class Sample:
    """One built-in pair.

    Parameters
    ----------
    source, truth : str
        Contrast of both volumes, as a user would state it.
    help : str
        What it shows.
    """

    source: str
    truth: str
    help: str


def read_sample(name: str) -> tuple[Volume, Volume, Volume]:
    """Read source, truth and mask of a pair, named and with the contrast a user would state.

    Raises
    ------
    ReadError
        There is no pair of that name, or it did not come with the package.
    """
    folder = FOLDER / name
    if name not in SAMPLES or not folder.is_dir():
        raise ReadError("A sample pair has a known name", f"{name!r} arrived", f"Known are: {', '.join(SAMPLES)}")
    row = SAMPLES[name]
    source, truth, mask = (read(folder / f"{file}.nii.gz") for file in ("source", "target", "mask"))
    meaning = Meaning.HU if row.source == "CT" else source.meaning
    return (
        source.replace(name=f"{name}_{row.source}", modality=row.source, meaning=meaning),
        truth.replace(name=f"{name}_{row.truth}_true", modality=row.truth),
        mask.replace(name=f"{name}_mask"),
    )


SAMPLES: dict[str, Sample] = {
    "ct-to-t1": Sample("CT", "T1", "CT of a whole head, and T1; translated inside the mask"),
    "flair-to-t1": Sample("FLAIR", "T1", "FLAIR with lesions, and T1"),
    "1p5t-to-3t": Sample("T1", "T1", "MPRAGE at 1.5 T, and at 3 T"),
}
