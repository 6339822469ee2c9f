"""What the package promises as a whole: names, what is loaded when, who imports whom, the manifest, what a wheel holds."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import napari_harmonize

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "napari_harmonize"
HEAVY = (
    "torch",
    "torchmetrics",
    "SimpleITK",
    "napari",
    "qtpy",
    "PyQt6",
    "PySide6",
    "superqt",
    "magicgui",
    "pyqtgraph",
    "matplotlib.pyplot",
)

LOADED = f"import json, sys; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
HELP = """
import contextlib, io, json, sys
from cyclopts import App
from napari_harmonize.cli import main, make_app

def commands(app, path=()):
    yield path
    for name in app:
        if not name.startswith("-"):
            yield from commands(app[name], (*path, name))

shown = {}
for path in commands(make_app()):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = main([*path, "--help"])
    shown[" ".join(path)] = [code, "Usage" in text.getvalue(), [name for name in HEAVY if name in sys.modules]]
print(json.dumps(shown))
"""


def python(code: str, **variables: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_public_names_are_these_and_each_can_be_had():
    assert napari_harmonize.__all__ == ["__version__", "Volume", "finish", "read", "translate", "write"]
    for name in napari_harmonize.__all__:
        assert getattr(napari_harmonize, name) is not None
    assert napari_harmonize.__version__ == version("napari-harmonize")
    with pytest.raises(AttributeError, match="nonsense"):
        _ = napari_harmonize.nonsense


@pytest.mark.parametrize(
    "module", ["", ".volumes", ".style", ".metrics", ".diffusion", ".networks", ".prepare", ".translation", ".session", ".cli", ".__main__"]
)
def test_importing_loads_nothing_heavy(module):
    assert json.loads(python(f"import napari_harmonize{module}\n{LOADED}")) == []


def test_help_of_every_command_loads_nothing_heavy():
    shown = json.loads(python(f"HEAVY = {HEAVY}\n{HELP}"))
    assert {"", "translate", "evaluate", "style", "style make", "style show", "style blend", "style compare", "import", "demo"} <= set(
        shown
    )
    assert {"models", "models list", "models show", "sample", "sample list", "sample copy", "sample open"} <= set(shown)
    wrong = {name: found for name, found in shown.items() if found != [0, True, []]}
    assert not wrong


def test_output_into_a_closed_pipe_ends_quietly():
    code = "import sys; from napari_harmonize.cli import main; sys.exit(main(['models', 'list']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-u", "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_the_import_contracts_hold():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_manifest_is_valid_and_names_what_is_there():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(PACKAGE / "napari.yaml")
    assert manifest.name == "napari-harmonize"
    commands = {command.id: command.python_name for command in manifest.contributions.commands}
    for place in (*manifest.contributions.widgets, *manifest.contributions.sample_data):
        assert place.command in commands
    for python_name in commands.values():
        module, _, name = str(python_name).partition(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None
        defined = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
        assert name in {node.name for node in defined if isinstance(node, ast.ClassDef | ast.FunctionDef)}


@pytest.mark.parametrize("name", ["sample_data", "napari.yaml"])
def test_links_at_the_root_are_relative_and_lead_into_the_package(name):
    link = ROOT / name
    assert link.is_symlink()
    assert not os.path.isabs(os.readlink(link))
    assert link.resolve() == PACKAGE / name


def test_sample_data_is_small_and_models_are_within_their_budget():
    assert sum(path.stat().st_size for path in (PACKAGE / "sample_data").rglob("*")) < 12e6
    for model in (path for path in (PACKAGE / "models").iterdir() if path.is_dir()):
        assert sum(path.stat().st_size for path in model.rglob("*")) < 20e6
    assert sum(path.stat().st_size for path in (PACKAGE / "models").rglob("*")) < 40e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling", reason="a wheel is built with hatchling")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_a_wheel_holds_manifest_samples_models_and_licence_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [path for folder in ("sample_data", "models") for path in (PACKAGE / folder).rglob("*") if path.is_file()]
    expected = {f"napari_harmonize/{path.relative_to(PACKAGE).as_posix()}" for path in (*data, PACKAGE / "napari.yaml")}
    assert expected <= names
    assert any(name.endswith("LICENSE") for name in names)
    assert all(name.startswith(("napari_harmonize/", "napari_harmonize-")) for name in names)


def test_samples_open_from_an_installed_wheel(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    read = "for name in s.SAMPLES:\n for volume in s.read_sample(name): print(s.FOLDER, volume.shape)"
    code = f"import napari_harmonize.session.samples as s\n{read}"
    lines = python(code, PYTHONPATH=str(tmp_path)).splitlines()
    assert len(lines) == 9
    assert all(line.startswith(str(tmp_path)) for line in lines)
