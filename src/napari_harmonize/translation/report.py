"""The one-page sheet of a result: planes beside source and truth, slice consistency, numbers, how it was made.

Made with matplotlib's figure objects; no window, no global state.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.metrics import METRICS, changes
from napari_harmonize.prepare import foreground
from napari_harmonize.translation.compared import compared, unit
from napari_harmonize.volumes import Meaning, Volume, canonical, index, obliquity, resample_onto, same_grid, world

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_harmonize.metrics import Score
    from napari_harmonize.translation.case import Case, Result

MARK = "SYNTHETIC – research use, not for diagnosis"
CONVENTION = "Radiological: the patient's left is on the right of the picture; sagittal planes face left."
DOTS = 150
SIZE = (11.7, 8.27)
MARGIN_MM = 4.0
# left, top, width and height of the pictures, as shares of the page
AREA = (0.03, 0.895, 0.695, 0.845)
LINES = 32
DARK, INK, RED = "black", "#222222", "#b00020"
COLOURS = {"source": "#4477aa", "result": "#cc3311", "truth": "#228833"}
SHOWN_SCORES = ("psnr", "ssim", "mae", "mae-hu", "correlation", "structure", "style")


@dataclass(frozen=True)
class Plane:
    """How one plane of a canonical (RAS+) volume is drawn, radiological.

    Parameters
    ----------
    name, across : str, int
        "axial", "coronal" or "sagittal", and the axis through it.
    letters : tuple of str
        Left, right, top and bottom edge of the picture.
    """

    name: str
    across: int
    letters: tuple[str, str, str, str]


PLANES = (
    Plane("axial", 2, ("R", "L", "A", "P")),
    Plane("coronal", 1, ("R", "L", "S", "I")),
    Plane("sagittal", 0, ("A", "P", "S", "I")),
)


@dataclass(frozen=True, eq=False)
class _Shown:
    """What is drawn: canonical volumes of one unit cut to the mask, where to look, and where the cut begins."""

    volumes: dict[str, Volume]
    mask: NDArray[np.bool_]
    at: tuple[int, int, int]
    first: tuple[int, int, int]
    position: tuple[float, float, float]


def sheet(
    result: Result,
    case: Case,
    path: Path,
    *,
    scores: Sequence[Score] = (),
    position: tuple[float, float, float] | None = None,
    review: str = "not reviewed",
    label: str = "",
) -> Path:
    """Draw the sheet.

    Parameters
    ----------
    result : Result
        What was made.
    case : Case
        Source, and truth and mask where there are any.
    path : Path
        PNG to write.
    scores : sequence of Score
        Numbers for the table.
    position : three float, optional
        Where the planes are cut, RAS+ mm; the middle of the mask where absent.
    review : str
        What was decided, in words.
    label : str
        Name of the case in the title; base name of the source where absent.

    Returns
    -------
    Path
        The same path.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = _shown(result, case, position)
    figure = Figure(figsize=SIZE, dpi=DOTS, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.012, 0.968, f"{label or case.source.name}: {_made_by(result)}", size=12, weight="bold", color=INK, va="center")
    figure.text(0.988, 0.968, MARK, size=13, weight="bold", color=RED, ha="right", va="center")
    _pictures(figure, shown)
    _beside(figure, result, shown, scores, review)
    figure.text(0.012, 0.014, _foot(shown), size=7, color=INK, va="bottom")
    figure.savefig(path, format="png", metadata={"Software": None, "Description": MARK})
    return path


def _shown(result: Result, case: Case, position: tuple[float, float, float] | None) -> _Shown:
    source = case.source
    volumes = {"source": source, "result": result.volume}
    if case.truth is not None:
        volumes["truth"] = case.truth if same_grid(case.truth, source) else resample_onto(case.truth, source)
    inside = foreground(source) if case.mask is None else case.mask
    inside = inside if same_grid(inside, source) else resample_onto(inside, source, order=0)
    whole = canonical(inside)[0].data > 0
    box = _box(whole, canonical(inside)[0].spacing)
    turned = {role: _cropped(canonical(volume)[0], box) for role, volume in compared(volumes, inside.data > 0).items()}
    mask = whole[box]
    at = _middle(mask) if position is None else _voxel(turned["source"], position)
    x, y, z = world(turned["source"].affine, at).tolist()
    return _Shown(turned, mask, at, (box[0].start, box[1].start, box[2].start), (x, y, z))


def _box(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """Range of the mask along each axis, widened by a margin."""
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis})))
        first, last = (int(filled[0]), int(filled[-1])) if filled.size else (0, mask.shape[axis] - 1)
        more = round(MARGIN_MM / spacing[axis])
        ends.append(slice(max(first - more, 0), last + more + 1))
    return ends[0], ends[1], ends[2]


def _cropped(volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
    affine = np.array(volume.affine)
    affine[:3, 3] = world(volume.affine, [part.start for part in box])
    return volume.replace(data=volume.data[box], affine=affine)


def _middle(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    places = np.argwhere(mask)
    i, j, k = places.mean(0).round().astype(int).tolist() if len(places) else [side // 2 for side in mask.shape]
    return i, j, k


def _voxel(volume: Volume, position: tuple[float, float, float]) -> tuple[int, int, int]:
    i, j, k = np.rint(index(volume.affine, position)).astype(int).clip(0, np.array(volume.shape) - 1).tolist()
    return i, j, k


def picture(data: NDArray[Any], plane: Plane, at: int) -> NDArray[Any]:
    """Cut one plane as it is drawn: first row on top, radiological.

    Parameters
    ----------
    data : (i, j, k) array
        Canonical (RAS+) order.
    plane : Plane
        Which.
    at : int
        Slice along its axis.

    Returns
    -------
    (rows, columns) array
        Letters of its edges are the plane's.
    """
    cut: NDArray[Any] = data.take(at, plane.across).T[::-1, :]
    # columns run to the patient's right (or front), and the patient's right (or front) is on the left of the picture
    return cut[:, ::-1]


def _windows(shown: _Shown) -> dict[str, tuple[float, float]]:
    source = shown.volumes["source"]
    found = {"source": _range(source, shown.mask)}
    partner = shown.volumes.get("truth", shown.volumes["result"])
    found["result"] = found["truth"] = _range(partner, shown.mask)
    if "difference" in shown.volumes:
        reach = float(np.quantile(np.abs(shown.volumes["difference"].data[shown.mask]), 0.99)) or 1.0
        found["difference"] = (-reach, reach)
    return found


def _range(volume: Volume, mask: NDArray[np.bool_]) -> tuple[float, float]:
    values = volume.data[mask] if mask.any() else volume.data
    if volume.meaning is Meaning.UNIT:
        return 0.0, 1.0
    low, high = np.quantile(values, (0.001, 0.999)).tolist()
    if volume.meaning is not Meaning.HU:
        low = min(low, 0.0)
    return low, high if high > low else low + 1.0


def _pictures(figure: Figure, shown: _Shown) -> None:
    """Draw planes in rows and volumes in columns, all at one scale."""
    roles = [role for role in ("source", "result", "truth", "difference") if role in shown.volumes]
    windows = _windows(shown)
    extents = [_extent(shown, plane) for plane in PLANES]
    left, top, wide, high = AREA
    gap = 0.006
    # figure fractions per mm, the same in both directions once the page's shape is allowed for
    scale = min(
        (wide / len(roles) - gap) * SIZE[0] / max(width for width, _ in extents),
        (high - 2 * gap) * SIZE[1] / sum(height for _, height in extents),
    )
    y = top
    for plane, (width, height) in zip(PLANES, extents, strict=True):
        y -= height * scale / SIZE[1]
        for column, role in enumerate(roles):
            x = left + column * (wide + gap) / len(roles) + (wide / len(roles) - gap - width * scale / SIZE[0]) / 2
            axes = figure.add_axes((x, y, width * scale / SIZE[0], height * scale / SIZE[1]))
            _picture(axes, shown, role, plane, windows[role])
            if plane is PLANES[0]:
                axes.set_title(_heading(shown.volumes[role], role, windows[role]), size=7, color=INK, pad=4)
        y -= gap


def _extent(shown: _Shown, plane: Plane) -> tuple[float, float]:
    """Width and height of a plane in mm."""
    source = shown.volumes["source"]
    columns, rows = (axis for axis in range(3) if axis != plane.across)
    return source.shape[columns] * source.spacing[columns], source.shape[rows] * source.spacing[rows]


def _picture(axes: Axes, shown: _Shown, role: str, plane: Plane, window: tuple[float, float]) -> None:
    from matplotlib.patheffects import Normal, Stroke

    wide, high = _extent(shown, plane)
    cut = picture(shown.volumes[role].data, plane, shown.at[plane.across])
    colours = "RdBu_r" if role == "difference" else "gray"
    axes.imshow(
        cut,
        cmap=colours,
        vmin=window[0],
        vmax=window[1],
        extent=(0, wide, 0, high),
        interpolation="nearest",
        aspect="equal",
        origin="upper",
    )
    axes.set(xticks=[], yticks=[], facecolor=DARK)
    outline = [Stroke(linewidth=1.6, foreground="white" if role == "difference" else "black"), Normal()]
    ink = "black" if role == "difference" else "#ffd54a"
    places = (
        (0.02, 0.5, "left", "center"),
        (0.98, 0.5, "right", "center"),
        (0.5, 0.985, "center", "top"),
        (0.5, 0.015, "center", "bottom"),
    )
    for letter, (x, y, across, up) in zip(plane.letters, places, strict=True):
        axes.text(x, y, letter, transform=axes.transAxes, color=ink, size=8, weight="bold", ha=across, va=up, path_effects=outline)
    if role in ("result", "difference"):
        red = RED if role == "difference" else "#ff6b6b"
        axes.text(
            0.98,
            0.985,
            "SYNTHETIC",
            transform=axes.transAxes,
            color=red,
            size=5.5,
            weight="bold",
            ha="right",
            va="top",
            path_effects=outline,
        )
    if role == "source":
        axes.set_ylabel(plane.name, size=8, color=INK, labelpad=3)


def _heading(volume: Volume, role: str, window: tuple[float, float]) -> str:
    low, high = window
    unit_ = {Meaning.HU: " HU", Meaning.UNIT: " (0..1)"}.get(volume.meaning, "")
    name = {"source": "source", "result": "result (synthetic)", "truth": "ground truth", "difference": "result − truth"}[role]
    if role == "difference":
        return f"{name}\nblue lower, red higher, ±{high:.2g}{unit_}"
    return f"{name}\nW {high - low:.3g} L {(high + low) / 2:.3g}{unit_}"


def _beside(figure: Figure, result: Result, shown: _Shown, scores: Sequence[Score], review: str) -> None:
    grid = figure.add_gridspec(5, 1, left=0.768, right=0.988, bottom=0.05, top=0.895, hspace=0.6, height_ratios=(1, 1, 1, 1.5, 3.6))
    for row, plane in enumerate(PLANES):
        _curve(figure.add_subplot(grid[row]), shown, plane, legend=row == 0)
    _table(figure.add_subplot(grid[3]), scores)
    _facts(figure.add_subplot(grid[4]), result, review)


def _curve(axes: Axes, shown: _Shown, plane: Plane, *, legend: bool) -> None:
    for role, colour in COLOURS.items():
        if role not in shown.volumes:
            continue
        values = changes(unit(shown.volumes[role].data, shown.mask), shown.mask, plane.across)
        width = 1.4 if role == "result" else 0.9
        axes.plot(
            shown.first[plane.across] + np.arange(len(values)) + 0.5,
            values,
            color=colour,
            lw=width,
            label=role,
            zorder=3 if role == "result" else 2,
        )
    axes.axvline(shown.first[plane.across] + shown.at[plane.across], color="#999999", lw=0.6)
    axes.set_title(f"change between {plane.name} slices (0..1)", size=7, color=INK, pad=3, loc="left")
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.margins(x=0.01)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(fontsize=6, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.02, 1.14), handlelength=1.2, borderpad=0)


def _table(axes: Axes, scores: Sequence[Score]) -> None:
    axes.set_axis_off()
    axes.set_title("in the mask (arrow: which way is better)" if scores else "not measured", size=7, color=INK, loc="left", pad=3)
    kept = [score for score in scores if score.name in SHOWN_SCORES and np.isfinite(score.value)]
    for row, score in enumerate(kept):
        arrow = "↑" if METRICS[score.name].higher_is_better else "↓"
        y = 1 - (row + 0.5) / len(SHOWN_SCORES)
        axes.text(0, y, f"{METRICS[score.name].title} {arrow}", size=7, color=INK, va="center", transform=axes.transAxes)
        number = f"{score.value:.4g} {score.unit}".strip()
        axes.text(1, y, number, size=7, color=INK, va="center", ha="right", transform=axes.transAxes, weight="bold")


def _facts(axes: Axes, result: Result, review: str) -> None:
    axes.set_axis_off()
    axes.set_title("how it was made", size=7, color=INK, loc="left", pad=3)
    lines = [line for name, value in fact_rows(result, review) for line in _wrapped(name, value)]
    text = "\n".join(lines[:LINES])
    axes.text(0, 1.0, text, size=5.4, color=INK, va="top", family="monospace", transform=axes.transAxes, linespacing=1.25)


def _wrapped(name: str, value: str) -> list[str]:
    return textwrap.wrap(f"{name:<9} {value}", 56, subsequent_indent=" " * 10, max_lines=3, placeholder=" …")


def fact_rows(result: Result, review: str) -> list[tuple[str, str]]:
    """List what the sheet says of a run: name and value, empty values left out."""
    facts = result.run.facts
    sampling: Mapping[str, Any] = facts.get("sampling") or {}
    engine: Mapping[str, Any] = facts.get("engine") or {}
    model: Mapping[str, Any] = facts.get("model") or {}
    source: Mapping[str, Any] = facts.get("source") or {}
    seed = f", seed {sampling['seed']}" if sampling.get("seed_matters") else ", no noise drawn"
    steps = f"{sampling.get('sampler')}, {sampling.get('steps')} steps, eta {sampling.get('eta')}{seed}" if sampling else ""
    rows = [
        ("model", f"{model.get('title') or model.get('name', '')} {str(model.get('hash', ''))[:12]}".strip()),
        ("source", f"{source.get('name', '')} sha256 {str(source.get('sha256', ''))[:12]}"),
        ("sampler", steps),
        ("slices", str(sampling.get("consistency", ""))),
        ("style", _style(facts.get("style"))),
        ("peeks", str(facts.get("peeks") or "")),
        ("engine", " ".join(f"{name} {engine[name]}" for name in ("device", "precision", "threads", "torch") if engine.get(name))),
        ("made", f"{result.run.volatile.get('started', '')}, {result.run.volatile.get('seconds', '?')} s"),
        ("tool", "{name} {version}".format(**facts["tool"]) if facts.get("tool") else ""),
        ("run", result.run.hash[:32]),
        ("review", review),
        ("trained", str(model.get("trained_on", ""))),
        *(("note", note) for note in facts.get("notes", ())),
    ]
    return [(name, value) for name, value in rows if value]


def _style(style: Mapping[str, Any] | None) -> str:
    if not style:
        return ""
    peeks = "; knows the ground truth" if style.get("peeks") else ""
    return f"{style.get('label') or 'unnamed key'} ({style.get('origin')}{peeks})"


def _made_by(result: Result) -> str:
    model = result.run.facts.get("model") or {}
    title = textwrap.shorten(model.get("title") or model.get("name") or "unnamed model", 48, placeholder=" …")
    return f"{result.volume.modality or 'translation'} by {title}"


def _foot(shown: _Shown) -> str:
    letters = (("L", "R"), ("P", "A"), ("I", "S"))
    place = " ".join(f"{pair[part >= 0]} {abs(part):.1f}" for part, pair in zip(shown.position, letters, strict=True))
    turned = obliquity(shown.volumes["source"].affine)
    oblique = f" Drawn along the volume's own axes, {turned:.0f} degrees from the body's; letters name the nearest." if turned > 0.5 else ""
    return f"{CONVENTION} Planes at {place} mm.{oblique}"
