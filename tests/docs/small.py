"""Runs a command with small sample pairs and a tiny model in place of the built-in ones.

``python small.py FOLDER ARGUMENTS...`` is ``napari-harmonize ARGUMENTS...``. FOLDER holds ``samples`` and ``model``; where it is "-"
nothing is replaced.
"""

from __future__ import annotations

import sys
from pathlib import Path


def replace(folder: Path) -> None:
    from napari_harmonize.cli import samples as commands
    from napari_harmonize.session import samples
    from napari_harmonize.translation import package

    samples.FOLDER = commands.FOLDER = folder / "samples"
    package._built_in_folders = lambda: {package.DEFAULT: folder / "model"}


def main() -> int:
    where, *argv = sys.argv[1:]
    if where != "-":
        replace(Path(where))
    from napari_harmonize.cli import main as command

    return command(argv)


if __name__ == "__main__":
    sys.exit(main())
