"""A session over a backend that answers at once, and the runner that runs on the spot."""

from __future__ import annotations

import pytest

from napari_harmonize.session import InlineRunner, Session
from napari_harmonize.translation import Finding
from still_backend import StillBackend


@pytest.fixture
def backend():
    return StillBackend()


@pytest.fixture
def session(backend):
    made = Session(backend)
    made.heard = []
    made.desk.message.connect(lambda text, level: made.heard.append((level, text)))
    yield made
    made.close()


@pytest.fixture
def runner(session):
    return InlineRunner(session.desk)


@pytest.fixture
def ready(session, runner):
    """A session with source, truth and model, ready to run."""
    session.model.choose("still")
    session.pair.load("source", "a.nii")
    session.pair.load("truth", "b.nii")
    runner.run()
    return session


@pytest.fixture
def finding():
    return lambda code="modality", severity="tick", remedy=None: Finding(code, severity, f"the {code} is in question", remedy)
