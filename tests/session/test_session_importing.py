"""A checkpoint becomes a model of the session: what is asked, what counts as stated, what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from napari_harmonize.errors import ModelError
from napari_harmonize.events import Note, Stage
from napari_harmonize.session import Recognised
from napari_harmonize.session.importing import stated
from napari_harmonize.settings import Settings, setting


@dataclass(frozen=True)
class Answers(Settings):
    """Two questions."""

    width: int = setting(8, help="Channels.")
    contrast: str = setting("CT", help="Contrast it translates from.")


@pytest.fixture
def imports(backend, monkeypatch, tmp_path):
    """What the backend was asked to import."""
    asked = []

    def work(path, folder, system, answers):
        asked.append((path, folder, system, answers))
        yield Stage("Reading the checkpoint", path.name)
        yield Note("Assumed: the width", "warning")
        if path.name == "bad.pth":
            raise ModelError("A checkpoint has every tensor", "one is missing")
        made = backend.load_model(str(folder))
        made.path = folder
        return made

    monkeypatch.setattr(backend, "recognise", lambda path: ("still", "the still system", Answers()))
    monkeypatch.setattr(backend, "import_checkpoint", work)
    return asked


def test_a_checkpoint_is_recognised_asked_about_imported_and_used(session, runner, imports, tmp_path):
    found, said = [], []
    session.importing.recognised.connect(found.append)
    session.importing.said.connect(said.append)
    session.importing.recognise(tmp_path / "net.pth")
    runner.run()
    assert found == [Recognised(tmp_path / "net.pth", "still", "the still system", Answers())]
    assert found[0].folder == tmp_path / "net"
    session.importing.start(found[0], Answers(contrast="FLAIR"), tmp_path / "out")
    runner.run()
    assert imports == [(tmp_path / "net.pth", tmp_path / "out", "still", {"contrast": "FLAIR"})]
    assert session.model.settings.model == str(tmp_path / "out")
    assert str(tmp_path / "out") in session.model.catalogue
    assert [type(event) for event in said] == [Stage, Note]


def test_answers_left_as_they_were_count_where_they_are_confirmed():
    assert stated(Answers(), Answers(), everything=False) == {}
    assert stated(Answers(), Answers(width=9), everything=False) == {"width": 9}
    assert stated(Answers(), Answers(), everything=True) == {"width": 8, "contrast": "CT"}


def test_a_refused_import_leaves_the_model_in_use(session, runner, imports, tmp_path):
    refused = []
    session.importing.failed.connect(refused.append)
    session.importing.start(Recognised(tmp_path / "bad.pth", "still", "", Answers()), Answers(), tmp_path / "out")
    runner.run()
    assert "one is missing" in str(refused[0])
    assert session.model.package is None
    assert session.heard == []


def test_an_import_that_is_cancelled_says_nothing(session, runner, imports, tmp_path):
    request = session.importing.start(Recognised(tmp_path / "net.pth", "still", "", Answers()), Answers(), tmp_path / "out")
    session.importing.cancel(request)
    runner.run()
    assert imports == []
    assert session.model.package is None


def test_a_folder_that_is_there_already_is_not_proposed(tmp_path):
    (tmp_path / "net").mkdir()
    assert Recognised(tmp_path / "net.pth", "", "", Answers()).folder == tmp_path / "net-model"


def test_a_file_of_no_known_system_is_refused_in_a_sentence(session, runner, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no checkpoint")
    session.importing.recognise(tmp_path / "net.onnx")
    runner.run()
    assert "net.onnx does not" in session.heard[0][1]
