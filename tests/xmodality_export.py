"""Files as the xmodality system exports them, of tiny networks with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file

from napari_harmonize.networks import NETWORKS
from napari_harmonize.translation.importers.xmodality_layout import layout

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("unet", "adm", "uvit", "dit")


def stored(kind: str, settings=None, seed: int = 0) -> dict[str, torch.Tensor]:
    """Tensors under their Flax keys, in the shapes Flax keeps."""
    network = f"xmodality-{kind}"
    wanted = layout(network, settings or NETWORKS[network].settings.tiny())
    generator = torch.Generator().manual_seed(seed)
    return {
        key: 0.1 * torch.randn(leaf.shape, generator=generator) + (1.0 if key.endswith("scale") else 0.0) for key, leaf in wanted.items()
    }


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Write tensors as .safetensors or .npz."""
    if path.suffix == ".npz":
        np.savez(path, **{key: value.numpy() for key, value in tensors.items()})
    else:
        save_file(tensors, path)
    return path
