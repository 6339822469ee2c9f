"""Tensors saved by Flax, under our names and in torch's order of axes.

A Flax key is the path of modules joined by "/", numbered per class and parent, and a leaf:

==================================  =====================  =========================
leaf                                stored                 here
==================================  =====================  =========================
kernel of a convolution             (kh, kw, in, out)      weight (out, in, kh, kw)
kernel of a dense layer             (in, out)              weight (out, in) or (out, in, 1, 1)
kernel of query, key, value         (in, heads, d)         weight (heads d, in)
bias of query, key, value           (heads, d)             bias (heads d,)
kernel of an attention's out        (heads, d, out)        weight (out, heads d)
scale of a norm                     (channels,)            weight (channels,)
==================================  =====================  =========================

Symbols: :class:`Leaf`, :func:`layout`, :func:`fit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_harmonize.translation.importers.fit import Fit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

PROJECTIONS = ("query", "key", "value")


@dataclass(frozen=True)
class Leaf:
    """One tensor of a Flax file.

    Parameters
    ----------
    ours : str
        Name in our ``state_dict``.
    shape : tuple of int
        Shape it is stored in.
    into : tuple of int
        Our shape.
    """

    ours: str
    shape: tuple[int, ...]
    into: tuple[int, ...]

    def read(self, stored: Tensor) -> Tensor:
        """Bring a stored tensor into torch's order of axes."""
        if len(self.into) == 1:
            return stored.reshape(self.into)
        if len(self.shape) == 4:
            return stored.permute(3, 2, 0, 1).contiguous()
        matrix = stored.reshape(-1, self.into[0])  # inputs by outputs
        return matrix.T.contiguous().reshape(self.into)

    def store(self, ours: Tensor) -> Tensor:
        """Bring one of our tensors into the order Flax stores; the inverse of :meth:`read`."""
        if len(self.shape) == 4:
            return ours.permute(2, 3, 1, 0).contiguous()
        return ours.reshape(self.into[0], -1).T.contiguous().reshape(self.shape) if len(self.into) > 1 else ours.reshape(self.shape)


def layout(shapes: Mapping[str, tuple[int, ...]], name: Callable[[str], str], heads: Callable[[str], int]) -> dict[str, Leaf]:
    """List the tensors a Flax file of a network holds.

    Parameters
    ----------
    shapes : mapping
        Our tensors and their shapes.
    name : callable
        From the name of one of our modules to its path in Flax.
    heads : callable
        From the path of an attention to its number of heads.

    Returns
    -------
    dict of str to Leaf
        By Flax key.
    """
    found = {}
    for ours, shape in shapes.items():
        module, _, leaf = ours.rpartition(".")
        path = name(module)
        parent, _, last = path.rpartition("/")
        inside = "Attention" in parent.rpartition("/")[2]
        stored = _stored(shape, leaf, last if inside else "", heads(parent) if inside else 0)
        found[f"{path}/{_leaf(leaf, shape)}"] = Leaf(ours, stored, tuple(shape))
    return found


def _leaf(leaf: str, shape: tuple[int, ...]) -> str:
    if leaf == "bias":
        return "bias"
    return "scale" if len(shape) == 1 else "kernel"


def _stored(shape: tuple[int, ...], leaf: str, projection: str, heads: int) -> tuple[int, ...]:
    """Shape of one of our tensors as Flax stores it."""
    if projection in PROJECTIONS:
        cut = (heads, shape[0] // heads)
        return cut if leaf == "bias" else (shape[1], *cut)
    if len(shape) == 1:
        return tuple(shape)
    if projection:
        return heads, shape[1] // heads, shape[0]
    if len(shape) == 4 and shape[2:] != (1, 1):
        return shape[2], shape[3], shape[1], shape[0]
    return shape[1], shape[0]


def fit(stored: Mapping[str, Tensor], wanted: Mapping[str, Leaf]) -> Fit:
    """Bring the tensors of a file under our names, and say which do not fit.

    Parameters
    ----------
    stored : mapping
        The file's tensors, by Flax key.
    wanted : mapping
        What the network holds, as :func:`layout` lists it.

    Returns
    -------
    Fit
        Its state has our names, float32; what is amiss has those of the file.
    """
    fitting = {key: leaf for key, leaf in wanted.items() if key in stored and tuple(stored[key].shape) == leaf.shape}
    return Fit(
        {leaf.ours: leaf.read(stored[key]).float() for key, leaf in fitting.items()},
        tuple(key for key in wanted if key not in stored),
        tuple(sorted(set(stored) - set(wanted))),
        tuple(
            f"{key} {tuple(stored[key].shape)} instead of {leaf.shape}"
            for key, leaf in wanted.items()
            if key in stored and key not in fitting
        ),
    )
