"""What the session asks of the folders below it, loaded when first needed.

A session is given an :class:`Backend`; tests give one that answers at once. Nothing heavy is imported before a method runs, and
the methods that return a job import inside the job, so that it happens where the job runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from napari_harmonize.errors import TrainingError
from napari_harmonize.events import Stage
from napari_harmonize.session.resolve import ModelFacts
from napari_harmonize.session.samples import SAMPLES, read_sample
from napari_harmonize.session.warming import warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_harmonize.diffusion import SamplerRow
    from napari_harmonize.events import Job
    from napari_harmonize.metrics import Score
    from napari_harmonize.settings import Settings
    from napari_harmonize.style import StyleKey
    from napari_harmonize.training.asked import Asked
    from napari_harmonize.training.folder import Found
    from napari_harmonize.translation import (
        Case,
        Engine,
        Estimate,
        Finding,
        ModelPackage,
        Prepared,
        Result,
        SlicePreview,
        TranslationSettings,
    )
    from napari_harmonize.volumes import Volume

Answer = TypeVar("Answer")
PREFIX = "baseline:"


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


@dataclass
class _Kept:
    """What is worth keeping between two jobs on one case and model; jobs that use it run one after another."""

    prepared: Prepared | None = None
    engine: Engine | None = None


class Backend:
    """The folders below, as the session sees them."""

    def __init__(self) -> None:
        self._last = _Kept()

    def warm_up(self) -> Job[None]:
        """Import what the first translation needs (torch), once, away from the main thread."""
        return warm_up()

    def read(self, path: Path | str, series: str | None = None) -> Volume:
        """Read a file or DICOM folder."""
        from napari_harmonize.volumes import read

        return read(path, series=series)

    def write(self, volume: Volume, path: Path) -> Path:
        """Write a result on its own grid, marked synthetic."""
        from napari_harmonize.translation.export import DESCRIPTION
        from napari_harmonize.volumes import write

        return write(volume, path, description=DESCRIPTION)

    def result(self, volume: Volume, facts: Mapping[str, Any], volatile: Mapping[str, Any]) -> Result:
        """Put a result together that was kept."""
        from napari_harmonize.translation.case import Result, Run

        return Result(volume, Run(facts, volatile))

    def samples(self) -> tuple[str, ...]:
        """Names of the built-in pairs."""
        return tuple(SAMPLES)

    def sample(self, name: str) -> tuple[Volume, Volume, Volume]:
        """Read a built-in pair: source, truth and mask."""
        return read_sample(name)

    def baselines(self) -> dict[str, str]:
        """Names of the baselines that may stand in for a model, and one sentence on each."""
        from napari_harmonize.translation import BASELINES

        return {f"{PREFIX}{name}": row.help for name, row in BASELINES.items()}

    def models(self) -> tuple[str, ...]:
        """Names of the built-in models."""
        from napari_harmonize.translation import built_in

        return built_in()

    def default_model(self) -> str:
        """Name of the model that is used where none is named."""
        from napari_harmonize.translation.package import default_model

        return default_model()

    def load_model(self, name_or_path: str | Path) -> ModelPackage:
        """Read a model package's recipe and card; the network is built by the job that needs it."""
        from napari_harmonize.translation import load

        return load(name_or_path)

    def recognise(self, path: Path) -> tuple[str, str, Settings]:
        """Find out which system a checkpoint comes from: its name, its title, and what its files cannot tell."""
        from napari_harmonize.translation import IMPORTERS, recognise

        system = recognise(path)
        return system, IMPORTERS[system].help, IMPORTERS[system].questions()()

    def import_checkpoint(self, path: Path, folder: Path, system: str, answers: Mapping[str, Any]) -> Job[ModelPackage]:
        """Turn a checkpoint into a model package."""
        from napari_harmonize.translation import import_checkpoint

        return import_checkpoint(path, folder, system=system, **answers)

    def checkpoint_suffixes(self) -> tuple[str, ...]:
        """Endings of the checkpoints that can be imported, each once."""
        from napari_harmonize.translation import IMPORTERS

        return tuple(dict.fromkeys(suffix for row in IMPORTERS.values() for suffix in row.suffixes))

    def recipes(self) -> dict[str, str]:
        """Names of the recipes that come with the plugin, and one sentence on each."""
        from napari_harmonize.translation.recipes import shipped

        return shipped()

    def pairs(self, table: Path) -> dict[str, int]:
        """Read a table of pairs: how many there are in each split."""
        from napari_harmonize.training.pairs import counts, read_table

        return counts(read_table(table))

    def look(self, folder: Path) -> tuple[Found, Asked | None]:
        """Read how far the run of a folder has come, and what it was asked for."""
        from napari_harmonize.training.asked import read_asked
        from napari_harmonize.training.folder import look

        return look(folder), read_asked(folder)

    def train(self, asked: Asked, folder: Path) -> Job[ModelPackage]:
        """Train, or go on where the run of the folder stopped."""
        from napari_harmonize.training.asked import train

        if asked.fit.devices > 1:  # whose processes would each open a window
            raise TrainingError(
                "A window trains on one device",
                f"{asked.fit.devices} were asked for",
                'Set devices to 1, or use "napari-harmonize train" in a terminal',
            )
        return train(asked, folder)

    def trial(self, folder: Path, step: int, still: tuple[Volume, Volume] | None) -> tuple[int, Volume, Volume, Volume]:
        """Read the validation pair of a run as translated at a step: step, source, result, target; the two that stay may be given."""
        from napari_harmonize.training.folder import trial
        from napari_harmonize.volumes import read

        source, target = still or (read(trial(folder, "source")), read(trial(folder, "target")))
        return step, source, read(trial(folder, step)), target

    def settings_for(self, package: ModelPackage | None, name: str) -> TranslationSettings:
        """Give the settings a model starts with."""
        from napari_harmonize.translation import TranslationSettings

        return TranslationSettings(model=name) if package is None else package.recipe.defaults.settings(name)

    def samplers(self) -> Mapping[str, SamplerRow]:
        """Give the table of samplers, without torch."""
        from napari_harmonize.diffusion import SAMPLERS

        return SAMPLERS

    def baseline_facts(self, name: str) -> ModelFacts:
        """Give what the state depends on of a baseline."""
        from napari_harmonize.translation import BASELINES

        row = BASELINES[name.removeprefix(PREFIX)]
        return ModelFacts(row.help, "", needs_style=row.needs_key, needs_truth=row.needs_reference)

    def facts(self, package: ModelPackage) -> ModelFacts:
        """Give what the state depends on of a model."""
        from napari_harmonize.diffusion import PATHS

        recipe = package.recipe
        return ModelFacts(package.card.title, PATHS[recipe.path].kind, "style" in recipe.conditioning, recipe.axis_index, recipe=recipe)

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
        from napari_harmonize.translation.remedies import REMEDIES

        return REMEDIES[name].apply(case)

    def foreground(self, volume: Volume) -> NDArray[np.bool_]:
        """Find what is not air or background, (i, j, k) bool."""
        from napari_harmonize.prepare import foreground

        return foreground(volume).data

    def compared(self, volumes: Mapping[str, Volume], mask: NDArray[np.bool_]) -> dict[str, Volume]:
        """Bring result and truth to one unit and subtract them."""
        from napari_harmonize.translation.compared import compared

        return compared(volumes, mask)

    def unit(self, volume: Volume, mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        """Scale to 0..1 for curves and style keys: 99.5th percentile inside the mask."""
        from napari_harmonize.translation.compared import unit

        return unit(volume.data, self.foreground(volume) if mask is None else mask)

    def below_zero(self, volume: Volume, mask: Volume | None, role: str) -> str:
        """Say what share of a volume lies below 0 and will count as 0; empty where that is nothing to speak of."""
        from napari_harmonize.translation.compared import below_zero

        return below_zero(volume, mask, role)

    def changes(self, data: NDArray[Any], mask: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
        """Mean change between neighbouring slices inside the mask, (n - 1,)."""
        from napari_harmonize.metrics import changes

        return changes(data, mask, axis)

    def outliers(self, curve: NDArray[np.float64], beside: NDArray[np.float64]) -> tuple[int, ...]:
        """Find the slices where a curve stands out from the one beside it."""
        from napari_harmonize.metrics import outliers

        return outliers(curve, beside)

    def evaluate(self, **volumes: Any) -> tuple[Score, ...]:
        """Compute every metric whose needs are met."""
        from napari_harmonize.metrics import evaluate

        return evaluate(**volumes)

    def export(self, result: Result, case: Case, folder: Path, **facts: Any) -> tuple[Path, ...]:
        """Write a result as a BIDS derivative with sidecar and sheet."""
        from napari_harmonize.translation.export import export

        return export(result, case, folder, **facts)

    def resample_onto(self, volume: Volume, reference: Volume, order: int = 1) -> Volume:
        """Bring a volume onto another one's grid."""
        from napari_harmonize.volumes import resample_onto, same_grid

        return volume if same_grid(volume, reference) else resample_onto(volume, reference, order=order)

    def translate(self, case: Case, settings: TranslationSettings, package: ModelPackage | None) -> Job[Result]:
        """Translate a case; what was prepared and loaded for a preview of it is used again."""
        from napari_harmonize.translation import translate

        if package is None:
            return (yield from translate(case, settings))
        kept = self._kept(case, settings, package)
        return (yield from translate(case, settings, package, prepared=kept.prepared, engine=kept.engine))

    def preview(self, case: Case, settings: TranslationSettings, package: ModelPackage, slices: tuple[int, ...]) -> Job[SlicePreview]:
        """Translate a few slices; the prepared source and the loaded network are kept for the next time.

        Parameters
        ----------
        slices : tuple of int
            Positions along the model's axis, in canonical order of the source's grid.
        """
        from napari_harmonize.translation import load_engine, prepare_case, preview

        kept = self._kept(case, settings, package)
        if kept.prepared is None:
            yield Stage("Preparing")
            kept.prepared = prepare_case(case, package)
        if kept.engine is None:
            yield Stage("Loading the model", package.card.title)
            kept.engine = load_engine(package, settings)
        return (yield from preview(case, settings, package, slices, prepared=kept.prepared, engine=kept.engine))

    def around(self, source: Volume, position: tuple[float, float, float], axis: int) -> tuple[int, ...]:
        """Find the three slices around a position (RAS+ mm) along an axis of the canonical source."""
        from napari_harmonize.volumes import canonical, index

        volume, _ = canonical(source)
        last = volume.shape[axis] - 1
        centre = min(max(round(float(index(volume.affine, position)[axis])), 1), max(last - 1, 0))
        return tuple(number for number in (centre - 1, centre, centre + 1) if 0 <= number <= last)

    def _kept(self, case: Case, settings: TranslationSettings, package: ModelPackage) -> _Kept:
        """Give what is kept, less what does not fit any more."""
        kept = self._last
        if kept.prepared is not None and not kept.prepared.fits(case, package):
            kept.prepared = None
        if kept.engine is not None and not kept.engine.fits(package, settings):
            kept.engine = None
        return kept

    def estimate(self, case: Case, settings: TranslationSettings, package: ModelPackage) -> Estimate:
        """Say what a translation will cost."""
        from napari_harmonize.translation import estimate

        return estimate(case, settings, package)
