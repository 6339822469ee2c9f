"""How the tensors of a checkpoint fit the network they are meant for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_harmonize.errors import ModelError
from napari_harmonize.translation.without_triton import weightless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Fit:
    """What fits and what does not.

    Parameters
    ----------
    state : mapping of str to Tensor
        Tensors the network has, in its shapes.
    missing, unexpected, mis_shaped : tuple of str
        Tensors that are absent, left over, or of another shape.
    """

    state: Mapping[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mis_shaped: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for every tensor that is left over."""
        return tuple(f"Left out, because the network has no such tensor: {name}." for name in self.unexpected)

    def refuse_gaps(self, name: str) -> None:
        """Refuse a file ``name`` that lacks something.

        Raises
        ------
        ModelError
            Tensors are missing or mis-shaped; all are listed.
        """
        faults = [f"{what}: {', '.join(names)}" for what, names in (("missing", self.missing), ("mis-shaped", self.mis_shaped)) if names]
        if faults:
            raise ModelError(f"{name} holds every tensor of its network", "; ".join(faults), "Choose a whole checkpoint")


def fit(state: Mapping[str, Tensor], build: Callable[[], nn.Module]) -> Fit:
    """Compare tensors with a network that is built without weights.

    Parameters
    ----------
    state : mapping of str to Tensor
        Tensors under the network's names.
    build : callable
        Builds the network.
    """
    with weightless():
        wanted = {name: value.shape for name, value in build().state_dict().items()}
    shaped = {name: shape for name, shape in wanted.items() if name in state}
    return Fit(
        {name: state[name] for name, shape in shaped.items() if state[name].shape == shape},
        tuple(name for name in wanted if name not in state),
        tuple(sorted(set(state) - set(wanted))),
        tuple(
            f"{name} {tuple(state[name].shape)} instead of {tuple(shape)}" for name, shape in shaped.items() if state[name].shape != shape
        ),
    )


@dataclass(frozen=True)
class Shape:
    """What the names of a U-Net's tensors tell, where they are those of guided diffusion.

    Parameters
    ----------
    width : int
        Feature channels a multiplier of 1 stands for.
    inputs, outputs : int
        Channels that go in and come out.
    multipliers : tuple of int
        Width of each level as a multiple.
    blocks : int
        Residual blocks on each level.
    first : tuple of int
        Number of the first input block of each level.
    resampling : bool
        Whether residual blocks double the resolution, instead of convolutions.
    """

    width: int
    inputs: int
    outputs: int
    multipliers: tuple[int, ...]
    blocks: int
    first: tuple[int, ...]
    resampling: bool


def shape_of(state: Mapping[str, Tensor], name: str) -> Shape:
    """Read the shape of a U-Net off its tensors.

    Parameters
    ----------
    state : mapping of str to Tensor
        Tensors under the names of guided diffusion.
    name : str
        Name of the file, for messages.

    Raises
    ------
    ModelError
        They are too few to tell.
    """
    try:
        width, inputs = state["time_embed.0.weight"].shape[1], state["input_blocks.0.0.weight"].shape[1]
        last = {key.split(".")[1] for key in state if key.startswith("output_blocks.")}
        doubling = {(part[1], part[3]) for part in (key.split(".") for key in state) if _doubles(part)}
        levels = len({block for block, _ in doubling}) + 1
        blocks = len(last) // levels - 1
        first = tuple(1 + level * (blocks + 1) for level in range(levels))
        multipliers = tuple(len(state[f"input_blocks.{index}.0.out_layers.3.weight"]) // width for index in first)
        outputs = len(state["out.2.weight"])
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise ModelError(
            "A checkpoint holds enough tensors to tell its shape", f"{name} lacks {error}", "Choose a whole checkpoint"
        ) from error
    return Shape(width, inputs, outputs, multipliers, blocks, first, any(part == "in_layers" for _, part in doubling))


def _doubles(part: list[str]) -> bool:
    """Whether a tensor is of what doubles the resolution: a child of an output block that is not its first, and no attention."""
    return len(part) > 4 and part[0] == "output_blocks" and part[2] != "0" and (part[3] == "conv" or part[3:5] == ["in_layers", "2"])
