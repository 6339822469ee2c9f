"""The importers' table and the import job; what each system's files hold is tested beside it."""

from __future__ import annotations

import pytest
import torch

from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.events import Note, Stage, finish
from napari_harmonize.settings import Settings
from napari_harmonize.translation import IMPORTERS, Card, import_checkpoint, load, recognise
from napari_harmonize.translation.importers import Imported, ImporterRow


@pytest.fixture
def system(tiny_package, monkeypatch):
    """A system of one file, whose importer is a module made here."""

    class Module:
        Answers = Settings

        @staticmethod
        def recognises(path):
            return path.read_bytes() == b"known"

        @staticmethod
        def convert(path, **answers):
            if answers:
                raise SettingsError(f"Answers has no setting {next(iter(answers))!r}")
            state = tiny_package.load_network().state_dict()
            return Imported(tiny_package.recipe, Card(title="found"), state, ("It is axial.",), ("One tensor was left out.",))

    monkeypatch.setattr(ImporterRow, "_module", lambda self: Module)
    monkeypatch.setitem(IMPORTERS, "made-up", ImporterRow("A made-up system", (".xyz",), "nowhere"))


def test_a_known_file_becomes_a_package(system, tmp_path):
    (tmp_path / "file.xyz").write_bytes(b"known")
    heard = []
    package = finish(import_checkpoint(tmp_path / "file.xyz", tmp_path / "out"), heard.append)
    assert load(tmp_path / "out").hash == package.hash
    assert package.card.assumed == ("It is axial.",)
    notes = [event.text for event in heard if isinstance(event, Note)]
    assert notes == ["file.xyz is a checkpoint of A made-up system", "One tensor was left out.", "Assumed: It is axial."]
    assert [event.name for event in heard if isinstance(event, Stage)] == ["Reading the checkpoint", "Writing the model package"]


def test_questions_are_a_settings_class(system):
    assert issubclass(IMPORTERS["made-up"].questions(), Settings)


def test_unknown_files_systems_and_answers_are_refused(system, tmp_path):
    (tmp_path / "file.xyz").write_bytes(b"strange")
    with pytest.raises(ModelError, match=r"Known are: .*A made-up system \(.xyz\)"):
        recognise(tmp_path / "file.xyz")
    with pytest.raises(ModelError, match="there is no file"):
        recognise(tmp_path / "absent.xyz")
    with pytest.raises(ModelError, match="one of ct2mri"):
        finish(import_checkpoint(tmp_path / "file.xyz", tmp_path / "out", system="nobody"))
    with pytest.raises(SettingsError, match="no setting 'colour'"):
        finish(import_checkpoint(tmp_path / "file.xyz", tmp_path / "out", system="made-up", colour="red"))
    assert not (tmp_path / "out").exists()


def test_every_row_leads_to_its_functions(tmp_path):
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pth")
    for row in IMPORTERS.values():
        assert callable(row.load())
        assert issubclass(row.questions(), Settings)
        assert row.recognises(tmp_path / "other.pth") is False
