"""``style``: making, showing, blending and comparing style keys."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from napari_harmonize import style
from napari_harmonize.cli import inputs, screen
from napari_harmonize.cli.options import Terminal, apply, given, options
from napari_harmonize.errors import SettingsError, StyleError
from napari_harmonize.style import Edit, Origin, StyleKey

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
BARS = " ▁▂▃▄▅▆▇█"
WIDTH = 64
EditOptions = options(Edit, "Change of the intensities", only=("brightness", "contrast", "gamma"))
NO_EDIT = EditOptions()
TERMINAL = Terminal()

app = App("style", help="Make, show, blend and compare style keys: the looks a model can be asked for.")


@app.command
def make(
    *volumes: Path,
    out: Path,
    mask: Path | None = None,
    name: str = "",
    oracle: Annotated[bool, Parameter(negative=())] = False,
    average: Annotated[bool, Parameter(negative=())] = False,
    bins: int = style.BINS,
    edit: Annotated[EditOptions, Parameter(name="*")] = NO_EDIT,  # type: ignore[valid-type]
    terminal: Terminal = TERMINAL,
) -> int:
    """Compute the style keys of volumes and save them to a file.

    Parameters
    ----------
    volumes
        Volumes with the wished look.
    out
        The file to write, .json.
    mask
        Not zero where the look counts, for a single volume; what is not background without one.
    name
        Name of the key, for a single volume.
    oracle
        The volume is the ground truth of the case this key will be used on; everything made with it says so.
    average
        Save only the average of the keys.
    bins
        Number of bins; 128, which suits every model published so far, where not given.
    """
    _check_json(out)
    keys = [_key_of(path, mask, name, oracle, bins) for path in volumes]
    keys = [style.average(keys, label=name or "average")] if average else keys
    changed = [_edited(key, given(edit), key.label) for key in keys]
    return _save(changed, out, terminal)


@app.command
def show(*keys: str, model: str = "", terminal: Terminal = TERMINAL) -> int:
    """Show style keys: where they came from, their histogram and their quantiles.

    Parameters
    ----------
    keys
        FILE.json, FILE.json#NAME, or a model whose training average is meant.
    model
        Say for this model whether the keys are far from what it was trained on.
    """
    if not keys:
        raise SettingsError("Keys to show are named", "none arrived", "Give FILE.json, FILE.json#NAME, or a model")
    for text in keys:
        for key in _keys_in(text):
            screen.tell(_description(key, model))
    return 0


@app.command
def blend(
    a: str,
    b: str,
    /,
    *,
    out: Path,
    weight: float = 0.5,
    name: str = "",
    edit: Annotated[EditOptions, Parameter(name="*")] = NO_EDIT,  # type: ignore[valid-type]
    terminal: Terminal = TERMINAL,
) -> int:
    """Blend two style keys by their quantiles, so that peaks move from one to the other.

    Parameters
    ----------
    a
        Key at weight 0: FILE.json, FILE.json#NAME, or a model.
    b
        Key at weight 1.
    out
        The file to write, .json.
    weight
        Share of the second key, 0 to 1; a half where not given.
    name
        Name of the blend.
    """
    mixed = style.blend(inputs.read_key(a), inputs.read_key(b), weight)
    return _save([_edited(mixed, given(edit), name or mixed.label)], out, terminal)


@app.command
def compare(a: str, b: str, /, *, model: str = "", terminal: Terminal = TERMINAL) -> int:
    """Compare two style keys: their distance and their quantiles.

    Parameters
    ----------
    a
        FILE.json, FILE.json#NAME, or a model whose training average is meant.
    b
        The other key.
    model
        Say for this model whether the keys are far from what it was trained on.
    """
    one, other = inputs.read_key(a), inputs.read_key(b)
    if one.same_as(other):
        screen.tell("The two keys are the same look to rounding.")
    screen.tell(f"Distance {style.distance(one, other):.4f} in intensity units 0..1 (Wasserstein).")
    rows = [(f"{share:.0%}", f"{left:.3f}", f"{right:.3f}") for share, left, right in zip(SHARES, _cut(one), _cut(other), strict=True)]
    screen.tell(screen.table(rows, ("share below", one.label or "a", other.label or "b")))
    for line in _warnings((one, other), model):
        screen.tell(line)
    return 0


def _key_of(path: Path, mask: Path | None, name: str, oracle: bool, bins: int) -> StyleKey:
    from napari_harmonize.session import Backend
    from napari_harmonize.volumes import public_name

    volume = inputs.read_volume(path)
    backend = Backend()
    inside = backend.foreground(volume) if mask is None else backend.resample_onto(inputs.read_volume(mask), volume, 0).data > 0
    if not inside.any():
        what = "it holds one single value" if mask is None else f"the mask {mask.name} is empty there"
        raise StyleError("A style key is computed from a volume that shows something", f"{path.name}: {what}", "Check volume and mask")
    said = backend.below_zero(volume, None, "volume")
    if said:
        screen.mention(f"{said} The key counts that as 0.")
    origin = Origin.ORACLE if oracle else Origin.REFERENCE
    shown = public_name(volume)
    label = name or f"{origin.value}: {shown}"
    data = backend.unit(volume, inside)
    return style.compute(data, bins=bins, mask=inside, label=label, origin=origin, source_name=shown)


def _edited(key: StyleKey, changes: dict[str, float], label: str) -> StyleKey:
    edited = style.apply(apply(Edit(), changes), key) if changes else key
    return dataclasses.replace(edited, label=label)


def _save(keys: "Sequence[StyleKey]", out: Path, terminal: Terminal) -> int:
    _check_json(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    style.save(keys, out)
    if not terminal.quiet:
        for key in keys:
            screen.mention(key.describe())
    screen.tell(str(out))
    return 0


def _check_json(out: Path) -> None:
    if out.suffix.lower() != ".json":
        raise SettingsError("A file of style keys is named .json", f"{out.name} arrived", f"Write {out.stem}.json")


def _keys_in(text: str) -> tuple[StyleKey, ...]:
    if text.lower().endswith(".json"):
        return style.load(text)
    return (inputs.read_key(text),)


def _description(key: StyleKey, model: str) -> str:
    cut = ", ".join(f"{share:.0%} below {value:.3f}" for share, value in zip(SHARES, _cut(key), strict=True))
    tissue = ", ".join(f"{peak:.3f}" for peak in style.peaks(key))
    return "\n".join([key.describe(), f"  |{_bars(key)}|", f"  {cut}", f"  peaks at {tissue}; {key.bins} bins", *_history(key, model)])


def _history(key: StyleKey, model: str) -> list[str]:
    return [f"  {line}" for line in (*key.history, *_warnings((key,), model))]


def _cut(key: StyleKey) -> list[float]:
    return [float(value) for value in key.quantiles(SHARES)]


def _bars(key: StyleKey) -> str:
    """Histogram as a row of blocks, 0 on the left, 1 on the right."""
    import numpy as np

    heights = np.array([part.sum() for part in np.array_split(key.histogram, min(WIDTH, key.bins))])
    return "".join(BARS[int(np.ceil(height / heights.max() * (len(BARS) - 1)))] for height in heights)


def _warnings(keys: "Sequence[StyleKey]", model: str) -> list[str]:
    if not model:
        return []
    package = inputs.open_model(model)
    if package.recipe.training is None:
        return [f"{package.name} has no training keys to compare with."]
    found = [(key, style.far(key, package.recipe.training)) for key in keys]
    return [f"{key.label}: {warning or f'near what {package.name} was trained on.'}" for key, warning in found]
