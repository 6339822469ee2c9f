"""``sample``: the built-in pairs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from napari_harmonize.cli import screen
from napari_harmonize.cli.options import Terminal
from napari_harmonize.errors import ReadError
from napari_harmonize.session.samples import FOLDER, SAMPLES

TERMINAL = Terminal()
OpenWindow = Callable[[Path | None], None]

app = App("sample", help="List, copy and open the built-in sample pairs.")


DEFAULT = next(iter(SAMPLES))


def folder_of(name: str) -> Path:
    """Find a pair's folder.

    Raises
    ------
    ReadError
        There is no pair of that name, or it did not come with the package.
    """
    if name not in SAMPLES:
        raise ReadError("A sample pair has a known name", f"{name!r} arrived", f"Known are: {', '.join(SAMPLES)}")
    folder = FOLDER / name
    if not folder.is_dir():
        raise ReadError("Sample pairs come with the package", f"{name} is not there", "Install it anew, or make them with `make samples`")
    return folder


@app.command(name="list")
def list_samples(*, terminal: Terminal = TERMINAL) -> int:
    """List the sample pairs."""
    screen.tell(screen.table([(name, sample.help) for name, sample in SAMPLES.items()], ("sample", "what it shows")))
    return 0


@app.command
def copy(name: str = DEFAULT, /, *, out: Path = Path(), terminal: Terminal = TERMINAL) -> int:
    """Copy a sample pair's files into a new folder, to try the other commands on.

    Parameters
    ----------
    name
        Which pair; the first of the list where not given.
    out
        Where the new folder is made; here where not given.
    """
    folder = folder_of(name)
    target = out / name
    if target.exists():
        raise ReadError("A sample is copied to a new folder", f"{target} is there already", "Name another place with --out")
    shutil.copytree(folder, target)
    for path in sorted(target.iterdir()):
        screen.tell(str(path))
    return 0


@app.command(name="open")
def open_sample(
    name: str = DEFAULT,
    /,
    *,
    open_window: Annotated[OpenWindow | None, Parameter(parse=False)] = None,
    terminal: Terminal = TERMINAL,
) -> int:
    """Open a sample pair in the arranged window.

    Parameters
    ----------
    name
        Which pair; the first of the list where not given.
    """
    folder = folder_of(name)
    if open_window is None:
        raise ReadError(
            "A pair is opened in the window", "there is no window here", f'Install with pip install "napari-harmonize[all]"; {folder}'
        )
    open_window(folder)
    return 0
