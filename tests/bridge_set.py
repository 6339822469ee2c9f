"""Reading a Brownian-bridge reference set in our own terms."""

from __future__ import annotations

from functools import cache

from napari_harmonize.diffusion import OBJECTIVES, PATHS
from napari_harmonize.networks.bridge_unet import BridgeUNet, BridgeUNetSettings

OURS = {"ysubx": "difference"}


def network_settings(unet: dict) -> BridgeUNetSettings:
    """Our settings for upstream's hyper-parameters."""
    channels = unet["out_channels"]
    multipliers = tuple(unet["channel_mult"])
    widest = multipliers[-1] * unet["model_channels"]
    head_width = unet["num_head_channels"] if unet["num_head_channels"] > 0 else widest // unet["num_heads"]
    rates = tuple(sorted(rate for rate in unet["attention_resolutions"] if rate in {2**level for level in range(len(multipliers))}))
    return BridgeUNetSettings(
        channels,
        unet["in_channels"] - channels,
        unet["model_channels"],
        multipliers,
        unet["num_res_blocks"],
        rates,
        head_width,
        unet["context_dim"] if unet["use_spatial_transformer"] else 0,
    )


def path_of(bridge: dict):
    row = PATHS["bridge"]
    return row.load()(row.settings(bridge["mt_type"], bridge["num_timesteps"], bridge["max_var"]))


def objective_of(bridge: dict):
    return OBJECTIVES[OURS.get(bridge["objective"], bridge["objective"])].load()


@cache
def loaded(reference, which: str = "") -> BridgeUNet:
    """Network of a set ("" or "pure") with its weights."""
    prefix = f"{which}_" if which else ""
    network = BridgeUNet(network_settings(reference.config[f"{prefix}unet"]))
    state = reference.state(f"{prefix}state_dict.safetensors")
    network.load_state_dict({key.removeprefix("denoise_fn."): value for key, value in state.items() if key.startswith("denoise_fn.")})
    return network.requires_grad_(False).eval()


def style_of(keys):
    """Upstream's (B, bins, 3, 1) as ours, (B, 3, bins)."""
    return keys[..., 0].transpose(1, 2).contiguous()
