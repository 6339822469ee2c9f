"""Which way is right: letters, words and the place of an array on the screen, all computed from its affine.

``layout`` says how a plane of an array lies on the screen, ``edge_letters`` what stands at its edges; ``position_text``,
``convention_text`` and ``oblique_text`` put positions, the convention and the obliquity into words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_harmonize.session.display import Convention
from napari_harmonize.volumes.geometry import obliquity, orientation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

PLANES = ("axial", "coronal", "sagittal")
# body axes (0 right, 1 anterior, 2 superior) seen across, up and through each plane
_SEEN = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
_LETTERS = ("RL", "AP", "SI")
MARK = "SYNTHETIC – research use, not for diagnosis"


@dataclass(frozen=True)
class Layout:
    """How a plane of an array lies on the screen.

    Parameters
    ----------
    across, up, through : int
        Array axes that run across the screen, up the screen and through it.
    right, top : int
        +1 where a larger index lies further right (further up), else -1.
    forward : int
        +1 where a larger index through the screen lies further superior, anterior or right, else -1.
    """

    across: int
    up: int
    through: int
    right: int
    top: int
    forward: int


@dataclass(frozen=True)
class Edges:
    """Letters at the edges of a picture."""

    left: str
    right: str
    top: str
    bottom: str


def layout(affine: NDArray[np.float64], plane: str, convention: Convention = Convention.RADIOLOGICAL) -> Layout:
    """Place a plane of an array on the screen.

    Parameters
    ----------
    affine : (4, 4) float64
        Voxel index to RAS+ mm, in any axis order.
    plane : str
        "axial", "coronal" or "sagittal".
    convention : Convention
        Radiological puts the patient's left on the right in axial and coronal planes. Anterior is on the left in
        sagittal planes either way.
    """
    body = {found: (axis, sign) for axis, (found, sign) in enumerate(orientation(affine))}
    (across, a), (up, u), (through, t) = (body[axis] for axis in _SEEN[plane])
    leftward = plane == "sagittal" or convention is Convention.RADIOLOGICAL
    return Layout(across, up, through, -a if leftward else a, u, t)


def edge_letters(affine: NDArray[np.float64], plane: str, convention: Convention = Convention.RADIOLOGICAL) -> Edges:
    """Find the letters at the edges of a plane; the arguments are those of :func:`layout`.

    An oblique edge has the letter it is nearest to; :func:`oblique_text` says how far that is off.
    """
    placed = layout(affine, plane, convention)
    columns = np.asarray(affine)[:3, :3]
    rightward, upward = columns[:, placed.across] * placed.right, columns[:, placed.up] * placed.top
    return Edges(_letter(-rightward), _letter(rightward), _letter(upward), _letter(-upward))


def _letter(direction: NDArray[np.float64]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return _LETTERS[axis][0 if direction[axis] > 0 else 1]


def position_text(xyz: ArrayLike) -> str:
    """Put a position (RAS+ mm) into letters: "R 12.5 A 3.0 S 44.0 mm"."""
    rounded = (round(float(value), 1) for value in np.asarray(xyz))
    parts = (f"{pair[0] if value >= 0 else pair[1]} {abs(value):.1f}" for pair, value in zip(_LETTERS, rounded, strict=True))
    return f"{' '.join(parts)} mm"


def convention_text(convention: Convention) -> str:
    """Put the convention into words."""
    return convention.words[:1].upper() + convention.words[1:]


def oblique_text(affine: NDArray[np.float64]) -> str:
    """Say how oblique a grid is ("oblique 19°"); empty below half a degree."""
    degrees = obliquity(affine)
    return f"oblique {degrees:.0f}°" if degrees >= 0.5 else ""


def number_text(value: float) -> str:
    """Write a voxel value with as many digits as help: "118", "0.62", "1.3e-05"."""
    if not np.isfinite(value):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def index_text(ijk: Sequence[int]) -> str:
    """Write a voxel index."""
    return f"voxel {ijk[0]}, {ijk[1]}, {ijk[2]}"
