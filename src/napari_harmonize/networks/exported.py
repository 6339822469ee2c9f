"""A generator that somebody else's code has exported: a TorchScript program in the place of weights.

The program's bytes are the one tensor of this network, so that its model package holds the same three files as every
other. TorchScript is run by torch's own interpreter and cannot call Python, the file system or the network.
Other export formats are turned into it by the importer.

Symbols: B batch, C slices of a stack, D x H x W spatial sizes.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_harmonize.errors import ModelError
from napari_harmonize.networks.sa_blocks import refuse_sides
from napari_harmonize.settings import Settings, setting

if TYPE_CHECKING:
    from napari_harmonize.condition import Condition

PROGRAM = "program"


@dataclass(frozen=True)
class ExportedGeneratorSettings(Settings):
    """What is known of an exported generator."""

    size: int = setting(1, help="Length of the program.", unit="bytes", low=1)
    channels: int = setting(1, help="Slices of a stack, or 1 where it sees volumes.", low=1, high=65)
    dimensions: int = setting(2, help="Sides of what it sees: 2 for slices, 3 for volumes.", low=2, high=3)
    multiple: int = setting(1, help="Every side must be divisible by it.", low=1, high=1024)
    least: int = setting(1, help="Shortest side.", low=1, high=4096)
    flops: float = setting(0.0, help="Operations for each voxel it translates, multiply and add counted separately.", low=0)
    memory: float = setting(0.0, help="Most memory its intermediate results need for each voxel.", unit="bytes", low=0)

    @classmethod
    def tiny(cls) -> ExportedGeneratorSettings:
        """Give the configuration the tests build; its program comes from them."""
        return cls(multiple=2)


class ExportedGenerator(nn.Module):
    """The generator; see the module's first lines.

    Parameters
    ----------
    settings : ExportedGeneratorSettings
        What is known of it.

    Attributes
    ----------
    program : (size,) uint8 Tensor
        The TorchScript archive.
    declared_cost : (float, float)
        Operations and bytes for each voxel, because those inside a program cannot be counted without running it.
    """

    needs_style, bins, learns_variance, direct = False, 0, False, True
    program: Tensor

    def __init__(self, settings: ExportedGeneratorSettings) -> None:
        super().__init__()
        self.channels, self.dimensions = settings.channels, settings.dimensions
        self.multiple, self.least = settings.multiple, settings.least
        self.declared_cost = (settings.flops, settings.memory)
        self.register_buffer(PROGRAM, torch.zeros(settings.size, dtype=torch.uint8))
        self._run: torch.jit.ScriptModule | None = None

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Translate.

        Parameters
        ----------
        x_t : (B, C, H, W) or (B, 1, D, H, W) float
            The source in the range the program was trained on.
        t, condition
            Not looked at.

        Returns
        -------
        Tensor
            The clean image, same shape.

        Raises
        ------
        VolumeError
            A side is not divisible or too short, or there are other channels.
        ModelError
            The program cannot be run, or answers with another shape.
        """
        refuse_sides(x_t, self.channels, self.multiple, self.least)
        if x_t.is_meta:
            return torch.empty_like(x_t)
        answer: Tensor = self._loaded(x_t.device)(x_t)
        if answer.shape != x_t.shape:
            raise ModelError(
                "An exported generator answers with an image of the source's shape",
                f"{tuple(answer.shape)} arrived for {tuple(x_t.shape)}",
                "Export the generator alone, without heads or a batch loop",
            )
        return answer

    def _loaded(self, device: torch.device) -> torch.jit.ScriptModule:
        if self._run is None:
            self._run = load_program(self.program.cpu().numpy().tobytes(), device)
        return self._run


def load_program(data: bytes, device: torch.device | str = "cpu") -> torch.jit.ScriptModule:
    """Open a TorchScript archive.

    Raises
    ------
    ModelError
        The bytes are none.
    """
    with warnings.catch_warnings():
        # TorchScript is no longer developed, but it is the one format that runs without running Python
        warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated", category=DeprecationWarning)
        try:
            run: torch.jit.ScriptModule = torch.jit.load(io.BytesIO(data), map_location=device)  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ModelError("A program is a TorchScript archive", str(error).splitlines()[0], "Export it with torch.jit.save") from error
    return run.eval()
