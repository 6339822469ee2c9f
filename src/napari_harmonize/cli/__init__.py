"""The same jobs from a terminal.

Exit codes: 0 done, 1 refused or failed with a sentence, 2 wrong usage, 3 stopped by pre-flight, 130 stopped by the user.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Parameter

import napari_harmonize
from napari_harmonize.cli import benchmark, demo, evaluating, keys, models, samples, screen, simulating, training, translating
from napari_harmonize.errors import HarmonizeError, PreflightError, SettingsError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

DONE, FAILED, USAGE, BLOCKED, STOPPED = 0, 1, 2, 3, 130
ABOUT = (
    "Translate medical volumes between contrasts, and see whether the translation can be trusted. "
    "For research, not for diagnosis. Without a command the window opens."
)


def make_app() -> App:
    """Put the commands together."""
    shown = Parameter(show_default=False)
    app = App("napari-harmonize", help=ABOUT, version=napari_harmonize.__version__, help_format="plaintext", default_parameter=shown)
    app.command(translating.translate)
    app.command(evaluating.evaluate)
    app.command(keys.app)
    app.command(models.import_model, name="import")
    app.command(models.app)
    app.command(training.train)
    app.command(simulating.simulate)
    app.command(benchmark.benchmark)
    app.command(samples.app)
    app.command(demo.demo)
    return app


def main(argv: Sequence[str] | None = None, open_window: Callable[[Path | None], None] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process where absent.
    open_window : callable, optional
        Opens the arranged window, with the pair in a folder where one is given, and returns when it is closed.

    Returns
    -------
    int
        Exit code.
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in tokens
    _log(debug)
    try:
        return _run(tokens, open_window)
    except CycloptsError as error:
        return _refuse(f"{error} See napari-harmonize --help.", USAGE)
    except (HarmonizeError, OSError, MemoryError, KeyboardInterrupt) as error:
        if debug:
            raise
        return _refused(error)


def _run(tokens: Sequence[str], open_window: Callable[[Path | None], None] | None) -> int:
    command, bound, unparsed = make_app().parse_args(list(tokens), exit_on_error=False, print_error=False)
    code = command(*bound.args, **bound.kwargs, **dict.fromkeys(unparsed, open_window))
    return code if isinstance(code, int) else DONE


def _refused(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt | StoppedError):
        return _refuse("Stopped.", STOPPED)
    if isinstance(error, BrokenPipeError):
        # whoever read the output has gone; nothing may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if isinstance(error, MemoryError):
        return _refuse("There is not enough memory for this volume.", FAILED)
    if isinstance(error, OSError):
        name = f"{os.path.basename(os.fspath(error.filename))}: " if isinstance(error.filename, str | os.PathLike) else ""
        arrived = f"{name}{error.strerror or error}"
        return _refuse(f"A file or folder must be there and open to you. {arrived}. Check the name and the permissions.", FAILED)
    codes = {PreflightError: BLOCKED, SettingsError: USAGE}
    return _refuse(str(error), next((code for kind, code in codes.items() if isinstance(error, kind)), FAILED))


def _refuse(sentence: str, code: int) -> int:
    screen.mention(f"napari-harmonize: {sentence}")
    return code


def _log(debug: bool) -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("napari_harmonize").setLevel(logging.DEBUG if debug else logging.WARNING)
