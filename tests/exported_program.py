"""A TorchScript generator made on the spot."""

from __future__ import annotations

import io
import warnings

import torch


class Generator(torch.nn.Module):
    """Two convolutions and a hyperbolic tangent."""

    def __init__(self, dimensions: int = 2, channels: int = 1) -> None:
        super().__init__()
        convolution = torch.nn.Conv2d if dimensions == 2 else torch.nn.Conv3d
        torch.manual_seed(3)
        self.wide, self.narrow = convolution(channels, 4, 3, padding=1), convolution(4, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.narrow(torch.relu(self.wide(x))))


def script(module: torch.nn.Module | None = None) -> bytes:
    """TorchScript archive of a generator."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        torch.jit.save(torch.jit.script(module or Generator()), stream)
    return stream.getvalue()
