"""``demo``: the built-in pair, translated, measured, written, and shown where there is a display."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from napari_harmonize.cli import inputs, screen
from napari_harmonize.cli.evaluating import comparison_table
from napari_harmonize.cli.options import Terminal, given
from napari_harmonize.cli.samples import DEFAULT, OpenWindow, folder_of
from napari_harmonize.cli.translating import DEFAULTS, TranslationOptions, measure, translate_case
from napari_harmonize.session import Backend
from napari_harmonize.session.samples import read_sample

if TYPE_CHECKING:
    from napari_harmonize.metrics import Score
    from napari_harmonize.translation import Case, Result

TERMINAL = Terminal()
CONFIRMED = ("modality", "anatomy", "stripped", "spacing", "intensity", "alignment")
SHOWN = ("psnr", "ssim", "mae", "correlation", "slice-consistency-0", "slice-consistency-1", "slice-consistency-2")
UNREVIEWED = "written by the demo; nobody has reviewed it"


def demo(
    *,
    sample: str = DEFAULT,
    out: Path = Path("demo_output"),
    window: bool = True,
    chosen: Annotated[TranslationOptions, Parameter(name="*")] = DEFAULTS,  # type: ignore[valid-type]
    open_window: Annotated[OpenWindow | None, Parameter(parse=False)] = None,
    terminal: Terminal = TERMINAL,
) -> int:
    """Translate a built-in sample pair, print how good it is, write the result and a one-page sheet.

    Parameters
    ----------
    sample
        Which pair; the first of the list of samples where not given.
    out
        Folder for the result; "demo_output" where not given.
    window
        Whether to open the arranged window afterwards, where there is a display; it opens where not given.
    """
    asked = inputs.asked_for(None, given(chosen))
    folder, case = inputs.folder_for(out), _case(sample)
    ticks = inputs.check(case, asked.package, CONFIRMED, lambda text: None)
    result = translate_case(case, asked, terminal)
    columns = _columns(case, result, terminal)
    screen.tell(comparison_table(columns))
    target = inputs.target_of(asked.package)
    for path in Backend().export(result, case, folder, override=UNREVIEWED, ticks=ticks, scores=columns["result"], target=target):
        screen.tell(str(path))
    if window and open_window is not None and has_display():
        open_window(folder_of(sample))
    return 0


def _case(name: str) -> "Case":
    from napari_harmonize.translation import Case

    folder_of(name)
    return Case(*read_sample(name))


def has_display() -> bool:
    """Tell whether a window could be seen."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _columns(case: "Case", result: "Result", terminal: Terminal) -> "dict[str, tuple[Score, ...]]":
    """Scores of the result, of the untouched source and of histogram matching, which looks at the truth."""
    from napari_harmonize.translation import translate_baseline

    quiet = Terminal(quiet=True)
    others = {"untouched source": "identity", "histogram matching": "histogram-matching"}
    made = {"result": result, **{title: screen.run(translate_baseline(name, case), quiet) for title, name in others.items()}}
    say = (lambda text: None) if terminal.quiet else screen.mention
    return {title: tuple(score for score in measure(case, found, say) if score.name in SHOWN) for title, found in made.items()}
