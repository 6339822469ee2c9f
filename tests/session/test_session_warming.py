"""The engine is loaded in small pieces, its libraries by the system."""

from __future__ import annotations

import sys

import pytest

from napari_harmonize.session import warming


def test_everything_wanted_is_imported_one_after_another():
    stages = list(warming.warm_up())
    assert [stage.detail for stage in stages] == ["", *(name.rpartition(".")[2] for name in warming.WANTED)]
    assert set(warming.WANTED) <= set(sys.modules)


@pytest.mark.skipif(sys.platform == "win32", reason="there the import opens them")
def test_the_system_opens_the_libraries_and_what_it_cannot_open_is_left_to_the_import(tmp_path, monkeypatch):
    assert "torch_cpu" in warming.open_libraries()
    monkeypatch.setattr(warming, "_folder", lambda: tmp_path)
    assert warming.open_libraries() == ()
    monkeypatch.setattr(warming, "_folder", lambda: None)
    assert warming.open_libraries() == ()
