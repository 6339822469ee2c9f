"""``sample``: the built-in pairs."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

import napari_harmonize
from napari_harmonize.cli import inputs, screen
from napari_harmonize.cli.options import Terminal
from napari_harmonize.errors import ReadError

if TYPE_CHECKING:
    from napari_harmonize.translation import Case

TERMINAL = Terminal()
OpenWindow = Callable[[Path | None], None]

app = App("sample", help="List, copy and open the built-in sample pairs.")


@dataclass(frozen=True)
class Sample:
    """One built-in pair.

    Parameters
    ----------
    source, target : str
        Contrast of both volumes, as a user would state it.
    help : str
        What it shows.
    """

    source: str
    target: str
    help: str


SAMPLES = {
    "ct-to-t1": Sample("CT", "T1", "CT of a whole head, and T1; translate inside the mask"),
    "flair-to-t1": Sample("FLAIR", "T1", "FLAIR with lesions, and T1"),
    "1p5t-to-3t": Sample("T1", "T1", "MPRAGE at 1.5 T, and at 3 T"),
}
DEFAULT = next(iter(SAMPLES))


def folder_of(name: str) -> Path:
    """Find a pair's folder.

    Raises
    ------
    ReadError
        There is no pair of that name, or it did not come with the package.
    """
    folder = Path(napari_harmonize.__file__).parent / "sample_data" / name
    if name not in SAMPLES or not folder.is_dir():
        raise ReadError("A sample pair has a known name", f"{name!r} arrived", f"Known are: {', '.join(SAMPLES)}")
    return folder


def read_sample(name: str) -> "Case":
    """Read a pair with its mask, named and with the contrast a user would state."""
    from napari_harmonize.translation import Case

    folder, sample = folder_of(name), SAMPLES[name]
    source, truth, mask = (inputs.read_volume(folder / f"{role}.nii.gz") for role in ("source", "target", "mask"))
    return Case(
        source.replace(name=f"{name}_{sample.source}", modality=sample.source),
        truth.replace(name=f"{name}_{sample.target}_true", modality=sample.target),
        mask.replace(name=f"{name}_mask"),
    )


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
