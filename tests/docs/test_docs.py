"""The documentation is true: its snippets run, its links lead somewhere, its reference pages are those of the code."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_harmonize.cli import main
from napari_harmonize.session.samples import FOLDER, SAMPLES
from napari_harmonize.translation import built_in
from napari_harmonize.volumes import from_array, read, write

ROOT = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).with_name("small.py")
PAGES = sorted(path for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if "decisions" not in path.parts)
FENCE = re.compile(r"^```(\w+)[ ]?([\w-]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EVERY = 8


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    language: str
    mark: str
    text: str


def snippets(page: Path) -> list[Snippet]:
    found = [Snippet(*groups) for groups in FENCE.findall(page.read_text(encoding="utf-8"))]
    return [snippet for snippet in found if snippet.language in ("bash", "python")]


RUN = [page for page in PAGES if any(snippet.mark != "no-test" for snippet in snippets(page))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Sample pairs of 8 mm voxels and a model with random weights."""
    import tiny_model

    folder = tmp_path_factory.mktemp("small")
    for name in SAMPLES:
        (folder / "samples" / name).mkdir(parents=True)
        for role in ("source", "target", "mask"):
            volume = read(FOLDER / name / f"{role}.nii.gz")
            coarse = from_array(np.ascontiguousarray(volume.data[::EVERY, ::EVERY, ::EVERY]), volume.affine @ np.diag([EVERY] * 3 + [1]))
            write(coarse, folder / "samples" / name / f"{role}.nii.gz")
    tiny_model.make(folder / "model")
    return folder


@pytest.fixture
def checkpoint(tmp_path) -> None:
    """A file as CT2MRI writes it, of a tiny network with random weights."""
    import torch

    from napari_harmonize.diffusion.schedules import bridge, buffers
    from napari_harmonize.diffusion.settings import BridgeSettings
    from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings

    settings = BridgeUNetSettings(width=32, multipliers=(1, 2), blocks=1, head_width=64, bins=128)
    generator = torch.Generator().manual_seed(0)
    weights = {name: 0.05 * torch.randn(value.shape, generator=generator) for name, value in BridgeUNet(settings).state_dict().items()}
    schedule = {name: torch.from_numpy(values).float() for name, values in buffers(bridge(BridgeSettings())).items()}
    state = {f"denoise_fn.{name}": value for name, value in weights.items()} | schedule
    torch.save({"step": 1, "epoch": 1, "model": state}, tmp_path / "top_model_epoch_5.pth")


@pytest.fixture
def guided_checkpoint(tmp_path) -> None:
    """A file as the contrast-harmonisation system writes it, of a tiny network with random weights."""
    import torch

    from napari_harmonize.networks.guided_unet import GuidedUNet, GuidedUNetSettings

    torch.save(GuidedUNet(GuidedUNetSettings(width=64, multipliers=(1, 1), blocks=1)).state_dict(), tmp_path / "savedmodel250000.pt")


@pytest.fixture
def spine_checkpoints(tmp_path) -> None:
    """Files as the spine system writes them, of tiny networks with random weights."""
    from graf_checkpoint import OPTIONS_2D, OPTIONS_3D, diffusion_state, lightning, raw

    raw(tmp_path / "T2_to_CT.pt", diffusion_state("unet-3d"), OPTIONS_3D)
    lightning(tmp_path / "last.ckpt", diffusion_state(), OPTIONS_2D)


@pytest.fixture
def angiography_checkpoints(tmp_path) -> None:
    """Files as the angiography system exports them, of tiny networks with random weights."""
    import xmodality_export

    for kind in ("unet", "adm"):
        xmodality_export.write(tmp_path / f"{kind}.safetensors", xmodality_export.stored(kind))


@pytest.fixture
def checkpoints(checkpoint, guided_checkpoint, spine_checkpoints, angiography_checkpoints) -> None:
    """One file or more of every system."""


@pytest.fixture
def with_small(small, monkeypatch) -> str:
    """Small pairs and the tiny model stand for the built-in ones, in this process."""
    from napari_harmonize.cli import samples as commands
    from napari_harmonize.session import samples
    from napari_harmonize.translation import package

    monkeypatch.setattr(samples, "FOLDER", small / "samples")
    monkeypatch.setattr(commands, "FOLDER", small / "samples")
    monkeypatch.setattr(package, "_built_in_folders", lambda: {package.DEFAULT: small / "model"})
    return str(small)


def run(snippet: Snippet, folder: Path, where: str) -> None:
    """Run a snippet in this process where it is Python or nothing but our commands, else in a shell."""
    lines = snippet.text.replace("\\\n", " ").splitlines()
    if snippet.language == "python":
        (folder / "snippet.py").write_text(snippet.text, encoding="utf-8")
        runpy.run_path(str(folder / "snippet.py"))
    elif all(line.startswith("napari-harmonize ") for line in lines):
        for line in lines:
            assert main(shlex.split(line)[1:]) == 0, line
    else:
        shim = f'set -euo pipefail\nnapari-harmonize() {{ "{sys.executable}" "{SMALL}" "{where}" "$@"; }}\n'
        done = subprocess.run(["bash", "-c", shim + snippet.text], capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, f"{snippet.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_snippets_run_one_after_another(page, with_small, checkpoints, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for snippet in snippets(page):
        if snippet.mark != "no-test":
            run(snippet, tmp_path, with_small)
    assert not (tmp_path / "look-at-these.txt").exists()


@pytest.mark.slow
def test_the_tutorial_runs_with_the_built_in_model(tmp_path, monkeypatch):
    if not built_in():
        pytest.skip("no model is built in")
    monkeypatch.chdir(tmp_path)
    for snippet in snippets(ROOT / "docs" / "tutorial.md"):
        if snippet.mark != "no-test":
            run(snippet, tmp_path, "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_snippet_is_run_or_says_why_not(page):
    for snippet in snippets(page):
        assert snippet.mark in ("", "no-test", "checkpoint")
        if snippet.mark == "no-test":  # set-up, windows, files nobody can ship, training, and networks of the published size
            assert re.search(
                r"^(make|pip|napari-harmonize$|napari-harmonize (import|train) |.* --model my-model)", snippet.text, re.MULTILINE
            )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for image, target in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if image and not (ROOT / "docs" / "images" / "workspace.png").exists():
            continue  # before `make screenshots` has run
        assert found.exists(), target
        assert not heading or heading in headings(found), target


def headings(page: Path) -> set[str]:
    """Anchors of a page, as they are made on the web: lower case, words joined by dashes."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_reference_pages_are_those_of_the_code():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    for name, text in made.pages().items():
        assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == text, f"{name} is out of date: run `make reference`"


def test_the_changelog_names_this_version():
    from napari_harmonize import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_readme_opens_with_a_picture_and_says_what_it_is_not_for():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines[2].startswith("![")
    assert "docs/images/workspace.png" in lines[2]
    assert any("not for diagnosis" in line for line in lines[:14])


def test_the_log_of_the_built_in_model_is_that_of_its_plan():
    from napari_harmonize.training.any_to_t1 import PLANS

    log = (ROOT / "docs" / "models" / "any-to-t1.log").read_text(encoding="utf-8")
    told = re.findall(r"^phase (.+): (\d+) steps$", log, re.MULTILINE)
    assert told == [(name, str(settings.steps)) for name, settings, _ in PLANS["gpu"].phases]
    assert len(re.findall(r"^step \d+: loss 0\.\d+, rate \S+, \d+ s$", log, re.MULTILINE)) > 20


def test_the_built_in_models_last_training_is_that_of_its_plan():
    from napari_harmonize.training.any_to_t1 import PLANS

    log = (ROOT / "docs" / "models" / "any-to-t1-lesions.log").read_text(encoding="utf-8")
    ((_, settings, _),) = PLANS["lesions"].phases
    told = [int(step) for step in re.findall(r"^step (\d+): loss 0\.\d+, rate \S+ \d+ s$", log, re.MULTILINE)]
    assert told == list(range(settings.report, settings.steps + 1, settings.report))
