"""Where the tests find what is not in the repository, and what every test must leave behind: nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _outside(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT / default))
    if not folder.is_dir():
        pytest.skip(f"{variable} names no folder: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """Arrays made by running the published systems."""
    return _outside("HARMONIZE_REFERENCE", "../shared/reference")


@pytest.fixture(scope="session")
def real() -> Path:
    """Real scans."""
    return _outside("HARMONIZE_REAL", "../shared/data/real")
