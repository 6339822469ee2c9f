"""Pre-flight: does the case hold together, and does it suit the model? One sentence each, with a remedy where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.prepare import foreground
from napari_harmonize.translation.compared import below_zero
from napari_harmonize.translation.kept import has_target_contrast
from napari_harmonize.translation.remedies import coarse_grid
from napari_harmonize.volumes import Meaning, canonical, hint, is_sheared, obliquity, overlap, resample_onto, same_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_harmonize.translation.case import Case
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.recipe import Recipe
    from napari_harmonize.volumes import Volume

# the largest adult brains are near 2.0 litres; a whole head is 3 to 5
BRAIN_LITRES = 2.2
TOUCHING = 0.2
SHIFTS_MM = (6.0, 12.0, 18.0)
GRID_MM = 4.0
# float32 keeps its digits between them
LARGEST, SMALLEST = 1e37, 1e-30
# what two boxes share by rounding only
NOTHING = 0.005
# codes of all findings, in the order shown
CODES = ("dimensions", "geometry", "values", "negative", "mask", "alignment", "modality", "anatomy", "stripped", "spacing", "intensity")
# pairs whose headers are right gain nothing by a shift; partial fields of view gain up to 0.12 by chance
LEAST_GAIN = 0.15


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    code : str
        Name of the check, the same for every case.
    severity : str
        "ok" (worth knowing), "tick" (the user must confirm it, and that is recorded) or "block" (no run as it stands).
    sentence : str
        What was found and what follows.
    remedy : str, optional
        Key of ``REMEDIES`` that may help.
    """

    code: str
    severity: str
    sentence: str
    remedy: str | None = None


def preflight(case: Case, package: ModelPackage | None = None) -> tuple[Finding, ...]:
    """Check a case, and whether it suits a model.

    Parameters
    ----------
    case : Case
        Source, optional truth and mask.
    package : ModelPackage, optional
        The model; without one only the case itself is checked.

    Returns
    -------
    tuple of Finding
        In the order shown; what must not run comes under severity "block".
    """
    found = [*_geometry(case.source), *_values(case)]
    if any(finding.severity == "block" for finding in found):
        return tuple(found)
    found += _pair(case)
    if package is not None:
        found += [finding for check in _AGAINST_CARD for finding in check(case, package)]
    return tuple(found)


def _geometry(source: Volume) -> Iterator[Finding]:
    thin = [side for side in source.shape if side < 2]
    if thin:
        yield Finding("dimensions", "block", f"{source.name} has {_by(source.shape)} voxels; each axis needs at least 2.")
    if is_sheared(source.affine):
        text = f"{source.name} is sheared (a tilted gantry): it is translated and written back as it lies; a straightened copy is on offer."
        yield Finding("geometry", "tick", text, "straighten")
    elif obliquity(source.affine) > 0.5:
        degrees = obliquity(source.affine)
        text = f"{source.name} is turned by {degrees:.1f} degrees; it is shown along its own axes and written back as it came."
        yield Finding("geometry", "ok", text)


def _values(case: Case) -> Iterator[Finding]:
    for role, volume in (("source", case.source), ("truth", case.truth), ("mask", case.mask)):
        if volume is None:
            continue
        if volume.data.dtype.kind == "f" and not np.isfinite(volume.data).all():
            share = float((~np.isfinite(volume.data)).mean())
            yield Finding("values", "block", f"{share:.2%} of the {role} {volume.name} is NaN or infinite; repair it before translating.")
        elif role != "mask":
            yield from _range(role, volume)
    below = [below_zero(volume, case.mask, role) for role, volume in (("source", case.source), ("truth", case.truth)) if volume is not None]
    if any(below):
        text = (
            f"{' '.join(filter(None, below))} Preparation, metrics and style keys count that as 0: shift it, or load the volume as it was."
        )
        yield Finding("negative", "tick", text, "shift")


def _range(role: str, volume: Volume) -> Iterator[Finding]:
    low, high = float(volume.data.min()), float(volume.data.max())
    if low == high:
        yield Finding("values", "block", f"The {role} {volume.name} holds one single value, {low:g}; there is nothing in it.")
    elif max(-low, high) > LARGEST or high - low < SMALLEST:
        text = f"The {role} {volume.name} has values from {low:g} to {high:g}, too {'large' if high - low > 1 else 'small'} to compute with"
        yield Finding("values", "block", f"{text}; multiply them by a constant that brings them near 1000.")


def _pair(case: Case) -> Iterator[Finding]:
    yield from _mask(case)
    if case.truth is not None:
        yield from _alignment(case.source, case.truth)


def _mask(case: Case) -> Iterator[Finding]:
    if case.mask is None:
        text = f"There is no mask: every voxel of {case.source.name} that is not background counts."
        yield Finding("mask", "ok", text, "mask")
        return
    inside = case.mask if same_grid(case.mask, case.source) else resample_onto(case.mask, case.source, order=0)
    litres = _litres(inside)
    if litres == 0:
        yield Finding("mask", "block", f"The mask {case.mask.name} is empty on {case.source.name}; load the mask of this volume.", "mask")
        return
    kept = float(foreground(case.source).data[inside.data > 0].mean())
    if kept < 0.5:
        text = f"Only {kept:.0%} of the mask {case.mask.name} lies on {case.source.name}; it may belong to another volume."
        yield Finding("mask", "tick", text, "mask")
    else:
        yield Finding("mask", "ok", f"The mask {case.mask.name} holds {litres:.2f} litres.")


def _alignment(source: Volume, truth: Volume) -> Iterator[Finding]:
    shared = min(overlap(source, truth), overlap(truth, source))
    if shared < NOTHING:
        text = f"{truth.name} and {source.name} lie in different places and share nothing, so that nothing can be compared"
        yield Finding("alignment", "block", f"{text}: register the truth, or take it out of the pair.", "register")
        return
    if shared < 0.3:
        text = f"Only {shared:.0%} of {source.name} and {truth.name} lies in the same place; they may be in different spaces."
        yield Finding("alignment", "tick", text, "register")
        return
    shift, gain = better_shift(source, truth)
    if gain > LEAST_GAIN:
        way = ", ".join(f"{abs(part):g} mm to the {side}" for part, side in zip(shift, _sides(shift), strict=True) if part)
        text = f"{truth.name} may not be aligned with {source.name}: moved {way} it would fit better."
        yield Finding("alignment", "tick", text, "register")
    elif same_grid(source, truth):
        yield Finding("alignment", "ok", f"{truth.name} lies on the grid of {source.name}.")
    else:
        text = f"{truth.name} is on another grid ({_by(truth.shape)}); it is resampled onto that of {source.name} for views and metrics."
        yield Finding("alignment", "ok", text, "resample")


def better_shift(fixed: Volume, moving: Volume) -> tuple[tuple[float, float, float], float]:
    """Look for a shift along one body axis that raises the mutual information of two volumes.

    Parameters
    ----------
    fixed, moving : Volume
        In one patient space.

    Returns
    -------
    shift : three float
        Of ``moving``, RAS+ mm; zeros where none is better.
    gain : float
        Relative rise of the mutual information.
    """
    grid = coarse_grid(fixed, GRID_MM, margin=0)
    beside, inside = resample_onto(fixed, grid).data, resample_onto(foreground(fixed), grid, order=0).data > 0
    here = _information(beside, resample_onto(moving, grid).data, inside)
    best, gain = (0.0, 0.0, 0.0), 0.0
    for axis, size, sign in ((axis, size, sign) for axis in range(3) for size in SHIFTS_MM for sign in (1, -1)):
        shift = np.zeros(3)
        shift[axis] = sign * size
        affine = np.array(moving.affine)
        affine[:3, 3] += shift
        there = _information(beside, resample_onto(moving.replace(affine=affine), grid).data, inside)
        if there / max(here, 1e-6) - 1 > gain:
            best, gain = (float(shift[0]), float(shift[1]), float(shift[2])), there / max(here, 1e-6) - 1
    return best, gain


def _information(a: NDArray[np.generic], b: NDArray[np.generic], inside: NDArray[np.bool_]) -> float:
    """Mutual information of the values inside, in bits, 32 x 32 bins between the percentiles 0.5 and 99.5."""
    joint = np.histogram2d(_ranked(a[inside]), _ranked(b[inside]), bins=32, range=np.array([(0, 1), (0, 1)]))[0] / max(inside.sum(), 1)
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    filled = joint > 0
    return float((joint[filled] * np.log2(joint[filled] / apart[filled])).sum())


def _ranked(values: NDArray[np.generic]) -> NDArray[np.float64]:
    numbers = values.astype(np.float64)
    if not numbers.size:
        return numbers
    low, high = np.quantile(numbers, (0.005, 0.995))
    return np.asarray(((numbers - low) / max(high - low, 1e-12)).clip(0, 1))


def _sides(shift: tuple[float, float, float]) -> tuple[str, ...]:
    words = (("right", "left"), ("front", "back"), ("top", "bottom"))
    # RAS+: the first axis grows towards the patient's right
    return tuple(pair[0] if part > 0 else pair[1] for part, pair in zip(shift, words, strict=True))


def _modality(case: Case, package: ModelPackage) -> Iterator[Finding]:
    known, source = package.card.from_contrasts, case.source
    if not known:
        return
    wanted = "any contrast" if "any" in known else " or ".join(known)
    if not source.modality:
        name = hint(source.name)
        suggested = f", though its name suggests {name}" if name else ""
        text = f"{source.name} does not say what contrast it has{suggested}; this model translates from {wanted}: confirm that it is one."
        yield Finding("modality", "tick", text)
    elif source.modality not in known and "any" not in known:
        text = f"{source.name} is {source.modality}; this model was trained to translate from {wanted} only."
        yield Finding("modality", "tick", text)
    elif source.modality in package.card.to_contrasts and set(known) - set(package.card.to_contrasts):
        text = f"{source.name} is {source.modality} already: {_left(source, package.recipe)}"
        yield Finding("modality", "tick", text)
    else:
        yield Finding("modality", "ok", f"{source.name} is {source.modality}, which this model translates from.")


def _left(source: Volume, recipe: Recipe) -> str:
    """Say what a source that has the target's contrast already can gain and lose."""
    if has_target_contrast(source, recipe):
        return f"only its look can change here; {recipe.kept:.0%} of the result will be the source itself in the wished look."
    return "only its look can change here, at the price of detail, which baseline:key-matching keeps."


def _anatomy(case: Case, package: ModelPackage) -> Iterator[Finding]:
    card, extent = package.card, _extent(case)
    shown = f"{_by(round(side) for side in extent)} mm"
    if not card.anatomy and not card.field_of_view:
        return
    about = card.anatomy or "body part"
    if len(card.field_of_view) != 3:
        yield Finding("anatomy", "tick", f"This model was trained on: {about}; confirm that {case.source.name} ({shown}) shows it.")
        return
    trained = f"{_by(round(side) for side in card.field_of_view)} mm"
    if all(0.5 * wide <= side <= 1.2 * wide for side, wide in zip(extent, card.field_of_view, strict=True)):
        yield Finding(
            "anatomy", "ok", f"What {case.source.name} shows measures {shown}, as the {about} this model was trained on ({trained})."
        )
    else:
        text = f"What {case.source.name} shows measures {shown}; this model was trained on: {about}, {trained}."
        yield Finding("anatomy", "tick", text)


def _spacing(case: Case, package: ModelPackage) -> Iterator[Finding]:
    trained = package.card.spacing
    if len(trained) != 3:
        return
    own = canonical(case.source)[0].spacing
    ratio = max(mine / theirs for mine, theirs in zip(own, trained, strict=True))
    finest = min(mine / theirs for mine, theirs in zip(own, trained, strict=True))
    texts = (f"{_by(round(side, 2) for side in own)} mm", f"{_by(round(side, 2) for side in trained)} mm")
    resampled = any(name == "resample" for name, _ in package.recipe.steps)
    if ratio > 2:
        text = f"Voxels of {texts[0]} are {ratio:.1f} times coarser than the {texts[1]} of the training; fine detail will be guessed."
        yield Finding("spacing", "tick", text)
    elif max(ratio, 1 / finest) > 1.25 and not resampled:
        yield Finding("spacing", "tick", f"Voxels measure {texts[0]}; this model was trained at {texts[1]} and does not resample.")
    else:
        yield Finding("spacing", "ok", f"Voxels measure {texts[0]}; this model was trained at {texts[1]}.")


def _intensity(case: Case, package: ModelPackage) -> Iterator[Finding]:
    source = case.source
    low, high = float(source.data.min()), float(source.data.max())
    spread = f"values from {low:g} to {high:g}"
    expects_hounsfield = package.recipe.source == Meaning.HU
    plausible = low <= -200 and high <= 32767
    if source.meaning is Meaning.HU and low < -1100:
        text = f"{source.name} has {spread} HU; what lies below air (-1024 HU) is padding and would shift the scale."
        yield Finding("intensity", "tick", text, "window")
    elif expects_hounsfield and source.meaning is not Meaning.HU:
        looks = "they may be HU" if plausible else "they do not look like HU"
        yield Finding("intensity", "tick", f"This model expects Hounsfield units; {source.name} has {spread} and does not say: {looks}.")
    elif source.modality == "CT" and not plausible:
        text = f"{source.name} is called CT, but {spread} do not look like Hounsfield units."
        yield Finding("intensity", "tick", text)
    elif source.meaning is Meaning.HU and not expects_hounsfield and package.recipe.source == Meaning.ARBITRARY and not _takes_ct(package):
        yield Finding("intensity", "tick", f"{source.name} is in Hounsfield units; this model was trained on MR.")
    else:
        yield Finding("intensity", "ok", f"{source.name} has {spread} ({source.meaning.value}).")


def _takes_ct(package: ModelPackage) -> bool:
    return bool({"CT", "any"} & set(package.card.from_contrasts))


def _stripped(case: Case, package: ModelPackage) -> Iterator[Finding]:
    if package.card.stripped is None:
        return
    litres, _ = head(case)
    whole = not looks_stripped(case)
    measured = f"{litres:.1f} litres that are not background"
    if package.card.stripped and whole:
        reason = "looks like a whole head" if litres > BRAIN_LITRES else "fills its field of view to the border, as no stripped brain does"
        text = f"{case.source.name} {reason} ({measured}); this model wants a stripped brain: load a brain mask."
        yield Finding("stripped", "tick", text)
    elif not package.card.stripped and not whole:
        text = f"{case.source.name} looks like a stripped brain ({measured}); this model was trained on whole heads."
        yield Finding("stripped", "tick", text)
    else:
        kind = "stripped brain" if package.card.stripped else "whole head"
        yield Finding("stripped", "ok", f"{case.source.name} looks like a {kind} ({measured}), as this model wants.")


def head(case: Case) -> tuple[float, float]:
    """Measure what is to be translated: a stripped brain is small and stays clear of the border.

    Parameters
    ----------
    case : Case
        With a mask, only what is inside it counts.

    Returns
    -------
    litres : float
        Volume of the foreground.
    touching : float
        Largest share of a face of the volume that is foreground, 0..1.
    """
    inside = _inside(case)
    faces = [inside.data.take(end, axis) for axis in range(3) for end in (0, -1)]
    return _litres(inside), max(float((face > 0).mean()) for face in faces)


def looks_stripped(case: Case) -> bool:
    """Whether what is to be translated has the size of a brain and stays clear of the border."""
    litres, touching = head(case)
    return litres <= BRAIN_LITRES and touching <= TOUCHING


def _inside(case: Case) -> Volume:
    if case.mask is None:
        return foreground(case.source)
    return case.mask if same_grid(case.mask, case.source) else resample_onto(case.mask, case.source, order=0)


def _extent(case: Case) -> tuple[float, float, float]:
    """Extent of what is shown along R, A and S, in mm."""
    inside, _ = canonical(_inside(case))
    sides = [np.flatnonzero((inside.data > 0).any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    x, y, z = ((float(at[-1] - at[0] + 1) if at.size else 0.0) * step for at, step in zip(sides, inside.spacing, strict=True))
    return x, y, z


def _litres(inside: Volume) -> float:
    return float((inside.data > 0).sum()) * abs(float(np.linalg.det(inside.affine[:3, :3]))) / 1e6


def _by(sides: object) -> str:
    return " x ".join(f"{side:g}" for side in sides)  # type: ignore[attr-defined]


_AGAINST_CARD: tuple[Callable[[Case, ModelPackage], Iterator[Finding]], ...] = (_modality, _anatomy, _stripped, _spacing, _intensity)
