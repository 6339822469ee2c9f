"""The console script: without arguments the window, else the terminal."""

from __future__ import annotations

import sys


def main() -> int:
    """Open the window where nothing is asked for, else do what is asked; returns the exit code."""
    if len(sys.argv) > 1:
        from napari_harmonize import cli

        return int(cli.main() or 0)
    return _window()


def _window() -> int:
    import napari

    from napari_harmonize.widgets.workspace import open_workspace

    viewer = napari.Viewer(title="napari-harmonize")
    open_workspace(viewer)
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
