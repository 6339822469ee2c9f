"""The console script: without arguments the window, else the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def main() -> int:
    """Open the window where nothing is asked for, else do what is asked; returns the exit code."""
    if len(sys.argv) > 1:
        from napari_harmonize import cli

        return cli.main(open_window=_window)
    _window()
    return 0


def _window(sample: Path | None = None) -> None:
    """Open the arranged window, with a built-in pair where its folder is given, until it is closed."""
    import napari

    from napari_harmonize.widgets.session_of import session_of
    from napari_harmonize.widgets.workspace import open_workspace

    viewer = napari.Viewer(title="napari-harmonize")
    open_workspace(viewer)
    if sample is not None:
        session_of(viewer).pair.open_sample(sample.name)
    napari.run()


if __name__ == "__main__":
    sys.exit(main())
