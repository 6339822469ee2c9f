"""The page says what is in the results, no more and no less."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

from napari_harmonize.findings.page import page, value

ROOT = Path(__file__).resolve().parents[2]
RESULTS = {
    "tool": "1.2.3",
    "settings": {"subjects": 7, "full": False},
    "hours": 1.5,
    "left out": ["Another section"],
    "sections": {
        "one": {
            "title": "A section",
            "about": "What it is about.",
            "differs": ["The task is another."],
            "paper": "Someone et al., Table 9",
            "measured on": "whole volumes",
            "models": {"m": "0123456789abcdef"},
            "tables": [
                {
                    "task": "ct-to-t1",
                    "title": "CT to T1",
                    "group": "simulated subjects",
                    "subjects": 7,
                    "columns": {"psnr": "PSNR in dB ↑"},
                    "rows": [{"way": "pure", "numbers": {"psnr": {"mean": 12.3456, "deviation": 0.123, "count": 7}}}],
                    "absent": {"a": "the model m is not there", "b": "the model m is not there"},
                }
            ],
            "claims": [{"task": "ct-to-t1", "text": "It helps.", "found in": "Table 9", "outcome": "does not hold", "reason": "p = 0.4"}],
            "costs": [{"model": "m", "parameters": 1_250_000, "gflops": 0.5, "rate": 31.0, "size": [80, 96]}],
            "pictures": [{"file": "findings-one.png", "caption": "A slice"}],
        }
    },
}


def test_every_number_reason_and_outcome_is_shown():
    text = page(RESULTS)
    for words in (
        "**7 simulated subjects**",
        "1.5 h",
        "- The task is another.",
        "Not measured yet: Another section.",
        "one averaged brain",
        "`m` 0123456789ab",
        "| pure | 12.35 ± 0.12 |",
        "Not measured: a, b – the model m is not there.",
        "| ct-to-t1 | It helps. | Table 9 | does not hold | p = 0.4 |",
        "| A section | Someone et al., Table 9 | 0 | 1 | 0 |",
        "| m | 1.25 million | 80 × 96 | 0.5 | 31 |",
        "![A slice](images/findings-one.png)",
    ):
        assert words in text


def test_whose_warps_the_subjects_are_is_said():
    assert "one averaged brain" in page({**RESULTS, "anatomies": 0})
    assert "warps of **1 brain of the user's own**" in page({**RESULTS, "anatomies": 1})
    text = page({**RESULTS, "anatomies": 3})
    assert "warps of **3 brains of the user's own**" in text
    assert "averaged brain" not in text


def test_without_results_it_says_how_to_make_it():
    text = page(None)
    assert "Nothing was measured yet" in text
    assert "make findings" in text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ({"mean": None, "deviation": None}, "-"),
        ({"mean": 0.000123456, "deviation": None}, "0.0001235"),
        ({"mean": 20.0, "deviation": 1.0}, "20 ± 1"),
    ],
)
def test_numbers_are_short(number, text):
    assert value(number) == text


def test_the_documentation_takes_page_and_pictures(tmp_path):
    main = runpy.run_path(str(ROOT / "docs" / "make_findings.py"))["main"]
    (tmp_path / "measured" / "images").mkdir(parents=True)
    (tmp_path / "measured" / "images" / "findings-one.png").write_bytes(b"new")
    (tmp_path / "measured" / "results.json").write_text(json.dumps(RESULTS))
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "docs" / "images" / "findings-old.png").write_bytes(b"old")
    main(tmp_path / "measured", tmp_path / "docs")
    assert (tmp_path / "docs" / "findings.md").read_text() == page(RESULTS)
    assert [path.name for path in (tmp_path / "docs" / "images").iterdir()] == ["findings-one.png"]
