"""Pairs that are kept: those that ``simulate`` writes, made once, for several tasks of one subject."""

import csv
import filecmp

import pytest

pytest.importorskip("nilearn", reason="the template comes with the train extra")

from napari_harmonize.errors import WriteError
from napari_harmonize.events import Progress, finish
from napari_harmonize.settings import replace
from napari_harmonize.simulate import kept
from napari_harmonize.simulate.pairs import ROLES, simulate
from napari_harmonize.simulate.settings import SimulationSettings

SETTINGS = SimulationSettings(seed=8, source="ct", voxel=4)
BACK = replace(SETTINGS, source="mprage-3t", target="mprage-1p5t")


def test_a_subject_is_drawn_once_and_its_pairs_are_those_of_simulate(tmp_path, monkeypatch):
    drawn, real = [], kept.varied_subject
    monkeypatch.setattr(kept, "varied_subject", lambda *which, **how: drawn.append(which) or real(*which, **how))
    tasks = {tmp_path / "ct": SETTINGS, tmp_path / "back": BACK}
    tables = finish(kept.keep_pairs(tasks, 1))
    assert len(drawn) == 1
    for (folder, settings), table in zip(tasks.items(), tables, strict=True):
        written = finish(simulate(settings, 1, tmp_path / f"again-{folder.name}"))
        for role in ROLES:
            name = f"pair-000000/{role}.nii.gz"
            assert filecmp.cmp(folder / name, written.table.parent / name, shallow=False)
        rows = [list(csv.DictReader(path.read_text().splitlines())) for path in (table, written.table)]
        assert rows[0] == rows[1]
    said = []
    assert finish(kept.keep_pairs(tasks, 1), said.append) == tables
    assert not said


def test_a_stopped_run_goes_on_and_other_pairs_are_refused(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(kept, "make_pair", lambda settings, index, draw: index)
    monkeypatch.setattr(kept, "write_pair", lambda pair, settings, out: made.append(pair) or {"patient": f"simulated-8-{pair}"})
    job = kept.keep_pairs({tmp_path / "ct": SETTINGS}, 3)
    assert any(isinstance(next(job), Progress) for _ in range(2))
    job.close()
    assert made == [0]
    finish(kept.keep_pairs({tmp_path / "ct": SETTINGS}, 3))
    assert made == [0, 1, 2]
    with pytest.raises(WriteError, match="other settings"):
        finish(kept.keep_pairs({tmp_path / "ct": BACK}, 3))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / kept.TABLE).write_text("patient,source,target\n")
    with pytest.raises(WriteError, match="a folder of their own"):
        finish(kept.keep_pairs({tmp_path / "mine": SETTINGS}, 3))
