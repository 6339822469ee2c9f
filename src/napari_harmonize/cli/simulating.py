"""``simulate``: pairs of scans of people who do not exist."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_harmonize.cli import screen
from napari_harmonize.cli.options import Terminal, apply, given, options
from napari_harmonize.simulate.settings import SimulationSettings

TERMINAL = Terminal()
SimulationOptions = options(SimulationSettings, "Simulation", about="What is not given keeps its default.", short=("anatomies",))
UNASKED = SimulationOptions()


def simulate(
    *,
    out: Path,
    count: int = 8,
    chosen: Annotated[SimulationOptions, Parameter(name="*")] = UNASKED,  # type: ignore[valid-type]
    terminal: Terminal = TERMINAL,
) -> int:
    """Write simulated pairs as NIfTI with their masks and labels, a table for "train" and a contact sheet to look at.

    Parameters
    ----------
    out
        New folder for the pairs, pairs.csv, labels.tsv and contact-sheet.png.
    count
        Number of pairs; 8 where not given.
    """
    settings = apply(SimulationSettings(), given(chosen))
    from napari_harmonize.simulate import pairs

    written = screen.run(pairs.simulate(settings, count, out), terminal)
    screen.tell(str(written.table))
    screen.tell(str(written.sheet))
    return 0
