"""The model package: recipe, card and weights in a folder or a .zip of it."""

from __future__ import annotations

import functools
import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_harmonize.errors import HarmonizeError, ModelError
from napari_harmonize.settings import from_json, replace, to_json
from napari_harmonize.translation.card import Card
from napari_harmonize.translation.recipe import Recipe
from napari_harmonize.translation.without_triton import weightless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import Tensor, nn

WEIGHTS, RECIPE, CARD = "weights.safetensors", "recipe.json", "card.json"
FILES = (RECIPE, CARD, WEIGHTS)
SHOWN = 8
DEFAULT = "any-to-t1"


@dataclass(frozen=True, eq=False)
class ModelPackage:
    """A model that can be used.

    Parameters
    ----------
    name : str
        Name of a built-in model, or base name of the folder or .zip.
    recipe : Recipe
        How it is built and used.
    card : Card
        What it is for.
    path : Path
        The folder, or the .zip.
    """

    name: str
    recipe: Recipe
    card: Card
    path: Path

    @property
    def weights_path(self) -> Path:
        """The weights' file; inside a .zip it is no file of its own."""
        return self.path / WEIGHTS

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of recipe and weights; names the model in every output."""
        read = _reader(self.path)
        return hashlib.sha256(read(RECIPE) + read(WEIGHTS)).hexdigest()

    @property
    def multiple(self) -> int:
        """What every spatial size the network sees must be divisible by."""
        return self._sizes[0]

    @property
    def least(self) -> int:
        """The shortest side the network accepts."""
        return self._sizes[1]

    @functools.cached_property
    def _sizes(self) -> tuple[int, int]:
        with weightless():
            network: Any = build_network(self.recipe)
        return network.multiple, getattr(network, "least", 1)

    def load_network(self, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> nn.Module:
        """Build the network and fill it with the weights.

        Parameters
        ----------
        device : str or torch.device
            Where it goes.
        dtype : torch.dtype, optional
            Number format of the weights; as stored where absent.

        Returns
        -------
        torch.nn.Module
            Ready for inference: ``net(x_t, t, condition)``.

        Raises
        ------
        ModelError
            A tensor is missing, unexpected or of the wrong shape; all are listed.
        """
        import torch
        from safetensors.torch import load, load_file

        try:
            state = load_file(self.weights_path) if self.path.is_dir() else load(_reader(self.path)(WEIGHTS))
        except (OSError, ValueError, RuntimeError, _safetensor_error()) as error:
            raise ModelError("Weights are a safetensors file", f"{self.name}: {error}") from error
        network = build_network(self.recipe)
        fill(network, state, self.name)
        network.requires_grad_(False).eval()
        return network.to(torch.device(device), dtype)


def build_network(recipe: Recipe) -> nn.Module:
    """Build a recipe's network without weights worth using.

    Raises
    ------
    ModelError
        The network cannot be built as the recipe says.
    """
    from napari_harmonize.networks import NETWORKS

    row = NETWORKS[recipe.network]
    network: Any = row.load()(from_json(row.settings, recipe.network_settings))
    _must_agree(recipe, network)
    built: nn.Module = network
    return built


def _must_agree(recipe: Recipe, network: Any) -> None:
    """Compare what a network says of itself with what its recipe says."""
    if network.channels != 2 * recipe.radius + 1:
        raise ModelError(
            "A network takes stacks of 2 radius + 1 slices", f"{recipe.network} takes {network.channels}, the radius is {recipe.radius}"
        )
    if (network.dimensions, network.learns_variance) != (recipe.dimensions, recipe.learns_variance):
        raise ModelError(
            "Recipe and network agree on dimensions and learnt variance",
            f"{recipe.network} has {network.dimensions} and {network.learns_variance}, "
            f"the recipe {recipe.dimensions} and {recipe.learns_variance}",
        )
    if network.needs_style and "style" not in recipe.conditioning:
        raise ModelError(f"The network {recipe.network} takes a style key", f"the recipe gives it {', '.join(recipe.conditioning)}")


def fill(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Fill a network with tensors, all of them and no others.

    Raises
    ------
    ModelError
        A tensor is missing, unexpected or of the wrong shape; all kinds are listed.
    """
    wanted = network.state_dict()
    missing = sorted(set(wanted) - set(state))
    unexpected = sorted(set(state) - set(wanted))
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    faults = [_listed(what, names) for what, names in (("missing", missing), ("unexpected", unexpected), ("mis-shaped", shapes)) if names]
    if faults:
        raise ModelError(f"The weights of {name} are those its recipe describes", "; ".join(faults), "Import the checkpoint again")
    network.load_state_dict(dict(state))


def load(name_or_path: str | Path) -> ModelPackage:
    """Read a model package; its weights are read when the network is built.

    Parameters
    ----------
    name_or_path : str or path
        A built-in model's name, a folder or a .zip.

    Raises
    ------
    ModelError
        There is none, or its recipe or card cannot be used.
    """
    folder = _built_in_folders().get(str(name_or_path))
    path = folder or Path(name_or_path)
    name = str(name_or_path) if folder else path.stem if path.suffix == ".zip" else path.resolve().name
    if folder is None and not path.exists():
        known = ", ".join(built_in()) or "none"
        raise ModelError("A model is built in, a folder or a .zip", f"there is no {path.name!r}", f"Built in: {known}")
    read = _reader(path)
    try:
        recipe, card = Recipe.from_json(_json(read, RECIPE)), from_json(Card, _json(read, CARD))
    except ModelError:
        raise
    except HarmonizeError as error:
        raise ModelError(f"Recipe and card of {name} can be read", str(error)) from error
    return ModelPackage(name, recipe, card, path)


def save(folder: str | Path, recipe: Recipe, card: Card, state: Mapping[str, Tensor]) -> ModelPackage:
    """Write a model package.

    Parameters
    ----------
    folder : path
        New or empty folder.
    recipe, card
        What to write; the card's sampler and steps follow the recipe's defaults.
    state : mapping of str to Tensor
        The network's ``state_dict``.

    Returns
    -------
    ModelPackage
        As it is read back.

    Raises
    ------
    ModelError
        The weights do not fit the recipe, or the folder holds something already.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ModelError("A model package is written to a new or empty folder", f"{folder.name} holds files", "Choose another name")
    fill(build_network(recipe), state, folder.name)
    folder.mkdir(parents=True, exist_ok=True)
    card = replace(card, sampler=recipe.defaults.sampler, steps=recipe.defaults.steps)
    _write_json(folder / RECIPE, recipe.to_json())
    _write_json(folder / CARD, to_json(card))
    save_file({key: value.detach().cpu().contiguous() for key, value in sorted(state.items())}, folder / WEIGHTS)
    return load(folder)


def built_in() -> tuple[str, ...]:
    """Names of the models that come with the plugin, the default one first."""
    return tuple(_built_in_folders())


def default_model() -> str:
    """Name of the model that is used where none is named.

    Raises
    ------
    ModelError
        No model is built in.
    """
    names = built_in()
    if not names:
        raise ModelError("A model is named, or one is built in", "neither is so", "Name the folder or .zip of a model package")
    return DEFAULT if DEFAULT in names else names[0]


def _built_in_folders() -> dict[str, Path]:
    root = Path(__file__).parent.parent / "models"
    folders = [folder for folder in root.glob("*") if (folder / RECIPE).is_file()]
    return {folder.name: folder for folder in sorted(folders, key=lambda folder: (folder.name != DEFAULT, folder.name))}


def _reader(path: Path) -> Callable[[str], bytes]:
    """Function that reads one of the package's files."""

    def from_folder(name: str) -> bytes:
        return (path / name).read_bytes()

    def from_zip(name: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            inside = [entry for entry in archive.namelist() if entry == name or entry.endswith(f"/{name}")]
            if len(inside) != 1:
                raise FileNotFoundError(f"the archive holds {len(inside)} files {name}")
            return archive.read(inside[0])

    def read(name: str) -> bytes:
        try:
            return (from_folder if path.is_dir() else from_zip)(name)
        except (OSError, zipfile.BadZipFile) as error:
            reason = "it is neither a folder nor a .zip" if isinstance(error, zipfile.BadZipFile) else f"{name}: {error.strerror or error}"
            remedy = "Name the folder of a model package, or its .zip"
            raise ModelError(f"A model package holds {', '.join(FILES)}", f"{path.name}: {reason}", remedy) from error

    return read


def _json(read: Callable[[str], bytes], name: str) -> Any:
    try:
        return json.loads(read(name))
    except ValueError as error:
        raise ModelError(f"{name} is JSON text", str(error)) from error


def _write_json(path: Path, values: Any) -> None:
    path.write_text(_dump(values) + "\n", encoding="utf-8")


def _dump(values: Any) -> str:
    """JSON with one line for each name on the first two levels."""
    if not isinstance(values, dict):
        return json.dumps(values)
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value, separators=(', ', ': '))}" for name, value in values.items())
    return "{\n" + lines + "\n}"


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}"


def _safetensor_error() -> type[Exception]:
    from safetensors import SafetensorError

    error: type[Exception] = SafetensorError
    return error
