"""How the volumes are looked at: convention, crosshair, windows and what is linked to what."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_harmonize.errors import SessionError
from napari_harmonize.volumes import Meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_harmonize.volumes import Volume


class Convention(StrEnum):
    """Which side of the picture the patient's left is on, in axial and coronal planes."""

    RADIOLOGICAL = "radiological"
    NEUROLOGICAL = "neurological"

    @property
    def words(self) -> str:
        """The convention as printed in every view."""
        side = "right" if self is Convention.RADIOLOGICAL else "left"
        return f"{self.value}: patient's left is on the {side} of the picture"


@dataclass(frozen=True)
class Window:
    """Range of values between black and white.

    Parameters
    ----------
    width, level : float
        In the volume's own units, width above 0.
    """

    width: float
    level: float

    def __post_init__(self) -> None:
        if not (self.width > 0 and np.isfinite([self.width, self.level]).all()):
            raise SessionError("A window has a width above zero and a level", f"W {self.width} L {self.level} arrived")

    @property
    def low(self) -> float:
        """Value shown black."""
        return self.level - self.width / 2

    @property
    def high(self) -> float:
        """Value shown white."""
        return self.level + self.width / 2

    @classmethod
    def between(cls, low: float, high: float) -> Window:
        """Window from black to white value."""
        return cls(max(high - low, 1e-6), (low + high) / 2)


# Hounsfield presets, width / level, as the common viewers have them
WINDOWS: dict[str, Window] = {
    "brain": Window(80, 40),
    "soft tissue": Window(400, 40),
    "bone": Window(2500, 480),
    "lung": Window(1500, -600),
    "liver": Window(150, 90),
    "CTA (-50 to 350)": Window(400, 150),
}
ROLES = ("source", "result", "truth", "difference")


def presets(meaning: Meaning) -> dict[str, Window]:
    """Windows that make sense for what the numbers mean, in the order of the number keys."""
    return dict(WINDOWS) if meaning is Meaning.HU else {}


def auto_window(volume: Volume) -> Window:
    """Window of a whole volume: 0.1 % cut at each end, background left out; never taken per slice.

    Parameters
    ----------
    volume : Volume
        HU gives the brain preset, 0..1 gives 0..1.
    """
    if volume.meaning is Meaning.HU:
        return WINDOWS["brain"]
    # called on the main thread, so at most about half a million voxels are looked at
    every = max(1, round((volume.data.size / 5e5) ** (1 / 3)))
    values = volume.data[::every, ::every, ::every]
    values = values[np.isfinite(values) & (values != 0)]
    if not values.size:
        return Window(1.0, 0.5)
    low, high = np.quantile(values, (0.001, 0.999)).tolist()
    return Window.between(min(low, 0.0) if low >= 0 else low, high)


@dataclass(frozen=True)
class Display:
    """Everything the views need besides the volumes.

    Parameters
    ----------
    convention : Convention
        Radiological unless changed.
    crosshair : tuple of three float
        Patient position, RAS+ mm.
    windows : mapping of role to Window
        "source", "result", "truth", "difference".
    linked_position, linked_zoom, linked_window : bool
        Whether moving one view moves all; the window link ties result and truth.
    interpolate : bool
        Smooth pixels; off shows real voxels.
    blinded : bool
        Model and run names are hidden and the worklist is shuffled.
    mark : bool
        Corner text "SYNTHETIC"; switching it off is recorded.
    crosshair_visible : bool
        Whether the lines are drawn.
    """

    convention: Convention = Convention.RADIOLOGICAL
    crosshair: tuple[float, float, float] = (0.0, 0.0, 0.0)
    windows: Mapping[str, Window] = field(default_factory=lambda: MappingProxyType({}))
    linked_position: bool = True
    linked_zoom: bool = True
    linked_window: bool = True
    interpolate: bool = False
    blinded: bool = False
    mark: bool = True
    crosshair_visible: bool = True


class DisplayPart:
    """Holds the :class:`Display` of a session.

    Attributes
    ----------
    value : Display
        Read it; write through the methods.
    changed : Signal(Display)
        Anything but the crosshair changed.
    crosshair_changed : Signal(tuple)
        RAS+ mm.
    """

    changed = Signal(object)
    crosshair_changed = Signal(tuple)

    def __init__(self) -> None:
        self.value = Display()
        self._bounds: tuple[np.ndarray, np.ndarray] | None = None

    def set(self, **changes: Any) -> None:
        """Replace fields of the display other than crosshair and windows."""
        self._replace(**changes)

    def move(self, position: tuple[float, float, float]) -> None:
        """Put the crosshair somewhere, RAS+ mm; clamped to the source's bounding box."""
        wanted = np.asarray(position, float)
        if not np.isfinite(wanted).all():
            return
        if self._bounds is not None:
            wanted = wanted.clip(*self._bounds)
        x, y, z = (round(float(part), 4) for part in wanted)
        if (x, y, z) != self.value.crosshair:
            self.value = dataclasses.replace(self.value, crosshair=(x, y, z))
            self.crosshair_changed.emit((x, y, z))

    def set_window(self, role: str, window: Window) -> None:
        """Window one role; result and truth share it while their windows are linked."""
        roles = ("result", "truth") if self.value.linked_window and role in ("result", "truth") else (role,)
        self._replace(windows=MappingProxyType({**self.value.windows, **dict.fromkeys(roles, window)}))

    def fit(self, role: str, volume: Volume) -> None:
        """Window a role by its whole volume, and centre the crosshair on a source."""
        self.set_window(role, auto_window(volume))
        if role == "source":
            self._enter(volume)

    def _enter(self, volume: Volume) -> None:
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape], indexing="ij")).reshape(3, -1)
        points = volume.affine[:3, :3] @ corners + volume.affine[:3, 3:]
        self._bounds = points.min(1), points.max(1)
        x, y, z = (volume.affine[:3, :3] @ ((np.array(volume.shape) - 1) // 2) + volume.affine[:3, 3]).tolist()
        self.move((x, y, z))

    def _replace(self, **changes: Any) -> None:
        before, self.value = self.value, dataclasses.replace(self.value, **changes)
        if before != self.value:
            self.changed.emit(self.value)
