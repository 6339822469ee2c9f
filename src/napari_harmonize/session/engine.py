"""What the session asks of the folders below it, loaded when first needed.

A session is given an :class:`Engine`; tests give one that answers at once. Nothing heavy is imported before a method runs, and
the methods that return a job import inside the job, so that it happens where the job runs.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_harmonize.errors import ReadError
from napari_harmonize.events import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_harmonize.events import Job
    from napari_harmonize.style import StyleKey, Training
    from napari_harmonize.translation import Case, Estimate, Finding, ModelPackage, Result, TranslationSettings
    from napari_harmonize.volumes import Volume

Answer = TypeVar("Answer")


def job(stage: str, work: Callable[[], Answer]) -> Job[Answer]:
    """Make a job of one uninterrupted piece of work.

    Parameters
    ----------
    stage : str
        What is being done.
    work : callable
        Runs where the job runs.
    """
    yield Stage(stage)
    return work()


class Engine:
    """The folders below, as the session sees them."""

    def warm_up(self) -> Job[None]:
        """Import what the first translation needs (torch), once, away from the main thread."""
        yield Stage("Loading engine")
        importlib.import_module("torch")
        yield Stage("Loading engine", "translation")
        importlib.import_module("napari_harmonize.translation.translate")

    def read(self, path: Path | str, series: str | None = None) -> Volume:
        """Read a file or DICOM folder."""
        from napari_harmonize.volumes import read

        return read(path, series=series)

    def samples(self) -> dict[str, tuple[Path, Path]]:
        """Built-in pairs: name to the files of source and truth."""
        folder = Path(__file__).parent.parent / "sample_data"
        pairs = {entry.name: _pair_in(entry) for entry in sorted(folder.glob("*")) if entry.is_dir()}
        return {name: pair for name, pair in pairs.items() if pair is not None}

    def sample(self, name: str) -> tuple[Volume, Volume]:
        """Read a built-in pair: source and truth."""
        known = self.samples()
        if name not in known:
            raise ReadError("A sample pair has a known name", f"{name!r} arrived", f"Known are: {', '.join(known) or 'none'}")
        source, truth = known[name]
        return self.read(source), self.read(truth)

    def models(self) -> tuple[str, ...]:
        """Names of the built-in models."""
        from napari_harmonize.translation import built_in

        return built_in()

    def load_model(self, name_or_path: str | Path) -> ModelPackage:
        """Read a model package's recipe and card; the network is built by the job that needs it."""
        from napari_harmonize.translation import load

        return load(name_or_path)

    def settings_for(self, package: ModelPackage | None, name: str) -> TranslationSettings:
        """Settings a model starts with: sampler and steps of its card."""
        from napari_harmonize.translation import TranslationSettings

        if package is None:
            return TranslationSettings()
        card = package.card
        return TranslationSettings(model=name, sampler=card.sampler, steps=card.steps)

    def samplers(self) -> Mapping[str, Any]:
        """The table of samplers, without torch."""
        from napari_harmonize.diffusion import SAMPLERS

        return SAMPLERS

    def path_kind(self, package: ModelPackage) -> str:
        """Kind of the model's path: "bridge" or "diffusion"."""
        from napari_harmonize.diffusion import PATHS

        return str(PATHS[package.recipe.path].kind)

    def training(self, package: ModelPackage) -> Training | None:
        """Style keys the model was trained with; none where it needs no key."""
        return package.recipe.training

    def case(self, source: Volume, truth: Volume | None, mask: Volume | None, key: StyleKey | None) -> Case:
        """Put a case together."""
        from napari_harmonize.translation import Case

        return Case(source, truth, mask, key)

    def preflight(self, case: Case, package: ModelPackage | None) -> tuple[Finding, ...]:
        """Check a case against a model's card."""
        from napari_harmonize.translation.preflight import preflight

        return preflight(case, package)

    def remedy(self, name: str, case: Case) -> dict[str, Volume]:
        """Volumes a remedy replaces, by role."""
        from napari_harmonize.translation.preflight import REMEDIES

        return REMEDIES[name].apply(case)

    def resample_onto(self, volume: Volume, reference: Volume, order: int = 1) -> Volume:
        """Bring a volume onto another one's grid."""
        from napari_harmonize.volumes import resample_onto, same_grid

        return volume if same_grid(volume, reference) else resample_onto(volume, reference, order=order)

    def translate(self, case: Case, settings: TranslationSettings, package: ModelPackage | None) -> Job[Result]:
        """Translate a case."""
        from napari_harmonize.translation import translate

        return (yield from translate(case, settings, package))

    def preview(self, case: Case, settings: TranslationSettings, package: ModelPackage, slices: tuple[int, ...]) -> Job[Any]:
        """Translate a few slices."""
        from napari_harmonize.translation import preview

        return (yield from preview(case, settings, package, slices))

    def estimate(self, case: Case, settings: TranslationSettings, package: ModelPackage) -> Estimate:
        """Say what a translation will cost."""
        from napari_harmonize.translation import estimate

        return estimate(case, settings, package)


def _pair_in(folder: Path) -> tuple[Path, Path] | None:
    found = [sorted(folder.glob(f"{role}*.nii*")) for role in ("source", "truth")]
    return (found[0][0], found[1][0]) if all(found) else None
