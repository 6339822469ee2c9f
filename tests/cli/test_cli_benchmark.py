"""``benchmark``: what it prints, writes and refuses."""

from __future__ import annotations

import pytest

from napari_harmonize.findings import job


@pytest.fixture
def canned(monkeypatch):
    """The job as it was asked, without measuring anything."""
    asked = {}
    number = {"mean": 21.5, "deviation": 0.5, "count": 3}
    table = {"title": "CT to T1", "group": "simulated subjects", "subjects": 3, "columns": {"psnr": "PSNR in dB ↑"}}
    table["rows"] = [{"way": "pure bridge", "numbers": {"psnr": number}}]
    claim = {"outcome": "holds", "task": "ct-to-t1", "text": "It helps.", "reason": "p = 0.01"}

    def benchmark(settings, out, cache, **rest):
        asked.update(settings=settings, out=out, cache=cache, **rest)
        yield from ()
        return {"sections": {"style-keys": {"title": "Keys", "tables": [table], "claims": [claim]}}}

    monkeypatch.setattr(job, "benchmark", benchmark)
    return asked


def test_tables_and_claims_are_printed(call, canned):
    said = call("benchmark", "--out", "made", "--only", "style-keys", "--subjects", "3", "--full", "--threads", "1")
    assert said.code == 0
    for words in ("Keys: CT to T1, 3 simulated subjects", "pure bridge", "21.5 ± 0.5", "holds", "It helps.", "made/findings.md"):
        assert words in said.out
    assert canned["only"] == ("style-keys",)
    assert (canned["settings"].subjects, canned["settings"].full, canned["settings"].threads) == (3, True, 1)
    assert canned["cache"].as_posix() == "made/cache"
    assert canned["real"] is None


def test_models_of_a_folder_come_first(call, canned, tiny):
    assert call("benchmark", "--out", "made", "--models", tiny.parent).code == 0
    assert canned["find"]("tiny").path == tiny
    assert canned["find"]("nothing of that name") is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--only", "everything"), 2, "style-keys, harmonisation, vessels, spine"),
        (("--subjects", "1"), 2, "at least 2"),
        (("--real", "nowhere"), 1, "pairs.csv"),
        (("--only", "spine", "--vit", "missing.npz"), 1, "npz"),
    ],
)
def test_what_cannot_be_done_is_said(call, arguments, code, words):
    said = call("benchmark", "--out", "made", *arguments)
    assert said.code == code
    assert words in said.err
