"""Brains of the user's own: they come back from a scan in any orientation, and what is no brain or no T1 is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.errors import HarmonizeError, ReadError, VolumeError
from napari_harmonize.events import Note, Progress, finish
from napari_harmonize.metrics.tissue import dice
from napari_harmonize.simulate import kept, own, template
from napari_harmonize.simulate.anatomy import blob, generator
from napari_harmonize.simulate.contrast import means
from napari_harmonize.simulate.pairs import simulate
from napari_harmonize.simulate.relaxation import BRAIN, WIDE
from napari_harmonize.simulate.settings import SimulationSettings, SubjectSettings
from napari_harmonize.simulate.signal import MPRAGE_3T, TurboSpinEcho
from napari_harmonize.simulate.subjects import varied_subject
from napari_harmonize.volumes import from_array, read, resample_onto, write

CAVITY = (112, 84, 110)
"""Voxel of the canvas in the white matter of the right half, where the scanned person has a hole."""


def oblique(millimetres: float) -> np.ndarray:
    """Voxel axes that run left, down and forwards, turned by six degrees."""
    turn = np.radians(6.0)
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turned @ np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) * millimetres
    affine[:3, 3] = np.array([10.0, -20.0, 30.0]) - affine[:3, :3] @ np.full(3, 49.5)
    return affine


def truth() -> torch.Tensor:
    """The template with a cavity in one half."""
    maps = template.tissue_maps().clone()
    where, shape = blob(torch.tensor(CAVITY), 9.0, generator(1))
    there = maps[(slice(None), *where)]
    there *= 1 - shape
    there[0] += shape
    return maps


def scan(folder, sequence=MPRAGE_3T, name: str = "person", mask: bool = True):
    """Write a scan of that brain, nine tenths as large, on a grid of 2 mm that is oblique and flipped."""
    maps = truth()
    signal = torch.einsum("c,cijk->ijk", means(sequence, BRAIN[:4]), maps)
    inside = maps.sum(0) > 0.5
    place = template.affine()
    place[:3] *= 0.9
    place[:3, 3] += [10.0, -20.0, 30.0]
    grid = from_array(np.zeros((100, 100, 100), np.uint8), oblique(2.0))
    brain = resample_onto(from_array(inside.numpy().astype(np.uint8), place), grid, order=0)
    data = np.asarray(resample_onto(from_array((signal * inside).numpy(), place), grid).data) * 1000 / float(signal.max())
    data = np.where(np.asarray(brain.data) > 0, data + np.random.default_rng(1).normal(0, 15, data.shape), 0).clip(0)
    write(from_array(data.astype(np.int16), grid.affine), folder / f"{name}.nii.gz")
    if mask:
        write(brain, folder / f"{name}_mask.nii.gz")
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder of one scan with a mask."""
    return scan(tmp_path_factory.mktemp("people"))


def labels(maps: torch.Tensor) -> np.ndarray:
    """Fluid 1, grey matter with its deep part 2, white matter 3."""
    three = torch.stack([maps[0], maps[1] + maps[3], maps[2]])
    return torch.where(three.sum(0) > 0.5, three.argmax(0) + 1, 0).numpy()


def test_the_box_is_that_of_the_template():
    inside = (template.tissue_maps().sum(0) > 0.5).nonzero()
    assert tuple(zip(inside.min(0).values.tolist(), (inside.max(0).values + 1).tolist(), strict=True)) == own.BOX


def test_a_scan_in_any_orientation_comes_back_as_the_brain_it_was_made_from(people):
    (only,) = own.scans(people)
    maps = own.tissue_maps(only)
    assert (maps.shape, maps.dtype) == (template.tissue_maps().shape, torch.float32)
    total = maps.sum(0)
    assert torch.all((total == 0) | ((total - 1).abs() < 1e-4))
    found, wished = labels(maps), labels(truth())
    assert dice(found > 0, wished > 0) > 0.96
    agreement = [dice(found == number, wished == number) for number in (1, 2, 3)]
    # in the averaged sulci fluid is a share of a voxel, which has a share of its own in a scan of 2 mm
    assert all(value > least for value, least in zip(agreement, (0.55, 0.8, 0.8), strict=True)), agreement
    assert maps[3].sum() > 10_000
    i, j, k = CAVITY
    assert maps[0, i, j, k] > 0.9
    assert maps[0, template.CANVAS[0] - 1 - i, j, k] < 0.3


def test_subjects_are_warps_of_the_scans_by_turns(people, monkeypatch):
    monkeypatch.setattr(own, "scans", lambda folder: "abc")
    monkeypatch.setattr(own, "tissue_maps", lambda which: which)
    assert [own.own_anatomy(people, index).maps for index in range(5)] == list("abcab")


def test_scans_are_known_by_what_they_hold(people, tmp_path):
    for suffix in ("", "_mask"):
        shutil.copy(people / f"person{suffix}.nii.gz", tmp_path / f"somebody{suffix}.nii.gz")
    assert own.content(tmp_path) == own.content(people)
    assert own.scans(tmp_path) == own.scans(people)
    (tmp_path / "somebody_mask.nii.gz").unlink()
    assert own.content(tmp_path) != own.content(people)


def test_a_kept_folder_says_nothing_of_the_path_and_nothing_at_all_without_a_folder(people, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "make_pair", lambda settings, index, draw: index)
    monkeypatch.setattr(kept, "write_pair", lambda pair, settings, out: {"patient": f"simulated-8-{pair}"})
    settings = SimulationSettings(seed=8, subject=SubjectSettings(anatomies=str(people)))
    for name, how in (("own", settings), ("plain", SimulationSettings(seed=8))):
        finish(kept.keep_pairs({tmp_path / name: how}, 1))
    told = [json.loads((tmp_path / name / kept.SETTINGS).read_text()) for name in ("own", "plain")]
    assert told[0]["anatomies"] == own.content(people)
    assert people.name not in str(told)
    assert "anatomies" not in str(told[1])
    with pytest.raises(HarmonizeError, match="other settings"):
        finish(kept.keep_pairs({tmp_path / "own": SimulationSettings(seed=8)}, 1))


def test_a_scan_without_a_mask_is_a_stripped_brain_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(own, "_segmented", lambda scan: None)
    scan(tmp_path, mask=False)
    said = []
    finish(own.prepare(str(tmp_path), 0, 3), said.append)
    notes = [event.text for event in said if isinstance(event, Note)]
    assert len(notes) == 1
    assert "must be stripped" in notes[0]
    assert [(event.done, event.total) for event in said if isinstance(event, Progress)] == [(1, 1)]
    assert finish(own.prepare("", 0, 3), said.append) is None


def test_folders_that_hold_no_scan_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no folder 'nowhere'"):
        own.scans(tmp_path / "nowhere")
    with pytest.raises(ReadError, match="has no file that ends with"):
        own.scans(tmp_path)
    (tmp_path / "person_mask.nii.gz").write_bytes(b"mask")
    with pytest.raises(ReadError, match=r"person_mask\.nii\.gz has no scan"):
        own.scans(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data, mask: (data, mask * 0), "person_mask.nii.gz has none"),
        (lambda data, mask: (data + 1, None), "8000 ml, being all that is above 0"),
        (lambda data, mask: (data, np.where(np.arange(100)[:, None, None] < 50, mask, 0)), "measures"),
        (lambda data, mask: (mask * 100, mask), "1 are in the mask"),
    ],
)
def test_what_is_no_brain_is_refused(people, tmp_path, change, words):
    volume, mask = (read(people / f"person{suffix}.nii.gz") for suffix in ("", "_mask"))
    data, inside = change(np.asarray(volume.data), np.asarray(mask.data))
    write(from_array(data.astype(np.int16), volume.affine), tmp_path / "person.nii.gz")
    if inside is not None:
        write(from_array(inside.astype(np.uint8), volume.affine), tmp_path / "person_mask.nii.gz")
    with pytest.raises(VolumeError, match=words):
        own.own_anatomy(tmp_path, 0)


def test_another_contrast_is_refused_before_a_folder_is_made(tmp_path):
    scan(tmp_path, TurboSpinEcho())
    settings = SimulationSettings(subject=SubjectSettings(anatomies=str(tmp_path)))
    with pytest.raises(VolumeError, match=r"person\.nii\.gz has, as share of the brain and mean depth"):
        finish(simulate(settings, 1, tmp_path / "made"))
    assert not (tmp_path / "made").exists()


def test_a_real_scan_has_plausible_volumes(real, tmp_path):
    """At 2 mm, to be segmented in seconds; the volumes are those in the scan's own space."""
    volume = read(real / "mr_t1_brain_lia.mgz")
    coarse = volume.affine.copy()
    coarse[:3, :3] *= 2
    write(from_array(np.ascontiguousarray(volume.data[::2, ::2, ::2]), coarse), tmp_path / "brain.nii.gz")
    (only,) = own.scans(tmp_path)
    thin = read(only.path)
    size = np.diag(own._canvas(only, thin, own._brain(only, thin)).affine)[:3].prod()
    fluid, grey, white, deep = (own.tissue_maps(only).sum(dim=(1, 2, 3)) * size / 1000).tolist()
    assert 300 < white < 750
    assert 400 < grey + deep < 900
    assert 100 < fluid < 600
    assert deep > 10


def test_a_subject_is_a_warp_of_its_brain_and_without_a_folder_of_the_template_as_ever(people):
    drawn = [161766.0, 768781.9, 460850.5, 61655.1, 651.2, 29810.6, 0.0, 0.0, 34915.4, 0.0, 26185.7, 3130.2]
    volumes = [
        varied_subject(SubjectSettings(tumours=1.0, anatomies=folder), 5, 3).shares.sum(dim=(1, 2, 3)).tolist()
        for folder in ("", str(people))
    ]
    assert volumes[0] == pytest.approx(drawn, rel=1e-3)
    assert volumes[1] != pytest.approx(drawn, rel=1e-3)
    assert sum(volumes[1]) == pytest.approx(sum(drawn), rel=0.1)
    assert volumes[1][WIDE.index("tumour")] > 5
