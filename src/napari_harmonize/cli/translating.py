"""``translate``: one case, by the same job as the window's."""

# cyclopts reads annotations at run time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_harmonize.cli import inputs, screen
from napari_harmonize.cli.evaluating import score_table
from napari_harmonize.cli.options import Terminal, given, options
from napari_harmonize.session import Backend
from napari_harmonize.translation.settings import TranslationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_harmonize.metrics import Score
    from napari_harmonize.translation import Case, Result

ABOUT = "What is not given comes from the settings file, else from the model; the defaults named here are those without either."
TranslationOptions = options(TranslationSettings, "Settings of the translation", about=ABOUT)
UNREVIEWED = "written by the command line; nobody has reviewed it"
DEFAULTS = TranslationOptions()
TERMINAL = Terminal()


def translate(
    source: Path,
    /,
    *,
    truth: Path | None = None,
    mask: Path | None = None,
    key: str | None = None,
    out: Path = Path("harmonized"),
    settings: Path | None = None,
    modality: str = "",
    series: str | None = None,
    remedy: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    accept: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    operator: str = "",
    chosen: Annotated[TranslationOptions, Parameter(name="*")] = DEFAULTS,  # type: ignore[valid-type]
    terminal: Terminal = TERMINAL,
) -> int:
    """Translate a volume and write the result on its own grid, with a record of the run and a one-page sheet.

    What is not said comes from the settings file, else from the model.

    Parameters
    ----------
    source
        The volume to translate: a file, or a folder of DICOM slices.
    truth
        The true volume of the wished contrast; measured against, never looked at by a model.
    mask
        The body part the model knows; not zero inside.
    key
        The wished look: FILE.json, FILE.json#NAME, or a model whose training average is meant.
    out
        Folder for the result; "harmonized" where not given.
    settings
        A settings file written by the window; options given here win over it.
    modality
        What the source is ("CT", "FLAIR", ...), where its file does not say.
    series
        Which DICOM series, where a folder holds several: its uid or its number.
    remedy
        A remedy to apply first: register, resample, mask, window, shift or straighten. May be repeated.
    accept
        Confirm a pre-flight finding by its code; recorded with the result. May be repeated.
    operator
        Who runs this; recorded with the result.
    """
    say = _say(terminal)
    asked = inputs.asked_for(settings, given(chosen))
    folder = inputs.folder_for(out)
    wished = asked.key if key is None else inputs.read_key(key)
    case = cure(read_case(source, truth, mask, wished, series=series, modality=modality), remedy)
    ticks = inputs.check(case, asked.package, accept, say)
    result = translate_case(case, asked, terminal)
    scores = measure(case, result, say)
    target = inputs.target_of(asked.package)
    if scores:
        screen.tell(score_table(scores))
    for path in Backend().export(result, case, folder, operator=operator, override=UNREVIEWED, ticks=ticks, scores=scores, target=target):
        screen.tell(str(path))
    return 0


def read_case(
    source: Path, truth: Path | None, mask: Path | None, key: Any = None, *, series: str | None = None, modality: str = ""
) -> "Case":
    """Read the volumes of a case."""
    from napari_harmonize.translation import Case

    volume = inputs.read_volume(source, series)
    volume = inputs.state_modality(volume, modality) if modality else volume
    beside = {name: None if path is None else inputs.read_volume(path) for name, path in (("truth", truth), ("mask", mask))}
    return Case(volume, beside["truth"], beside["mask"], key)


def cure(case: "Case", remedies: "Sequence[str]") -> "Case":
    """Apply remedies, one after another.

    Raises
    ------
    SettingsError
        There is no remedy of that name.
    """
    import dataclasses

    from napari_harmonize.errors import SettingsError
    from napari_harmonize.translation.remedies import REMEDIES

    for name in remedies:
        if name not in REMEDIES:
            raise SettingsError(f"A remedy is one of {', '.join(REMEDIES)}", f"{name!r} arrived")
        changed: dict[str, Any] = {**REMEDIES[name].apply(case)}
        case = dataclasses.replace(case, **changed)
    return case


def translate_case(case: "Case", asked: inputs.Asked, terminal: Terminal) -> "Result":
    """Say what it will cost, and translate."""
    from napari_harmonize.translation import estimate, translate

    if asked.package is not None and not terminal.quiet:
        screen.mention(f"{asked.package.card.title}: {estimate(case, asked.settings, asked.package).sentence}")
    return screen.run(translate(case, asked.settings, asked.package), terminal)


def measure(case: "Case", result: "Result", say: "Callable[[str], None]") -> "tuple[Score, ...]":
    """Measure a result against the truth of its case, on the source's grid; nothing where there is no truth."""
    if case.truth is None:
        return ()
    from napari_harmonize.metrics import evaluate
    from napari_harmonize.volumes import Meaning

    truth = inputs.onto(case.truth, case.source, say)
    hounsfield = {truth.meaning, result.volume.meaning} == {Meaning.HU}
    return evaluate(result.volume.data, truth.data, case.source.data, inputs.mask_on(case), case.key, hounsfield=hounsfield)


def _say(terminal: Terminal) -> "Callable[[str], None]":
    return (lambda text: None) if terminal.quiet else screen.mention
