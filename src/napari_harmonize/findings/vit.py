"""A vision transformer as a maker of features (Dosovitskiy et al., ICLR 2021), filled from Google's published ``.npz`` files.

As Koch et al. use it: slices in 0..1 as they are, three equal channels, 256 x 256 pixels, the positions of 14 x 14 patches
stretched linearly to the patches at hand; the features are the class token behind the last norm. Symbols: :func:`load_vit`,
:class:`VisionTransformer`. Shapes are (batch, tokens, width).
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from napari_harmonize.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

EPS = 1e-6
SIDE = 256
BATCH = 16
BLOCK = "Transformer/encoderblock_{}/"
NORMS = ("LayerNorm_0", "LayerNorm_2")
IGNORED = ("head/", "pre_logits/")


class VisionTransformer:
    """Class-token features of square pictures.

    Parameters
    ----------
    weights : mapping of str to Tensor
        Arrays under their published names, float32.

    Raises
    ------
    ModelError
        An array is missing or has a shape that does not fit the others.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = {name: value for name, value in weights.items() if not name.startswith(IGNORED)}
        numbers = [int(found[1]) for name in self._weights if (found := re.match(r"Transformer/encoderblock_(\d+)/", name))]
        self.layers = max(numbers, default=-1) + 1
        self._check()

    def features(self, slices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features of slices.

        Parameters
        ----------
        slices : (n, rows, columns) array
            0..1; brought to 256 x 256 by a cubic spline where they are not.

        Returns
        -------
        (n, width) float64
        """
        square = np.stack([_square(picture) for picture in slices]).astype(np.float32)
        with torch.inference_mode():
            parts = [self(torch.from_numpy(square[start : start + BATCH])) for start in range(0, len(square), BATCH)]
        return torch.cat(parts).double().numpy()

    def __call__(self, pictures: Tensor) -> Tensor:
        """Class token behind the last norm, (B, width), of pictures (B, rows, columns) in 0..1."""
        w = self._weights
        kernel = w["embedding/kernel"].permute(3, 2, 0, 1)  # (width, 3, patch, patch)
        patches = F.conv2d(pictures[:, None].expand(-1, 3, -1, -1), kernel, w["embedding/bias"], stride=kernel.shape[-1])
        tokens = patches.flatten(2).mT  # (B, rows * columns, width)
        x = torch.cat([w["cls"].expand(len(tokens), -1, -1), tokens], 1)
        x = x + self.positions((patches.shape[2], patches.shape[3]))
        for number in range(self.layers):
            x = self._block(x, BLOCK.format(number))
        return self._norm(x, "Transformer/encoder_norm")[:, 0]

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embedding stretched to a grid of patches, (1, 1 + rows * columns, width); the class token's is kept."""
        stored = self._weights["Transformer/posembed_input/pos_embedding"]
        side = round((stored.shape[1] - 1) ** 0.5)
        if grid == (side, side):
            return stored
        map_ = stored[0, 1:].reshape(side, side, -1).numpy()
        stretched = ndimage.zoom(map_, (grid[0] / side, grid[1] / side, 1), order=1)
        return torch.cat([stored[:, :1], torch.from_numpy(stretched.reshape(1, grid[0] * grid[1], -1))], 1)

    def _block(self, x: Tensor, name: str) -> Tensor:
        x = x + self._attention(self._norm(x, name + NORMS[0]), name + "MultiHeadDotProductAttention_1/")
        hidden = F.gelu(self._dense(self._norm(x, name + NORMS[1]), name + "MlpBlock_3/Dense_0"), approximate="tanh")
        return x + self._dense(hidden, name + "MlpBlock_3/Dense_1")

    def _attention(self, x: Tensor, name: str) -> Tensor:
        w = self._weights
        asked, keys, values = (
            torch.einsum("btc,chd->bhtd", x, w[f"{name}{part}/kernel"]) + w[f"{name}{part}/bias"][:, None] for part in PARTS
        )
        mixed = F.scaled_dot_product_attention(asked, keys, values)  # (B, heads, tokens, depth)
        return torch.einsum("bhtd,hdc->btc", mixed, w[f"{name}out/kernel"]) + w[f"{name}out/bias"]

    def _dense(self, x: Tensor, name: str) -> Tensor:
        return x @ self._weights[f"{name}/kernel"] + self._weights[f"{name}/bias"]

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self._weights[f"{name}/scale"], self._weights[f"{name}/bias"], EPS)

    def _check(self) -> None:
        """Compare with what the embedding and the first block promise."""
        wanted = _layout(self._weights, self.layers)
        faults = [f"{name} is missing" for name in wanted if name not in self._weights]
        faults += [f"{name} is unexpected" for name in self._weights if name not in wanted]
        faults += [
            f"{name} is {tuple(self._weights[name].shape)} instead of {shape}"
            for name, shape in wanted.items()
            if name in self._weights and tuple(self._weights[name].shape) != shape
        ]
        if faults:
            more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
            raise ModelError(
                "A vision transformer's file holds the published arrays", "; ".join(faults[:5]) + more, "ViT-B_16.npz is meant"
            )


PARTS = ("query", "key", "value")


def _layout(weights: Mapping[str, Tensor], layers: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all arrays of a transformer of these sizes."""
    first = BLOCK.format(0)
    sized = (
        "embedding/kernel",
        "Transformer/posembed_input/pos_embedding",
        f"{first}{ATTENTION}query/kernel",
        f"{first}MlpBlock_3/Dense_0/bias",
    )
    if not layers or any(name not in weights for name in sized):
        return dict.fromkeys(sized, ())
    patch, width = weights[sized[0]].shape[0], weights[sized[0]].shape[3]
    heads, depth, hidden = weights[sized[2]].shape[1], weights[sized[2]].shape[2], weights[sized[3]].shape[0]
    found: dict[str, tuple[int, ...]] = {
        "cls": (1, 1, width),
        "embedding/kernel": (patch, patch, 3, width),
        "embedding/bias": (width,),
        sized[1]: (1, weights[sized[1]].shape[1], width),
        "Transformer/encoder_norm/scale": (width,),
        "Transformer/encoder_norm/bias": (width,),
    }
    for number in range(layers):
        block = BLOCK.format(number)
        found |= {f"{block}{norm}/{leaf}": (width,) for norm in NORMS for leaf in ("scale", "bias")}
        found |= {f"{block}{ATTENTION}{part}/kernel": (width, heads, depth) for part in PARTS}
        found |= {f"{block}{ATTENTION}{part}/bias": (heads, depth) for part in PARTS}
        found |= {f"{block}{ATTENTION}out/kernel": (heads, depth, width), f"{block}{ATTENTION}out/bias": (width,)}
        found |= {f"{block}MlpBlock_3/Dense_0/kernel": (width, hidden), f"{block}MlpBlock_3/Dense_0/bias": (hidden,)}
        found |= {f"{block}MlpBlock_3/Dense_1/kernel": (hidden, width), f"{block}MlpBlock_3/Dense_1/bias": (width,)}
    return found


ATTENTION = "MultiHeadDotProductAttention_1/"


def load_vit(path: str | Path) -> VisionTransformer:
    """Read a published file; nothing in it is run.

    Raises
    ------
    ModelError
        It is no ``.npz`` of such a network.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: torch.from_numpy(np.asarray(found[name], np.float32)) for name in found.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError("Weights of a vision transformer are an .npz file of arrays", f"{path.name}: {error}") from error
    return VisionTransformer(arrays)


def _square(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    if picture.shape == (SIDE, SIDE):
        return picture
    zoomed = ndimage.zoom(picture, (SIDE / picture.shape[0], SIDE / picture.shape[1]), order=3)
    return np.asarray(np.clip(zoomed, 0, 1))
