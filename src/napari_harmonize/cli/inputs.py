"""Reading what the commands are given: volumes, style keys, settings and model names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_harmonize.cli import screen
from napari_harmonize.cli.options import apply
from napari_harmonize.errors import PreflightError, SettingsError, StyleError
from napari_harmonize.session import Backend, settings_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_harmonize.style import StyleKey
    from napari_harmonize.translation import Case, Finding, ModelPackage, TranslationSettings
    from napari_harmonize.volumes import Volume

BASELINE = "baseline:"


@dataclass(frozen=True, eq=False)
class Asked:
    """How a case is to be translated.

    Parameters
    ----------
    settings : TranslationSettings
        The model's own, changed by the settings file, changed by the options.
    package : ModelPackage, optional
        The model; none where a baseline is asked for.
    key : StyleKey, optional
        The look of the settings file.
    """

    settings: TranslationSettings
    package: ModelPackage | None
    key: StyleKey | None = None


def asked_for(file: Path | None, changes: Mapping[str, Any]) -> Asked:
    """Put settings together: what the model starts with, then the settings file, then the options.

    Parameters
    ----------
    file : Path, optional
        A settings file as the window writes it.
    changes : mapping
        Options that were given; a sampler without a number of steps brings its own.

    Raises
    ------
    SettingsError
        The file or a value is wrong.
    ModelError
        There is no such model.
    """
    from napari_harmonize.translation import TranslationSettings

    found = None if file is None else settings_file.read(file)
    name = changes.get("model", "" if found is None else found.translation.model)
    package = None if name.startswith(BASELINE) else open_model(name)
    if found is not None:
        return Asked(apply(found.translation, changes), package, found.look.wished())
    base = TranslationSettings() if package is None else package.recipe.defaults.settings(name)
    return Asked(apply(base, {**_steps_of(changes), **changes}), package)


def _steps_of(changes: Mapping[str, Any]) -> dict[str, int]:
    from napari_harmonize.diffusion import SAMPLERS

    return {"steps": SAMPLERS[changes["sampler"]].default_steps} if "sampler" in changes else {}


def open_model(name: str) -> ModelPackage:
    """Read a model's recipe and card; an empty name means the default model."""
    from napari_harmonize.translation import load
    from napari_harmonize.translation.package import default_model

    return load(name or default_model())


def read_volume(path: Path, series: str | None = None) -> Volume:
    """Read a file or DICOM folder; what was repaired or is odd about it is said."""
    from napari_harmonize.volumes import read

    volume = read(path, series=series)
    for note in volume.notes:
        screen.mention(f"Warning: {path.name}: {note}")
    return volume


def state_modality(volume: Volume, modality: str) -> Volume:
    """Say what contrast a volume has; what is called CT and does not say its unit is taken to be in Hounsfield units."""
    from napari_harmonize.volumes import Meaning

    meaning = Meaning.HU if modality == "CT" and volume.meaning is Meaning.UNKNOWN else volume.meaning
    return volume.replace(modality=modality, meaning=meaning)


def target_of(package: ModelPackage | None) -> str:
    """Give the contrast a model translates to, where it says one."""
    return "" if package is None else next(iter(package.card.to_contrasts), "")


def onto(volume: Volume, grid: Volume, tell: Callable[[str], None], order: int = 1) -> Volume:
    """Bring a volume onto another one's grid, and say so where that changes it."""
    moved = Backend().resample_onto(volume, grid, order)
    if moved is not volume:
        tell(f"Note: {volume.name} was resampled onto the grid of {grid.name}.")
    return moved


def mask_on(case: Case) -> NDArray[np.bool_]:
    """Give the case's mask on the source's grid, else the source's foreground."""
    backend = Backend()
    if case.mask is None:
        return backend.foreground(case.source)
    inside: NDArray[np.bool_] = backend.resample_onto(case.mask, case.source, 0).data > 0
    return inside


def check(case: Case, package: ModelPackage | None, accepted: Sequence[str], tell: Callable[[str], None]) -> tuple[str, ...]:
    """Run pre-flight.

    Parameters
    ----------
    case, package
        What is to be translated, and by what.
    accepted : sequence of str
        Codes of findings the user confirms.
    tell : callable
        Given a line for every finding that is no obstacle.

    Returns
    -------
    tuple of str
        Sentences that needed a confirmation and got it, to be recorded.

    Raises
    ------
    PreflightError
        A finding blocks, or needs a confirmation that was not given.
    """
    _check_codes(accepted)
    findings = Backend().preflight(case, package)
    open_ones = [finding for finding in findings if finding.severity == "tick" and finding.code not in accepted]
    for finding in findings:
        if finding.severity != "block" and finding not in open_ones:
            tell(f"Checked: {finding.sentence}")
    blocking = [finding for finding in findings if finding.severity == "block"]
    if blocking:
        raise PreflightError("This case cannot be translated as it stands", " ".join(finding.sentence for finding in blocking))
    if open_ones:
        raise PreflightError("Before this case is translated, something must be confirmed", *_confirmations(open_ones))
    return tuple(finding.sentence for finding in findings if finding.severity == "tick")


def _check_codes(accepted: Sequence[str]) -> None:
    """Refuse a code that no finding has, so that a slip of the pen is not taken for a confirmation."""
    from napari_harmonize.translation.preflight import CODES

    unknown = [code for code in accepted if code not in CODES]
    if unknown:
        raise SettingsError(f"--accept names findings, which are {', '.join(CODES)}", f"{', '.join(unknown)} arrived")


def _confirmations(findings: Sequence[Finding]) -> tuple[str, str]:
    remedies = sorted({finding.remedy for finding in findings if finding.remedy})
    accept = " ".join(f"--accept {code}" for code in sorted({finding.code for finding in findings}))
    remedy = f", or try {' '.join(f'--remedy {name}' for name in remedies)}" if remedies else ""
    return " ".join(finding.sentence for finding in findings), f"Confirm with {accept}{remedy}"


def read_key(text: str) -> StyleKey:
    """Find a style key.

    Parameters
    ----------
    text : str
        ``FILE.json``, ``FILE.json#NAME`` where the file holds several, or a model, whose training average is meant.

    Raises
    ------
    StyleError
        The file holds several keys and none was named, or none of that name; or the model has no training keys.
    """
    from napari_harmonize import style

    path, _, name = text.partition("#")
    if not path.lower().endswith(".json"):
        return _average(text)
    keys = {key.label: key for key in style.load(path)}
    if name or len(keys) == 1:
        if (name or next(iter(keys))) in keys:
            return keys[name or next(iter(keys))]
        raise StyleError("A style key is named as in its file", f"{Path(path).name} has no {name!r}", f"It holds: {', '.join(keys)}")
    raise StyleError("One style key is named", f"{Path(path).name} holds {len(keys)}", f"Write {path}#NAME; it holds: {', '.join(keys)}")


def _average(name: str) -> StyleKey:
    package = open_model(name)
    if package.recipe.training is None:
        raise StyleError("A model's name stands for its average training key", f"{package.name} has no training keys")
    return package.recipe.training.average


def folder_for(path: Path) -> Path:
    """Refuse a file name where a folder is meant, and a folder no export could go into."""
    from napari_harmonize.translation.export import check_folder

    if path.suffix in (".gz", ".nii", ".json", ".png", ".mgz", ".nrrd", ".mha") or path.is_file():
        raise SettingsError("--out names a folder, in which files get names by the BIDS rules", f"{path.name!r} arrived")
    check_folder(path)
    return path
