"""The pair: source, optional truth and mask, and what pre-flight says about them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_harmonize.errors import SessionError
from napari_harmonize.session.backend import job
from napari_harmonize.volumes import Volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_harmonize.session.backend import Backend
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.translation import Case, Finding, ModelPackage


class Role(StrEnum):
    """What a volume is in the pair."""

    SOURCE = "source"
    TRUTH = "truth"
    MASK = "mask"


@dataclass(frozen=True, eq=False)
class Pair:
    """The volumes of one case.

    Parameters
    ----------
    source, truth, mask : Volume, optional
        As they were loaded, each on its own grid.
    truth_on_source, mask_on_source : Volume, optional
        On the source's grid, for views and metrics; the same object where the grid is the same. None until checked.
    """

    source: Volume | None = None
    truth: Volume | None = None
    mask: Volume | None = None
    truth_on_source: Volume | None = None
    mask_on_source: Volume | None = None

    def volume(self, role: Role | str) -> Volume | None:
        """Volume of a role, as it was loaded."""
        found: Volume | None = getattr(self, Role(role).value)
        return found


@dataclass(frozen=True, eq=False)
class Checked:
    """What the check of a pair found.

    Parameters
    ----------
    truth, mask : Volume, optional
        On the source's grid.
    findings : tuple of Finding
        Pre-flight, in the order shown.
    """

    truth: Volume | None
    mask: Volume | None
    findings: tuple[Finding, ...]


class PairPart:
    """Holds the pair of a session and its pre-flight.

    Attributes
    ----------
    value : Pair
        Read it; write through the methods.
    findings : tuple of Finding
        Of the last check; empty while there is no source.
    ticked : frozenset of Finding
        Findings the user has confirmed. A tick ends when its sentence changes or a volume is replaced.
    checked : bool
        Whether pre-flight has answered for the volumes and the model as they are.
    changed : Signal(Pair)
        A volume came, went, or was brought onto the source's grid.
    loaded : Signal(str, Volume)
        Role and volume that just came.
    findings_changed : Signal(tuple, frozenset)
        Findings and ticks.
    """

    changed = Signal(object)
    loaded = Signal(str, object)
    findings_changed = Signal(tuple, frozenset)

    def __init__(self, desk: Desk, backend: Backend, package: Callable[[], ModelPackage | None]) -> None:
        self._desk, self._backend, self._package = desk, backend, package
        self.value = Pair()
        self.findings: tuple[Finding, ...] = ()
        self.ticked: frozenset[Finding] = frozenset()
        self.checked = False

    def load(self, role: Role | str, what: Path | str | Volume, *, series: str | None = None) -> Request:
        """Load a file, a DICOM folder or a volume already in memory.

        Parameters
        ----------
        role : Role
            What it is in the pair.
        what : path or Volume
            A volume comes from an open layer.
        series : str, optional
            Which series of a DICOM folder.
        """
        role = Role(role)
        name = what.name if isinstance(what, Volume) else str(what).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
        read = job(f"Reading {name}", lambda: what if isinstance(what, Volume) else self._backend.read(what, series))
        return self._desk.ask("load", f"Loading {role} {name}", read, lambda volume: self._put({role: volume}), slot=f"load {role}")

    def samples(self) -> tuple[str, ...]:
        """Names of the built-in pairs."""
        return self._backend.samples()

    def open_sample(self, name: str) -> Request:
        """Load a built-in pair; the former pair goes."""
        read = job(f"Reading sample {name}", lambda: self._backend.sample(name))
        return self._desk.ask("load", f"Loading sample {name}", read, self._put_sample, slot="load source")

    def clear(self, role: Role | str) -> None:
        """Take a volume out of the pair; with the source everything goes."""
        role = Role(role)
        self.value = Pair() if role is Role.SOURCE else dataclasses.replace(self.value, **{role: None, f"{role}_on_source": None})
        self._find((), keep_ticks=False)
        self._announce()

    def state_modality(self, role: Role | str, modality: str) -> None:
        """Say what contrast a volume has, where its file does not."""
        volume = self._there(role)
        self._put({Role(role): volume.replace(modality=modality)})

    def tick(self, code: str, on: bool = True) -> None:
        """Confirm a finding that needs it, or take the confirmation back."""
        found = frozenset(finding for finding in self.findings if finding.code == code and finding.severity == "tick")
        if not found:
            raise SessionError("A tick confirms a finding that asks for one", f"{code!r} is not among them")
        self._find(self.findings, self.ticked | found if on else self.ticked - found)

    def remedy(self, code: str) -> Request:
        """Apply the remedy of a finding ("register", "resample", "mask", "window")."""
        finding = next((finding for finding in self.findings if finding.code == code), None)
        if finding is None or finding.remedy is None:
            raise SessionError("A remedy belongs to a finding that names one", f"{code!r} names none")
        name, case = finding.remedy, self._case()
        work = job(f"Remedy: {name}", lambda: self._backend.remedy(name, case))
        return self._desk.ask("remedy", f"Remedy: {name}", work, lambda found: self._put({Role(role): new for role, new in found.items()}))

    def check(self) -> Request | None:
        """Bring truth and mask onto the source's grid and run pre-flight; happens by itself after every change."""
        self.checked = False
        if self.value.source is None:
            return None
        return self._desk.ask("check", "Checking the pair", job("Checking the pair", self._checker()), self._apply)

    def _checker(self) -> Callable[[], Checked]:
        pair, package, backend, case = self.value, self._package(), self._backend, self._case()

        def work() -> Checked:
            assert pair.source is not None
            truth = pair.truth and backend.resample_onto(pair.truth, pair.source, order=1)
            mask = pair.mask and backend.resample_onto(pair.mask, pair.source, order=0)
            return Checked(truth, mask, backend.preflight(case, package))

        return work

    def _case(self) -> Case:
        source = self._there(Role.SOURCE)
        return self._backend.case(source, self.value.truth, self.value.mask, None)

    def _there(self, role: Role | str) -> Volume:
        volume = self.value.volume(role)
        if volume is None:
            raise SessionError(f"There must be a {role} first", "none is loaded", "Load one in the Pair dock")
        return volume

    def _put_sample(self, pair: tuple[Volume, Volume, Volume]) -> None:
        self.value = Pair()
        self._put(dict(zip((Role.SOURCE, Role.TRUTH, Role.MASK), pair, strict=True)))

    def _put(self, volumes: dict[Role, Volume]) -> None:
        stale = (
            {"truth_on_source": None, "mask_on_source": None} if Role.SOURCE in volumes else {f"{role}_on_source": None for role in volumes}
        )
        self.value = dataclasses.replace(self.value, **stale, **{role.value: volume for role, volume in volumes.items()})
        self._find((), keep_ticks=False)
        for role, volume in volumes.items():
            for note in volume.notes:
                self._desk.say(f"{volume.name}: {note}")
            self.loaded.emit(role.value, volume)
        self._announce()

    def _apply(self, checked: Checked) -> None:
        self.value = dataclasses.replace(self.value, truth_on_source=checked.truth, mask_on_source=checked.mask)
        self.checked = True
        self._find(checked.findings)
        self.changed.emit(self.value)

    def _announce(self) -> None:
        """Say that the volumes changed, and check them anew."""
        self.checked = False
        self.changed.emit(self.value)
        self.check()

    def _find(self, findings: tuple[Finding, ...], ticked: frozenset[Finding] | None = None, *, keep_ticks: bool = True) -> None:
        kept = self.ticked if ticked is None else ticked
        self.findings, self.ticked = findings, (kept & frozenset(findings) if keep_ticks else frozenset())
        self.findings_changed.emit(self.findings, self.ticked)
