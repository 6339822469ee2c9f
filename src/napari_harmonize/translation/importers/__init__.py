"""Turning published checkpoints into model packages; ``IMPORTERS`` lists the systems.

An importer is a function ``convert(path, **answers) -> Imported``. ``answers`` are the fields of the row's settings
class: what a file cannot tell. What is left at its default is named in ``Imported.assumed``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_harmonize.errors import ModelError
from napari_harmonize.events import Job, Note, Stage
from napari_harmonize.settings import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from napari_harmonize.settings import Settings
    from napari_harmonize.translation.card import Card
    from napari_harmonize.translation.package import ModelPackage
    from napari_harmonize.translation.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Imported:
    """What a checkpoint turned out to be.

    Parameters
    ----------
    recipe : Recipe
        How its network is built and used, with the published sampling settings as defaults.
    card : Card
        What is known about it.
    state : mapping of str to Tensor
        Weights under our names.
    assumed : tuple of str
        One sentence for every fact the file did not state and nobody confirmed.
    notes : tuple of str
        One sentence for every thing left out or repaired.
    """

    recipe: Recipe
    card: Card
    state: Mapping[str, Tensor]
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImporterRow:
    """One published system.

    Parameters
    ----------
    help : str
        What it is.
    suffixes : tuple of str
        File endings its checkpoints have.
    module : str
        Module of this folder that holds the functions.
    """

    help: str
    suffixes: tuple[str, ...]
    module: str

    def load(self) -> Callable[..., Imported]:
        """Give ``convert(path, **answers)``."""
        convert: Callable[..., Imported] = self._module().convert
        return convert

    def questions(self) -> type[Settings]:
        """Give the settings class of what a file cannot tell; every field prefilled with the published value."""
        answers: type[Settings] = self._module().Answers
        return answers

    def recognises(self, path: Path) -> bool:
        """Tell whether a file is one of this system's checkpoints."""
        return bool(self._module().recognises(path))

    def _module(self) -> Any:
        return importlib.import_module(f"{__name__}.{self.module}")


def recognise(path: str | Path) -> str:
    """Find out which system a checkpoint comes from.

    Raises
    ------
    ModelError
        None, or the file cannot be read without running code from it.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError("A checkpoint is a file", f"there is no file {path.name!r}")
    refusals = []
    for name, row in IMPORTERS.items():
        try:
            if path.suffix in row.suffixes and row.recognises(path):
                return name
        except ModelError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
    known = "; ".join(f"{row.help} ({', '.join(row.suffixes)})" for row in IMPORTERS.values())
    raise ModelError("A checkpoint comes from a system this plugin knows", f"{path.name} does not", f"Known are: {known}")


def import_checkpoint(path: str | Path, out: str | Path, *, system: str = "", **answers: Any) -> Job[ModelPackage]:
    """Turn a published checkpoint into a model package.

    Parameters
    ----------
    path : path
        The checkpoint; only tensors are read from it.
    out : path
        New folder for the package.
    system : str
        Key of ``IMPORTERS``; recognised from the file where empty.
    **answers
        What the file cannot tell; see the system's ``questions()``.

    Returns
    -------
    ModelPackage
        Written and loadable.

    Raises
    ------
    ModelError
        The file is of no known system, needs code to be read, or lacks tensors.
    """
    from napari_harmonize.translation.package import save

    yield Stage("Reading the checkpoint", Path(path).name)
    system = system or recognise(path)
    if system not in IMPORTERS:
        raise ModelError(f"A checkpoint's system is one of {', '.join(IMPORTERS)}", f"{system!r} arrived")
    yield Note(f"{Path(path).name} is a checkpoint of {IMPORTERS[system].help}")
    found = IMPORTERS[system].load()(Path(path), **answers)
    for note in found.notes:
        yield Note(note, "warning")
    for sentence in found.assumed:
        yield Note(f"Assumed: {sentence}", "warning")
    yield Stage("Writing the model package", Path(out).name)
    card = replace(found.card, assumed=(*found.card.assumed, *found.assumed))
    return save(out, found.recipe, card, found.state)


IMPORTERS: dict[str, ImporterRow] = {
    "ct2mri": ImporterRow("CT2MRI / BBDM: Brownian bridge with style keys (Choo et al. 2024)", (".pth", ".pt", ".ckpt"), "ct2mri"),
    "dm-moni-mr": ImporterRow(
        "contrast harmonisation by guided diffusion (Durrer et al. 2023)", (".pt", ".pth", ".safetensors"), "dm_moni_mr"
    ),
    "xmodality": ImporterRow(
        "xmodality: TOF angiography to CTA (Koch et al. 2025)", (".safetensors", ".npz", ".pkl", ".pickle"), "xmodality"
    ),
    "exported": ImporterRow("a generator exported as TorchScript or by torch.export", (".pt", ".pth", ".ts", ".pt2"), "exported"),
    "graf": ImporterRow(
        "readable conditional diffusion: spine MR to CT, with its GAN generators (Graf et al. 2023)",
        (".ckpt", ".pt", ".pth", ".safetensors"),
        "graf",
    ),
}
