"""Low-rank adapters: fine-tuning that changes each weight by a product of two thin matrices only.

W' = W + B A, after Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022, equation 3 (their alpha equal to r).
B begins at zero, so training begins with the model as it is. With few pairs there is little that such a change can learn by heart.

Symbols: r rank; W weight, as a matrix of outputs x everything else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrize

from napari_harmonize.errors import TrainingError
from napari_harmonize.simulate.anatomy import generator

if TYPE_CHECKING:
    from torch import Tensor

PARTS = "parametrizations."
ADAPTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class LowRank(nn.Module):
    """A weight plus the product of two thin matrices.

    Parameters
    ----------
    shape : tuple of int
        Of the weight, outputs first.
    rank : int
        Inner size of the product.
    rng : torch.Generator
        Draws A; B is zero.
    """

    def __init__(self, shape: tuple[int, ...], rank: int, rng: torch.Generator) -> None:
        super().__init__()
        inputs = math.prod(shape[1:])
        self.a = nn.Parameter(torch.randn((rank, inputs), generator=rng) / math.sqrt(inputs))
        self.b = nn.Parameter(torch.zeros((shape[0], rank)))

    def forward(self, weight: Tensor) -> Tensor:
        """Give the changed weight; same shape."""
        changed: Tensor = weight + (self.b @ self.a).reshape(weight.shape)
        return changed


def attach(network: nn.Module, rank: int, seed: int) -> int:
    """Freeze a network and let every convolution and every linear layer change by a matrix of this rank.

    Layers that are hardly larger than their adapter would be stay as they are.

    Parameters
    ----------
    network : nn.Module
        Changed in place; its state has other names until :func:`merged`.
    rank : int
        Largest rank of a change.
    seed : int
        Of the first weights.

    Returns
    -------
    int
        How many numbers are left to train.

    Raises
    ------
    TrainingError
        It has no layer that an adapter of this rank would be smaller than.
    """
    network.requires_grad_(False)
    layers = [layer for layer in network.modules() if isinstance(layer, ADAPTED) and _worth(layer.weight, rank)]
    if not layers:
        raise TrainingError(
            "An adapter is smaller than the layer it adapts", f"rank {rank} is too large for this network", "Choose a smaller rank"
        )
    for number, layer in enumerate(layers):
        parametrize.register_parametrization(layer, "weight", LowRank(tuple(layer.weight.shape), rank, generator(seed, number, 17)))
    return sum(part.numel() for part in network.parameters() if part.requires_grad)


def merged(network: nn.Module) -> dict[str, Tensor]:
    """State of a network with its adapters worked into the weights, under the names it had without them.

    Parameters
    ----------
    network : nn.Module
        With adapters or without; stays as it is.
    """
    adapted = {name: layer for name, layer in network.named_modules() if parametrize.is_parametrized(layer, "weight")}
    state = {name: value for name, value in network.state_dict().items() if PARTS not in name}
    state |= {f"{name}.weight": layer.weight for name, layer in adapted.items()}
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def _worth(weight: Tensor, rank: int) -> bool:
    outputs, inputs = weight.shape[0], math.prod(weight.shape[1:])
    return rank * (outputs + inputs) < outputs * inputs
