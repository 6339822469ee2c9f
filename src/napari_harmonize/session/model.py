"""The model in use and how it is to be run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_harmonize.session.backend import PREFIX, job
from napari_harmonize.settings import replace

if TYPE_CHECKING:
    from pathlib import Path

    from napari_harmonize.session.backend import Backend
    from napari_harmonize.session.jobs import Desk, Request
    from napari_harmonize.translation import ModelPackage, TranslationSettings


class ModelPart:
    """Holds the model package and the translation settings of a session.

    Attributes
    ----------
    package : ModelPackage, optional
        The model in use.
    catalogue : dict of str to ModelPackage
        Every model seen so far, by name; filled by :meth:`list_models`.
    settings : TranslationSettings
        Read it; write with :meth:`change` or :meth:`set_settings`.
    changed : Signal(object)
        Another model is in use: its package, or None for a baseline.
    catalogue_changed : Signal(dict)
        More models are known.
    settings_changed : Signal(TranslationSettings)
        A setting changed.
    """

    changed = Signal(object)
    catalogue_changed = Signal(dict)
    settings_changed = Signal(object)

    def __init__(self, desk: Desk, backend: Backend) -> None:
        self._desk, self._backend = desk, backend
        self.package: ModelPackage | None = None
        self.catalogue: dict[str, ModelPackage] = {}
        self._settings: TranslationSettings | None = None

    @property
    def settings(self) -> TranslationSettings:
        """How the next translation is run."""
        if self._settings is None:
            self._settings = self._backend.settings_for(None, "")
        return self._settings

    def list_models(self) -> Request:
        """Read the cards of the built-in models."""
        work = job("Reading model cards", lambda: {name: self._backend.load_model(name) for name in self._backend.models()})
        return self._desk.ask("model", "Reading model cards", work, self._catalogue, slot="catalogue")

    def choose(self, name_or_path: str | Path) -> Request:
        """Use a model; its card's sampler and steps become the settings."""
        name = str(name_or_path)
        work = job(f"Opening model {name}", lambda: self._backend.load_model(name_or_path))
        return self._desk.ask("model", f"Opening model {name}", work, lambda package: self.use(name, package))

    @property
    def baseline(self) -> str:
        """Name of the baseline in use instead of a model; else empty."""
        name = self.settings.model
        return name if self.package is None and name.startswith(PREFIX) else ""

    def baselines(self) -> dict[str, str]:
        """Names of the baselines :meth:`choose_baseline` takes, and one sentence on each."""
        return self._backend.baselines()

    def choose_baseline(self, name: str) -> None:
        """Use a baseline ("baseline:identity") instead of a model."""
        self.package = None
        self.set_settings(self._backend.settings_for(None, name))
        self.changed.emit(None)

    def suited(self, have: str, want: str) -> tuple[str, ...]:
        """Names of the known models that translate from one contrast to another; empty strings suit all."""
        return tuple(
            name
            for name, package in self.catalogue.items()
            if _suits(have, package.card.from_contrasts) and _suits(want, package.card.to_contrasts)
        )

    def change(self, **changes: Any) -> None:
        """Change some settings; refused as a whole where one is out of range."""
        self.set_settings(replace(self.settings, **changes))

    def set_settings(self, settings: TranslationSettings) -> None:
        """Replace the settings."""
        before, self._settings = self._settings, settings
        if before != settings:
            self.settings_changed.emit(settings)

    def _catalogue(self, packages: dict[str, ModelPackage]) -> None:
        self.catalogue = {**self.catalogue, **packages}
        self.catalogue_changed.emit(self.catalogue)

    def offer(self, name: str, package: ModelPackage) -> None:
        """Put a model among those that may be chosen."""
        self._catalogue({name: package})

    def use(self, name: str, package: ModelPackage) -> None:
        """Use a model that is already open."""
        self.package = package
        if name not in self.catalogue:
            self._catalogue({name: package})
        self.set_settings(self._backend.settings_for(package, name))
        self.changed.emit(package)


def _suits(contrast: str, known: tuple[str, ...]) -> bool:
    return not contrast or contrast in known or "any" in known
