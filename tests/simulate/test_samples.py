"""The sample pairs: what ships is what the command makes."""

import filecmp
from pathlib import Path

import numpy as np
import pytest

from napari_harmonize.volumes import Meaning, read, same_grid

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.simulate import samples

SHIPPED = Path(samples.__file__).parent.parent / "sample_data"


@pytest.mark.parametrize("name", samples.PAIRS)
def test_shipped_pairs_read_and_share_a_grid(name):
    source, target, mask = (read(SHIPPED / name / f"{which}.nii.gz") for which in ("source", "target", "mask"))
    assert same_grid(source, target)
    assert same_grid(source, mask)
    assert set(np.unique(mask.data)) == {0, 1}
    assert 0.8e6 < mask.data.sum() < 1.8e6


def test_twelve_megabytes_at_most():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*.nii.gz")) < 12e6


def test_the_command_makes_the_shipped_files_again(tmp_path):
    samples.make("flair-to-t1", tmp_path)
    made = read(tmp_path / "flair-to-t1" / "source.nii.gz")
    shipped = read(SHIPPED / "flair-to-t1" / "source.nii.gz")
    # another processor may round a last bit differently; on one machine the bytes agree
    assert np.abs(made.data.astype(int) - shipped.data.astype(int)).max() <= 1
    samples.make("flair-to-t1", tmp_path / "again")
    assert filecmp.cmp(tmp_path / "flair-to-t1" / "source.nii.gz", tmp_path / "again" / "flair-to-t1" / "source.nii.gz", shallow=False)


def test_ct_is_in_hounsfield_units():
    ct = read(SHIPPED / "ct-to-t1" / "source.nii.gz")
    brain = read(SHIPPED / "ct-to-t1" / "mask.nii.gz").data > 0
    assert ct.data.min() < -900
    assert ct.data.max() > 800
    assert 15 < np.median(ct.data[brain]) < 45
    assert ct.meaning in (Meaning.HU, Meaning.UNKNOWN)
