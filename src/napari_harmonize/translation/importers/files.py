"""Opening checkpoints without running anything that is written in them.

Symbols: :func:`load_tensors` for tensor files, :class:`Options` for the option objects some of them carry,
:func:`load_options` for hyper-parameters in a .yaml file, :func:`load_style_keys` for the key files of CT2MRI's users.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_harmonize.errors import ModelError, StyleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# what readers of pickles raise on bytes that are none
DAMAGE = (OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError, struct.error, zipfile.BadZipFile)

OPTION_CLASSES = ("loader.arguments.Diffusion_Option", "loader.arguments.Cut_Option", "utils.arguments.Diffusion_Option")


class Options:
    """What is left of an option object in a checkpoint: its attributes, without any of its code."""


SCRIPT, EXPORT = "TorchScript", "torch.export"


def load_tensors(path: Path) -> Any:
    """Read what a checkpoint holds: tensors, numbers, text, lists and dictionaries, nothing else.

    The option objects that checkpoints of the spine system carry, of the classes ``OPTION_CLASSES``, arrive as
    :class:`Options`.

    Parameters
    ----------
    path : Path
        A file saved by torch, a .safetensors file, or an .npz archive of arrays.

    Returns
    -------
    object
        As it was saved, on the CPU; large files are mapped, not read.

    Raises
    ------
    ModelError
        The file needs code to be run, is damaged or is no checkpoint.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if program_kind(path):
        raise ModelError(
            "A checkpoint holds tensors", f"{path.name} is a program ({program_kind(path)})", 'Import it as an "exported" generator'
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix == ".npz":
            return _load_archive(path)
        with torch.serialization.safe_globals([(Options, name) for name in OPTION_CLASSES]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except (SafetensorError, RuntimeError, *DAMAGE) as error:
        raise _damaged(path) from error


def _load_archive(path: Path) -> dict[str, Any]:
    """Arrays of an .npz archive as tensors; pickled objects in it are damage."""
    import torch

    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
        return {name: torch.from_numpy(found[name]) for name in found.files if found[name].dtype.kind == "f"}


def program_kind(path: Path) -> str:
    """Say which kind of exported program a file is, ``SCRIPT`` or ``EXPORT``; empty where it is none."""
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    if "archive_format" in names and any(name.startswith("models/") for name in names):
        return EXPORT
    return SCRIPT if "constants.pkl" in names and any(name.startswith("code/") for name in names) else ""


def _refusal(path: Path, reason: str) -> ModelError:
    asked = re.search(r"(?i:unsupported) (?:global: GLOBAL|GLOBAL|class) (\S+)", reason)
    if asked is None:
        return _damaged(path)
    return ModelError(
        "Only tensors are read from a checkpoint, because reading anything else could run code",
        f"{path.name} asks for {asked[1]}",
        "Save its state_dict alone, with torch.save(model.state_dict(), ...) or as .safetensors",
    )


def _damaged(path: Path) -> ModelError:
    return ModelError("A checkpoint can be read to its end", f"{path.name} is cut short, damaged or no checkpoint", "Copy the file again")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def load_options(path: Path) -> dict[str, Any]:
    """Read hyper-parameters from a .yaml file: text, numbers, lists and dictionaries, nothing else.

    Raises
    ------
    ModelError
        The file is no YAML, asks for an object to be built, or is no list of named values.
    """
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError("Hyper-parameters are named values in a .yaml file", f"{path.name}: {_first_line(error)}") from error
    if not isinstance(found, dict):
        raise ModelError("Hyper-parameters are named values in a .yaml file", f"{path.name} holds a {type(found).__name__}")
    return {str(name): value for name, value in found.items()}


def load_style_keys(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Read the key file of CT2MRI's users, a pickle of {subject: array}, admitting arrays only.

    Parameters
    ----------
    path : path
        The .pkl file.

    Returns
    -------
    dict of str to (3, bins) float64
        Histogram, cumulative histogram and differential of every subject.

    Raises
    ------
    StyleError
        The file holds anything but arrays of three curves, or is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            found = _ArraysOnly(stream).load()
    except StyleError:
        raise
    except (pickle.UnpicklingError, *DAMAGE) as error:
        raise StyleError("A key file is a pickle of {subject: array}", f"{path.name}: {_first_line(error)}") from error
    if not isinstance(found, dict) or not found:
        raise StyleError("A key file is a pickle of {subject: array}", f"{path.name} holds {type(found).__name__} {found!r:.40}")
    return {str(subject): _curves(value, f"{path.name}, subject {subject!s:.40}") for subject, value in found.items()}


def _curves(value: object, where: str) -> NDArray[np.float64]:
    """Turn (bins, 3, 1) as stored into (3, bins)."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.ndim not in (2, 3) or value.shape[1:] not in ((3, 1), (3,)):
        shape = f"an array {value.shape} of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise StyleError("A key is an array of (bins, 3, 1) floating point numbers", f"{where} is {shape}")
    return np.ascontiguousarray(value.reshape(len(value), 3).T, np.float64)


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Old pickles write bytes as text in this one encoding."""
    return text.encode("latin1")


def _admitted() -> dict[tuple[str, str], Callable[..., Any]]:
    """Names an array's pickle may use; both spellings of NumPy's inner module are found in the wild."""
    rebuild: dict[str, Callable[..., Any]] = {"_reconstruct": np._core.multiarray._reconstruct, "scalar": np._core.multiarray.scalar}  # type: ignore[attr-defined]
    names: dict[tuple[str, str], Callable[..., Any]] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for core in ("numpy.core", "numpy._core"):
        names |= {(f"{core}.multiarray", name): function for name, function in rebuild.items()}
        names[f"{core}.numeric", "_frombuffer"] = np._core.numeric._frombuffer  # type: ignore[attr-defined]
    names["_codecs", "encode"] = _latin1
    return names


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows arrays and refuses every other class."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _admitted()[module, name]
        except KeyError:
            raise StyleError(
                "Only arrays are read from a key file, because reading anything else could run code",
                f"{module}.{name} is asked for",
                "Write the keys again as {subject: array}",
            ) from None
