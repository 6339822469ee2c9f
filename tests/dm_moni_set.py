"""Reading a contrast-harmonisation reference set in our own terms."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from napari_harmonize.condition import Condition
from napari_harmonize.diffusion import OBJECTIVES, PATHS, SAMPLERS
from napari_harmonize.diffusion.consistency import Independent
from napari_harmonize.diffusion.path import Grid
from napari_harmonize.diffusion.spacing import sections
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


def path_of(process: dict):
    """Path a process of the set walks on."""
    name, steps = process["noise_schedule"], process["diffusion_steps"]
    row = PATHS[f"{name}-beta"]
    return row.load()(row.settings.scaled(steps) if name == "linear" else row.settings(steps))


def grid_of(process: dict, path) -> Grid:
    """Times a process of the set visits."""
    respacing = process["timestep_respacing"]
    if "," in respacing:
        return Grid(sections(path.T, tuple(int(count) for count in respacing.split(","))))
    if respacing.startswith("ddim"):
        return path.grid(int(respacing.removeprefix("ddim")), "strided")
    return path.grid(int(respacing or path.T), "respaced")


def chains_of(reference) -> list:
    """Every (set, file, chain in it), defects kept for documentation included."""
    return [(reference, file, chain) for file, found in reference.config["chains"].items() for chain in found]


@dataclass
class Chain:
    """One recorded chain: what went in, and what is to come out by the number of the step."""

    reference: object
    file: str
    about: dict

    def __post_init__(self) -> None:
        prefix, arrays = self.about["prefix"], self.reference.tensors(f"{self.file}.npz")
        shared = {name: value for name, value in arrays.items() if name in ("source", "target", "x_init", "noise")}
        self.arrays = shared | {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        self.process, self.clip, self.eta = self.about["process"], self.about["clip_denoised"], self.about["eta"] or 0.0
        self.sampler = "ddpm-learned" if self.about["sampler"] == "ddpm" else "ddim"
        self.path = path_of(self.process)
        self.grid = grid_of(self.process, self.path)
        self.network = loaded(self.reference, self.about["model"])

    @property
    def start(self) -> torch.Tensor:
        return self.arrays["x_init"] if "x_init" in self.arrays else self.arrays["x"][0]

    @property
    def states(self) -> dict[int, torch.Tensor]:
        """Recorded states; 0 is the initial noise."""
        steps, arrays = len(self.grid.times), self.arrays
        found = dict(enumerate(arrays["x"])) if "x" in arrays else {steps: arrays["x_final"]}
        return found | dict(zip(arrays["keep"].tolist(), arrays["x_keep"], strict=True)) if "keep" in arrays else found

    @property
    def clean(self) -> dict[int, torch.Tensor]:
        """Recorded clean images by step."""
        arrays, last = self.arrays, len(self.grid.times) - 1
        if "keep" in arrays:
            return {min(step, last): value for step, value in zip(arrays["keep"].tolist(), arrays["pred_xstart_keep"], strict=True)}
        return dict(enumerate(arrays.get("pred_xstart", ())))

    def state(self, evaluate=None) -> Independent:
        """Slices that walk for themselves."""
        source = self.arrays["source"][:, 0]
        return Independent(source, 0, self.path, OBJECTIVES["noise"].load(), evaluate or self.evaluate, self.clip)

    def evaluate(self, x: torch.Tensor, source: torch.Tensor, t: float):
        """Ask the network once for all slices."""
        with torch.inference_mode():
            yield slice(0, len(x)), self.network(x, torch.full((len(x),), self.path.told(t)), Condition(source))

    def walk(self, start=None, grid: Grid | None = None, noise=None):
        """Run our sampler; returns the states it passed through, the last one included, and the clean images."""
        state, states, clean = self.state(), [], []
        denoise = state.denoise_with_variance if self.sampler == "ddpm-learned" else state.denoise

        def asked(x, t):
            states.append(x)
            return denoise(x, t)

        draws = iter(self.arrays.get("noise", ()))
        run = SAMPLERS[self.sampler].load()(
            asked,
            self.path,
            self.start if start is None else start,
            None,
            grid or self.grid,
            eta=self.eta,
            noise=noise or (lambda x: next(draws)),
            clip=self.clip,
        )
        while True:
            try:
                tick = next(run)
            except StopIteration as stop:
                return [*states, stop.value], clean
            if tick.kind == "step":
                clean.append(tick.x0)
