"""Writing a result for others: NIfTI, JSON sidecar and sheet, in a BIDS derivative dataset that says it is synthetic."""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_harmonize import __version__
from napari_harmonize.errors import ExportError
from napari_harmonize.translation.preflight import looks_stripped
from napari_harmonize.translation.report import sheet
from napari_harmonize.volumes import discreet, public_name, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_harmonize.metrics import Score
    from napari_harmonize.translation.case import Case, Result

NAME = "napari-harmonize"
SCHEMA = "napari-harmonize.sidecar"
VERSION = 1
DESCRIPTION = f"SYNTHETIC research use, not for diagnosis; {NAME} {__version__}"[:79]
NOTICE = "This volume is synthetic: it was made by a model from another volume. Research use only, not for diagnosis."
BIDS_VERSION = "1.10.0"
# BIDS has no suffix for CT yet; "ct" is what BEP 024 proposes
SUFFIXES = {"T1": "T1w", "T2": "T2w", "PD": "PDw", "FLAIR": "FLAIR", "T2*": "T2starw", "CT": "ct", "CTA": "ct", "TOF": "angio"}


def export(
    result: Result,
    case: Case,
    folder: Path | str,
    *,
    review: Mapping[str, Any] | None = None,
    operator: str = "",
    override: str = "",
    ticks: Sequence[str] = (),
    scores: Sequence[Score] = (),
    target: str = "",
    label: str = "",
    position: tuple[float, float, float] | None = None,
) -> tuple[Path, ...]:
    """Write a result into a BIDS derivative dataset; nothing that is there is overwritten.

    Parameters
    ----------
    result, case : Result, Case
        What to write, on the source's own grid, and what it was made from.
    folder : Path
        The dataset. Made where it is absent; one made by this package is added to.
    review, operator, override : mapping, str, str
        The decision that counts, who exports, and why it is exported though it was not accepted.
    ticks, scores : sequence of str, sequence of Score
        Pre-flight sentences that were confirmed, and numbers of the result.
    target, label : str
        Contrast of the result where the volume does not say ("T1"), and subject label; see :func:`subject_label`.
    position : three float, optional
        Where the sheet's planes are cut, RAS+ mm.

    Returns
    -------
    tuple of Path
        NIfTI, sidecar and sheet. A second export of the same subject and contrast is ``run-2``, and so on.

    Raises
    ------
    ExportError
        The folder holds another dataset or cannot be written to.
    """
    root = Path(folder)
    _dataset(root)
    subject = subject_label(label, case)
    paths = _free(root / f"sub-{subject}" / "anat", subject, suffix_of(result.volume.modality or target))
    record = sidecar(
        result,
        case,
        review=review,
        operator=operator,
        override=override,
        ticks=ticks,
        scores=scores,
        written=paths[0].name,
    )
    with _all_or_none(paths):
        write(result.volume, paths[0], description=DESCRIPTION)
        sheet(result, case, paths[2], scores=scores, position=position, review=_review_words(review, override), label=f"sub-{subject}")
        _write_json(paths[1], record)  # last: a NIfTI without its sidecar is an export that failed
    return paths


@contextmanager
def _all_or_none(paths: Sequence[Path]) -> Iterator[None]:
    """Leave none of the files behind where writing them fails or is stopped."""
    try:
        yield
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def subject_label(label: str, case: Case) -> str:
    """Choose a BIDS label, letters and digits only.

    A file name may hold a patient's name, so it is used only where it already is a BIDS name.
    """
    wanted = re.sub(r"[^A-Za-z0-9]", "", label)
    named = re.match(r"sub-([A-Za-z0-9]+)(?=[_.]|$)", case.source.name)
    return wanted or (named.group(1) if named else f"case{case.source.sha256[:8] or 'unknown'}")


def suffix_of(contrast: str) -> str:
    """Give the BIDS suffix of a contrast; one BIDS does not know is kept, letters and digits only."""
    return SUFFIXES.get(contrast) or re.sub(r"[^A-Za-z0-9]", "", contrast) or "MRI"


def sidecar(
    result: Result,
    case: Case,
    *,
    review: Mapping[str, Any] | None = None,
    operator: str = "",
    override: str = "",
    ticks: Sequence[str] = (),
    scores: Sequence[Score] = (),
    written: str = "",
) -> dict[str, Any]:
    """Say everything about a result, as JSON values.

    Parameters
    ----------
    result, case, review, operator, override, ticks, scores
        As for :func:`export`.
    written : str
        Name of the file it goes with.

    Returns
    -------
    dict
        BIDS keys, and one block "NapariHarmonize". In it ``facts`` is the same whenever the same is done again, and
        ``facts_sha256`` is its hash; times stand in ``volatile`` and ``review``.
    """
    facts = {"notice": NOTICE, "synthetic": True, "run": dict(result.run.facts)}
    block = {
        "schema": SCHEMA,
        "version": VERSION,
        "facts": facts,
        "facts_sha256": hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest(),
        "run_sha256": result.run.hash,
        "scores": [{"name": score.name, "value": _finite(score.value), "unit": score.unit, "note": score.note} for score in scores],
        "confirmed": discreet(list(ticks), case.source, case.truth, case.mask),
        "review": None if review is None else dict(review),
        "review_state": _review_words(review, override),
        "override": override or None,
        "operator": operator or None,
        "volatile": {**result.run.volatile, "exported": datetime.now(UTC).isoformat(timespec="seconds")},
    }
    return {
        "Description": f"{NOTICE} {written}".strip(),
        "Sources": [f"{public_name(volume)} sha256:{volume.sha256}" for volume in (case.source, case.mask) if volume is not None],
        "SkullStripped": looks_stripped(case),
        "NapariHarmonize": block,
    }


def _finite(value: float) -> float | str:
    """A number, or its name: JSON has no infinity."""
    return value if abs(value) < float("inf") else str(value)


def _review_words(review: Mapping[str, Any] | None, override: str) -> str:
    words = "not reviewed" if review is None else f"{review.get('verdict', 'unknown')} by {review.get('rater', 'unknown')}"
    return f"{words}; exported with a reason: {override}" if override else words


def _free(folder: Path, subject: str, suffix: str) -> tuple[Path, Path, Path]:
    """Names nothing has yet."""
    return next(paths for paths in _names(folder, subject, suffix) if not any(path.exists() for path in paths))


def _names(folder: Path, subject: str, suffix: str) -> Iterator[tuple[Path, Path, Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        run = "" if number == 1 else f"_run-{number}"
        stem = f"sub-{subject}{run}_desc-synthetic_{suffix}"
        yield folder / f"{stem}.nii.gz", folder / f"{stem}.json", folder / f"{stem}.png"
        number += 1


def check_folder(folder: Path | str) -> None:
    """Check, before anything is computed, that an export could go into a folder; nothing is made.

    Raises
    ------
    ExportError
        The folder holds another dataset or cannot be written to.
    """
    root = Path(folder).absolute()
    there = next(path for path in (root, *root.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        reason = "is not writable" if there.is_dir() else "is a file"
        raise ExportError("An export goes into a folder that can be written to", f"{there.name} {reason}", "Choose another folder")
    described = root / "dataset_description.json"
    if described.exists():
        _check_ours(described)
    elif any(path.suffix != "" or path.is_dir() for path in root.glob("sub-*")):
        raise ExportError("An export goes into a dataset of its own", f"{root.name} already holds subjects", "Choose another folder")


def _dataset(root: Path) -> None:
    """Make the dataset, or check that it is one of ours.

    Raises
    ------
    ExportError
        It is another dataset, or cannot be written to.
    """
    described = root / "dataset_description.json"
    try:
        check_folder(root)
        root.mkdir(parents=True, exist_ok=True)
        if described.exists():
            return
        for name, text in _files().items():
            if not (root / name).exists():
                (root / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError("An export goes into a folder that can be written to", f"{root.name}: {error.strerror}") from error


def _check_ours(described: Path) -> None:
    try:
        makers = [maker.get("Name") for maker in json.loads(described.read_text(encoding="utf-8")).get("GeneratedBy", [])]
    except (OSError, ValueError, AttributeError) as error:
        arrived = f"that in {described.parent.name} is none or cannot be read"
        raise ExportError("A dataset_description.json is a JSON object that says what made it", arrived, "Choose another folder") from error
    if NAME not in makers:
        raise ExportError(
            "An export goes into a dataset of its own, never into another one's",
            f"{described.parent.name} was made by {', '.join(filter(None, makers)) or 'something else'}",
            "Choose another folder",
        )


def _files() -> dict[str, str]:
    maker = {"Name": NAME, "Version": __version__, "Description": NOTICE}
    description = {
        "Name": "Synthetic volumes",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [maker],
        "SourceDatasets": [{"URL": "urn:local:source-volumes", "Version": "named by hash in each sidecar"}],
    }
    table = f"desc_id\tdescription\nsynthetic\t{NOTICE} How it was made is in its sidecar.\n"
    told = "Every volume has a sidecar (how, from what, who reviewed it) and a one-page sheet."
    readme = f"# Synthetic volumes\n\n{NOTICE}\n\nMade by {NAME}. {told}\n"
    return {
        "descriptions.tsv": table,
        "README.md": readme,
        ".bidsignore": "*.png\n",
        "dataset_description.json": json.dumps(description, indent=2, ensure_ascii=False) + "\n",
    }


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
