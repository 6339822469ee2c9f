"""Reading a contrast-harmonisation reference set in our own terms."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import torch

from napari_harmonize.networks.guided_unet import GuidedUNet, GuidedUNetSettings


def network_settings(model: dict) -> GuidedUNetSettings:
    """Our settings for upstream's flags and what they lead to."""
    flags, unet = model["flags"], model["unet"]
    noisy = unet["out_channels"] // 2
    return GuidedUNetSettings.for_image_size(
        flags["image_size"],
        tuple(int(part) for part in flags["attention_resolutions"].split(",")),
        **({"multipliers": tuple(unet["channel_mult"])} if flags["channel_mult"] else {}),
        channels=noisy,
        source_channels=unet["in_channels"] - noisy,
        width=flags["num_channels"],
        blocks=flags["num_res_blocks"],
        heads=flags["num_heads"],
        heads_up=max(flags["num_heads_upsample"], 0),
        head_width=max(flags["num_head_channels"], 0),
        attention_order="new" if flags["use_new_attention_order"] else "legacy",
        scale_shift=flags["use_scale_shift_norm"],
        resblock_updown=flags["resblock_updown"],
        classes=2 if flags["class_cond"] else 0,
        dropout=flags["dropout"],
        time_scale=1000 / flags["diffusion_steps"] if flags["rescale_timesteps"] else 1.0,
    )


def by_recipe(keys: list, seed: int, half: bool = False) -> dict[str, torch.Tensor]:
    """Weights by the written recipe; ``keys`` lists [name, shape, sum]."""
    return {name: _drawn(name, shape, seed, half) for name, shape, _ in keys}


def _drawn(name: str, shape: list[int], seed: int, half: bool) -> torch.Tensor:
    z = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32).standard_normal(shape)
    if len(shape) > 1:
        z /= np.sqrt(np.prod(shape[1:]))
    else:
        z = 1 + 0.1 * z if name.endswith("weight") else 0.1 * z
    drawn = torch.from_numpy(z.astype(np.float32))
    return drawn.half().float() if half else drawn


def state_of(reference, name: str) -> dict[str, torch.Tensor]:
    """Float32 weights of one of the set's models: its file, or the recipe where it has none."""
    model = reference.config["models"][name]
    if model["weights_file"]:
        return {key: value.float() for key, value in reference.state(model["weights_file"]).items()}
    return by_recipe(model["state_dict"], reference.config["seed"])


@cache
def loaded(reference, name: str) -> GuidedUNet:
    """Network of one of the set's models with its weights."""
    network = GuidedUNet(network_settings(reference.config["models"][name]))
    network.load_state_dict(state_of(reference, name))
    return network.requires_grad_(False).eval()
