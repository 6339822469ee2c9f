"""What the tensors and options of a spine-system checkpoint tell; reading only, no decisions.

Four layouts are known: weights behind ``generator.`` (released 3D file, 2D training), ``diffusion_net.generator.`` (3D
training) or ``gan.`` (GAN training), in a bare state_dict or in the ``state_dict`` of a Lightning file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from napari_harmonize.diffusion import PATHS
from napari_harmonize.errors import ModelError, SettingsError
from napari_harmonize.networks import NETWORKS
from napari_harmonize.networks.pix2pix_unet import Pix2PixUNetSettings
from napari_harmonize.networks.resnet_generator import ResnetGeneratorSettings
from napari_harmonize.networks.sa_blocks import RAMPS
from napari_harmonize.networks.sa_unet import SaUNetSettings
from napari_harmonize.networks.sa_unet_generator import SaUNetGeneratorSettings
from napari_harmonize.networks.unet_3d import UNet3dSettings
from napari_harmonize.settings import to_json
from napari_harmonize.translation.importers.files import load_tensors
from napari_harmonize.translation.importers.fit import Fit, fit
from napari_harmonize.translation.importers.graf_options import Told, told_by

if TYPE_CHECKING:
    from pathlib import Path

    from napari_harmonize.settings import Settings

PREFIXES = ("diffusion_net.generator.", "generator.", "gan.")
UNET, PIX2PIX, RESNET = "init_conv.weight", "bridgeBlock.conv_block.0.weight", "model.1.weight"
BESIDE = {"ema.": "averaged weights", "discriminator.": "the discriminator", "patch_SampleF_MLP.": "projection heads"}
BETAS = "constants.betas"
INPUTS = {1: (1, False), 1 + RAMPS: (1, True)}


@dataclass(frozen=True, eq=False)
class Layout(Fit):
    """What a checkpoint holds, and how its tensors fit the network they tell.

    Parameters
    ----------
    state, missing, unexpected, mis_shaped
        As in :class:`~napari_harmonize.translation.importers.fit.Fit`.
    network : str
        Row of ``NETWORKS``.
    settings : Settings
        Of that network.
    told : mapping of str
        Facts the options and buffers state, under the names of the importer's answers.
    beside : tuple of str
        What else the file holds that is not needed.
    options_from : str
        Where the options came from; empty where there were none.
    """

    network: str
    settings: Settings
    told: Mapping[str, Any]
    beside: tuple[str, ...]
    options_from: str

    @property
    def dimensions(self) -> int:
        """Sides of an image."""
        return 3 if self.network == "unet-3d" else int(to_json(self.settings).get("dimensions", 2))

    @property
    def direct(self) -> bool:
        """Whether the network is a generator."""
        values = to_json(self.settings)
        return not values.get("timed", "source_channels" in values)


def recognises(path: Path) -> bool:
    """Tell whether a file is a checkpoint of the spine system, or the optimiser's part of one."""
    found = load_tensors(path)
    return isinstance(found, Mapping) and (_is_optimiser(found) or bool(_prefix(_tensors(found))))


def inspect(path: Path, options: str = "", fold: int = 0) -> Layout:
    """Read a checkpoint and say what it tells, gaps included.

    Parameters
    ----------
    path : Path
        The checkpoint.
    options : str
        A .yaml file with its hyper-parameters; one beside the checkpoint with the same name is found where empty.
    fold : int
        Pixels along each side of the blocks folded into channels; as the options say, else 1, where 0.

    Raises
    ------
    ModelError
        The file holds no weights of this system, or a kind this plugin cannot run.
    """
    found = load_tensors(path)
    tensors = _tensors(found) if isinstance(found, Mapping) else {}
    prefix = _prefix(tensors)
    if not prefix:
        reason = "the state of an optimiser only" if isinstance(found, Mapping) and _is_optimiser(found) else "none"
        raise ModelError("A checkpoint of the spine system holds the weights of its network", f"{path.name} holds {reason}")
    said = told_by(found, path, options)
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    network, settings = _network(state, prefix, said, fold, path.name)
    beside = tuple(what for part, what in BESIDE.items() if any(name.startswith((part, f"diffusion_net.{part}")) for name in tensors))
    fitted = fit(state, lambda: NETWORKS[network].load()(settings))
    told = {**said.facts, **_schedule(tensors)}
    return Layout(**vars(fitted), network=network, settings=settings, told=told, beside=beside, options_from=said.where)


def _is_optimiser(found: Mapping[str, Any]) -> bool:
    return "optimizer_states" in found and "state_dict" not in found


def _tensors(found: Mapping[str, Any]) -> dict[str, Tensor]:
    inner = found.get("state_dict", found)
    named = inner.items() if isinstance(inner, Mapping) else ()
    return {name: value for name, value in named if isinstance(name, str) and isinstance(value, Tensor)}


def _prefix(tensors: Mapping[str, Tensor]) -> str:
    """What the names of the network's weights begin with; empty where there are none."""
    for prefix in PREFIXES:
        if f"{prefix}{UNET}" in tensors and f"{prefix}downs.0.0.block1.proj.weight" in tensors:
            return prefix
    paired = "gan."
    blocks = any(name.startswith(f"{paired}model.") and ".conv_block." in name for name in tensors)
    return paired if f"{paired}{PIX2PIX}" in tensors or (f"{paired}{RESNET}" in tensors and blocks) else ""


def _network(state: Mapping[str, Tensor], prefix: str, said: Told, fold: int, name: str) -> tuple[str, Settings]:
    try:
        if PIX2PIX in state:
            return "pix2pix-unet", _pix2pix(state, said)
        if RESNET in state:
            return "resnet-generator", _resnet(state, said)
        _refuse_steered(state, name)
        return _generator(state) if prefix == "gan." else _diffusion(state, fold or said.fold, name)
    except (LookupError, ValueError) as error:
        reason = f"{name} lacks {error}"
        raise ModelError("A checkpoint holds enough tensors to tell its shape", reason, "Choose a whole checkpoint") from error
    except SettingsError as error:
        raise ModelError("A checkpoint's tensors have the shapes of its network", f"{name}: {error}") from error


def _pix2pix(state: Mapping[str, Tensor], said: Told) -> Pix2PixUNetSettings:
    width, channels = state["downs.0.conv_block.0.weight"].shape[:2]
    levels = _count(state, "downs.{}.conv_block.0.weight")
    return Pix2PixUNetSettings(channels, width, levels, said.dropout)


def _resnet(state: Mapping[str, Tensor], said: Told) -> ResnetGeneratorSettings:
    width, channels = state[RESNET].shape[:2]
    blocks = sorted(int(name.split(".")[1]) for name in state if name.endswith("conv_block.1.weight"))
    # padding, convolution, normalisation and activation come first, then three modules for each halving
    return ResnetGeneratorSettings(channels, width, (blocks[0] - 4) // 3, len(blocks), said.dropout)


def _generator(state: Mapping[str, Tensor]) -> tuple[str, Settings]:
    width, channels = state[UNET].shape[:2]
    return "sa-unet-generator", SaUNetGeneratorSettings(channels, width, _multipliers(state))


def _diffusion(state: Mapping[str, Tensor], fold: int, name: str) -> tuple[str, Settings]:
    """A U-Net with a time: of two or three dimensions, or the 3D generator, told by how many channels go in and out."""
    width, inputs = state[UNET].shape[:2]
    area, outputs = fold**2, len(state["final_conv.weight"])
    beside, volumes = inputs / area - 1, state[UNET].ndim == 5
    learns = outputs == 2 * area
    common: dict[str, Any] = {"width": width, "multipliers": _multipliers(state), "learns_variance": learns}
    if outputs not in (area, 2 * area):
        raise ModelError("The network predicts one image channel", f"{name} predicts {outputs / area:g}")
    if volumes and not learns and beside in (0, RAMPS):
        return "unet-3d", UNet3dSettings(source_channels=0, position=beside > 0, timed=False, **common)
    if beside not in (INPUTS if volumes else (1,)):
        raise ModelError(
            "The network looks at the noisy image and one source image, in three dimensions with or without position ramps",
            f"{name} looks at {beside:g} channels beside the noisy image",
            "A model with several conditions, or with none, cannot be used here",
        )
    source, position = INPUTS[int(beside)]
    if volumes and not any(key.startswith("mid_attn.") for key in state):
        return "unet-3d", UNet3dSettings(source_channels=source, position=position, **common)
    return "sa-unet", SaUNetSettings(source_channels=source, position=position, patch=fold, dimensions=2 + volumes, **common)


def _refuse_steered(state: Mapping[str, Tensor], name: str) -> None:
    """Refuse networks that are steered by a label or a vector, which nothing here can give them."""
    if "label_emb.weight" in state:
        raise ModelError("A network is steered by the source alone", f"{name} wants a class label")
    if state["downs.0.0.mlp.1.weight"].shape[1] != state["time_mlp.3.weight"].shape[0]:
        raise ModelError("A network is steered by the source alone", f"{name} wants an embedding vector")


def _multipliers(state: Mapping[str, Tensor]) -> tuple[float, ...]:
    width = len(state[UNET])
    widths = [len(state[f"downs.{level}.0.block1.proj.weight"]) for level in range(_count(state, "downs.{}.0.block1.proj.weight"))]
    found = [one / width for one in widths]
    return tuple(ratio if int(width * ratio) == one else math.nextafter(ratio, math.inf) for ratio, one in zip(found, widths, strict=True))


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return next(number for number in range(len(state) + 1) if pattern.format(number) not in state)


def _schedule(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Schedule and steps from the betas a checkpoint of two dimensions holds.

    Raises
    ------
    ModelError
        They are those of no known schedule.
    """
    if BETAS not in tensors:
        return {}
    betas = tensors[BETAS].double().numpy()
    for name in SCHEDULES:
        try:
            path = schedule(name, len(betas))
        except SettingsError:
            continue
        kept = np.cumprod(1 - betas)
        if np.allclose(path.a**2, kept, rtol=0, atol=1e-5):
            return {"schedule": name, "timesteps": len(betas)}
    raise ModelError(
        f"A schedule is one of {', '.join(SCHEDULES)}", f"{BETAS} holds {len(betas)} values from {betas[0]:g} to {betas[-1]:g}"
    )


SCHEDULES = {"cosine": "cosine-beta", "linear": "linear-beta"}


def schedule_settings(name: str, steps: int) -> Settings:
    """Settings of the path a schedule's name stands for.

    Raises
    ------
    SettingsError
        The path cannot have so few steps.
    """
    cls: Any = PATHS[SCHEDULES[name]].settings
    made: Settings = cls.scaled(steps) if name == "linear" else cls(steps=steps)
    return made


def schedule(name: str, steps: int) -> Any:
    """Path a schedule's name stands for."""
    return PATHS[SCHEDULES[name]].load()(schedule_settings(name, steps))
