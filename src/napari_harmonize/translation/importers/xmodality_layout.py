"""Which network a file of the xmodality system holds, and where each of its tensors goes.

The released files are safetensors without metadata: kind and sizes are told by the names and shapes of the tensors.
Names are those Flax gives: a class and its number in the order of creation (see :mod:`.flax`).

Symbols: :func:`kind_of`, :func:`network_settings`, :func:`layout`, :func:`module_names`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.networks import NETWORKS
from napari_harmonize.networks.modality_adm import ModalityADMSettings
from napari_harmonize.networks.modality_dit import ModalityDiTSettings
from napari_harmonize.networks.modality_unet import ModalityUNetSettings
from napari_harmonize.networks.modality_uvit import ModalityUViTSettings
from napari_harmonize.translation.importers import flax
from napari_harmonize.translation.without_triton import weightless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from napari_harmonize.settings import Settings

Names = dict[str, str]

ATTENTION = "MultiHeadDotProductAttention"
STEM = "Conv_0/kernel"


def kind_of(names: set[str]) -> str:
    """Tell which network tensors of these names belong to.

    Returns
    -------
    str
        Key of ``NETWORKS``; empty where it is none of this system's.
    """
    if any(name.startswith("DiTBlock_0/") for name in names):
        return "xmodality-dit"
    if any(name.startswith("Transformer_0/") for name in names) and STEM in names:
        return "xmodality-uvit"
    if not any(name.startswith("ResNetBlock_0/") for name in names):
        return ""
    return "xmodality-unet" if any(name.endswith("/GroupNorm_0/scale") for name in names) else "xmodality-adm"


def network_settings(kind: str, stored: Mapping[str, Tensor], name: str) -> Settings:
    """Read a network's sizes from the shapes of its tensors.

    Parameters
    ----------
    kind : str
        As :func:`kind_of` gives it.
    stored : mapping
        The file's tensors.
    name : str
        The file, for messages.

    Raises
    ------
    ModelError
        Tensors that tell a size are missing, or their shapes make no sense.
    """
    try:
        return _READ[kind]({key: tuple(value.shape) for key, value in stored.items()})
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            "A checkpoint holds enough tensors to tell its shape", f"{name} lacks {error}", "Choose a whole checkpoint"
        ) from error
    except SettingsError as error:
        raise ModelError("A checkpoint's shapes make a network", f"{name}: {error}", "Choose a whole checkpoint") from error


def layout(kind: str, settings: Settings) -> dict[str, flax.Leaf]:
    """List the tensors a file of this network holds, by their Flax key.

    Parameters
    ----------
    kind : str
        Key of ``NETWORKS``.
    settings : Settings
        The network's sizes.
    """
    with weightless():
        network = NETWORKS[kind].load()(settings)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    return flax.layout(shapes, module_names(kind, settings).__getitem__, lambda attention: _heads(settings, attention))


def module_names(kind: str, settings: Settings) -> Names:
    """Give the Flax path of each of our modules that holds weights, by its name in our network."""
    return _NAMES[kind](settings)


def _heads(settings: Settings, attention: str) -> int:
    return int(getattr(settings, "token_heads" if attention.startswith("Transformer_0/") else "heads"))


Shapes = dict[str, tuple[int, ...]]


def _count(shapes: Shapes, stem: str) -> int:
    """How many modules are called ``stem`` and a number."""
    return len({key[len(stem) :].partition("/")[0] for key in shapes if key.startswith(stem)})


def _levels(shapes: Shapes, blocks: int) -> tuple[int, tuple[int, ...]]:
    """Width and multipliers of an encoder with so many blocks per level."""
    width = shapes[STEM][-1]
    levels = _count(shapes, "PixelShuffleDownsample_") + 1
    outs = [shapes[f"ResNetBlock_{blocks * level}/Block_0/Conv_0/kernel"][-1] for level in range(levels)]
    return width, tuple(out // width for out in outs)


def _query_heads(shapes: Shapes, parent: str = "") -> int:
    return shapes[f"{parent}{ATTENTION}_0/query/kernel"][1]


def _read_unet(shapes: Shapes) -> Settings:
    width, multipliers = _levels(shapes, 1)
    return ModalityUNetSettings(width=width, multipliers=multipliers)


def _read_adm(shapes: Shapes) -> Settings:
    width, multipliers = _levels(shapes, 2)
    return ModalityADMSettings(width=width, multipliers=multipliers, heads=_query_heads(shapes))


def _read_uvit(shapes: Shapes) -> Settings:
    width, multipliers = _levels(shapes, 2)
    features, hidden = shapes["Transformer_0/SwiGLU_0/Dense_1/kernel"]
    return ModalityUViTSettings(
        width=width,
        multipliers=multipliers,
        heads=_query_heads(shapes),
        token_heads=_query_heads(shapes, "Transformer_0/"),
        depth=_count(shapes, "Transformer_0/SwiGLU_"),
        expansion=hidden // features,
    )


def _read_dit(shapes: Shapes) -> Settings:
    pixels, features = shapes["Dense_0/kernel"]
    _, hidden = shapes["DiTBlock_0/SwiGLU_0/Dense_0/kernel"]
    return ModalityDiTSettings(
        patch=math.isqrt(pixels // 2),
        features=features,
        depth=_count(shapes, "DiTBlock_"),
        heads=_query_heads(shapes, "DiTBlock_0/"),
        expansion=hidden // features,
        frequencies=shapes["Dense_1/kernel"][0],
    )


def _under(ours: str, theirs: str, parts: Names) -> Names:
    return {f"{ours}.{name}": f"{theirs}{path}" for name, path in parts.items()}


def _block(ours: str, number: int, timed: bool, norm: str = "RMSNorm") -> Names:
    parts = {"time": "Dense_0", "skip": "Dense_1"} if timed else {"skip": "Dense_0"}
    for index, name in enumerate(("first", "second")):
        parts |= {f"{name}.conv": f"Block_{index}/Conv_0", f"{name}.norm": f"Block_{index}/{norm}_0"}
    return _under(ours, f"ResNetBlock_{number}/", parts)


def _attention(ours: str, number: int, parent: str = "") -> Names:
    return _under(ours, f"{parent}{ATTENTION}_{number}/", {name: name for name in (*flax.PROJECTIONS, "out")})


def _attend(ours: str, number: int) -> Names:
    return {f"{ours}.norm": f"RMSNorm_{number}"} | _attention(f"{ours}.attention", number)


def _unet(settings: Settings) -> Names:
    levels = len(settings.multipliers)  # type: ignore[attr-defined]
    names = {"stem": "Conv_0", "out": "Dense_0"}
    for level in range(levels):
        names |= _block(f"encoder.{level}.block", level, False, "GroupNorm")
        names |= {f"encoder.{level}.resample.project": f"PixelShuffleDownsample_{level}/Dense_0"}
    for level in range(levels - 1):
        names |= _block(f"decoder.{level}.block", levels + 1 + level, False, "GroupNorm")
        names |= {f"decoder.{level}.resample.project": f"PixelShuffleUpsample_{level}/Dense_0"}
    return names | _block("middle", levels, False, "GroupNorm") | _block("last", 2 * levels, False, "GroupNorm")


def _convolutional(levels: int, middle_blocks: int, middle_attentions: int) -> Names:
    """Encoder and decoder of ADM and U-ViT, with so many blocks and attentions numbered between them."""
    names = {"stem": "Conv_0", "embed.first": "Dense_0", "embed.second": "Dense_1"}
    blocks, attentions = 2 * levels + middle_blocks, levels + middle_attentions
    for level in range(levels):
        ours = f"encoder.{level}"
        names |= _block(f"{ours}.first", 2 * level, True) | _block(f"{ours}.second", 2 * level + 1, True)
        names |= _attend(f"{ours}.attend", level) | {f"{ours}.down.project": f"PixelShuffleDownsample_{level}/Dense_0"}
    for level in range(levels - 1):
        ours, number = f"decoder.{level}", blocks + 2 * level
        names |= _block(f"{ours}.first", number, True) | _block(f"{ours}.second", number + 1, True)
        names |= _attend(f"{ours}.attend", attentions + level) | {f"{ours}.up.project": f"PixelShuffleUpsample_{level}/Dense_0"}
    return names | _block("last", blocks + 2 * (levels - 1), False)


def _adm(settings: Settings) -> Names:
    levels = len(settings.multipliers)  # type: ignore[attr-defined]
    names = _convolutional(levels, 2, 1) | {"out": "Dense_2"}
    names |= _block("middle.first", 2 * levels, True) | _attend("middle.attend", levels)
    return names | _block("middle.second", 2 * levels + 1, True)


def _gated(ours: str, theirs: str, timed: bool) -> Names:
    order = (*(("time",) if timed else ()), "gate", "value", "out")
    return _under(ours, theirs, {name: f"Dense_{number}" for number, name in enumerate(order)})


def _uvit(settings: Settings) -> Names:
    levels, depth = len(settings.multipliers), settings.depth  # type: ignore[attr-defined]
    names = _convolutional(levels, 0, 0) | {"bands": "Dense_2", "out": "Dense_3"}
    for layer in range(depth):
        ours = f"middle.layers.{layer}"
        names |= {f"{ours}.first": f"Transformer_0/RMSNorm_{2 * layer}", f"{ours}.second": f"Transformer_0/RMSNorm_{2 * layer + 1}"}
        names |= _attention(f"{ours}.attention", layer, "Transformer_0/") | _gated(f"{ours}.gated", f"Transformer_0/SwiGLU_{layer}/", True)
    return names | {"middle.norm": f"Transformer_0/RMSNorm_{2 * depth}"}


def _dit(settings: Settings) -> Names:
    names = {"norm_patches": "LayerNorm_0", "patches": "Dense_0", "norm_tokens": "LayerNorm_1"}
    names |= {"embed.0": "Dense_1", "embed.2": "Dense_2"}
    names |= _under("final", "FinalLayer_0/", {"steer": "Dense_0", "norm": "RMSNorm_0", "out": "Dense_1"})
    for layer in range(settings.depth):  # type: ignore[attr-defined]
        ours, theirs = f"layers.{layer}", f"DiTBlock_{layer}/"
        names |= _under(ours, theirs, {"steer": "Dense_0", "first": "RMSNorm_0", "second": "RMSNorm_1"})
        names |= _attention(f"{ours}.attention", 0, theirs) | _gated(f"{ours}.gated", f"{theirs}SwiGLU_0/", False)
    return names


_READ: dict[str, Callable[[Shapes], Settings]] = {
    "xmodality-unet": _read_unet,
    "xmodality-adm": _read_adm,
    "xmodality-uvit": _read_uvit,
    "xmodality-dit": _read_dit,
}
_NAMES: dict[str, Callable[[Settings], Names]] = {
    "xmodality-unet": _unet,
    "xmodality-adm": _adm,
    "xmodality-uvit": _uvit,
    "xmodality-dit": _dit,
}
