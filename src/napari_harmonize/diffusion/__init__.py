"""The maths: paths, objectives, samplers, slice consistency; tensors in, tensors out.

The tables at the end say what there is without loading torch; ``load()`` gives the thing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_harmonize.diffusion.settings import BridgeSettings, Correction, LinearBetaSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.settings import Settings

__all__ = ["OBJECTIVES", "PATHS", "SAMPLERS", "Correction", "ObjectiveRow", "PathRow", "SamplerRow"]


def _load(name: str) -> Any:
    """Find ``module:name`` in this folder."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


@dataclass(frozen=True)
class PathRow:
    """One kind of path.

    Parameters
    ----------
    help : str
        One sentence.
    kind : str
        "bridge" or "diffusion".
    settings : type
        Its settings class.
    where : str
        ``module:function`` in this folder.
    """

    help: str
    kind: str
    settings: type[Settings]
    where: str

    def load(self) -> Callable[[Any], Any]:
        """Give the function from settings to a :class:`~napari_harmonize.diffusion.path.Path`."""
        function: Callable[[Any], Any] = _load(self.where)
        return function


@dataclass(frozen=True)
class ObjectiveRow:
    """One meaning of a prediction.

    Parameters
    ----------
    help : str
        One sentence.
    paths : tuple of str
        Kinds of path it makes sense on.
    where : str
        ``module:name`` in this folder.
    """

    help: str
    paths: tuple[str, ...]
    where: str

    def load(self) -> Any:
        """Give the :class:`~napari_harmonize.diffusion.objective.Objective`."""
        return _load(self.where)


@dataclass(frozen=True)
class SamplerRow:
    """One sampler.

    Parameters
    ----------
    help : str
        One sentence.
    paths : tuple of str
        Kinds of path it suits.
    limits : tuple of int
        Fewest and most steps.
    default_steps : int
        Steps where nothing is said.
    where : str
        ``module:function`` in this folder.
    random_start : bool
        Whether the walk begins in noise, so that a seed matters whatever eta is.
    """

    help: str
    paths: tuple[str, ...]
    limits: tuple[int, int]
    default_steps: int
    where: str
    random_start: bool = False

    def evaluations(self, steps: int, corrections: int = 0) -> int:
        """Network evaluations of every stack that ``steps`` steps with ``corrections`` after each but the last take."""
        return steps + corrections * (steps - 1)

    def seed_matters(self, eta: float) -> bool:
        """Whether another seed gives another result."""
        return self.random_start or eta > 0

    def refusal(self, kind: str, steps: int) -> str:
        """Say in one sentence why a path or a number of steps does not suit; empty where both do.

        Parameters
        ----------
        kind : str
            Kind of the model's path.
        steps : int
            Number of steps asked for.
        """
        low, high = self.limits
        if kind not in self.paths:
            return f"This sampler walks a {' or '.join(self.paths)} path; the model has a {kind} path."
        return "" if low <= steps <= high else f"This sampler takes {low} to {high} steps; {steps} were asked for."

    def load(self) -> Callable[..., Any]:
        """Give the generator function; its arguments are those of :func:`napari_harmonize.diffusion.sampling.sample`."""
        function: Callable[..., Any] = _load(self.where)
        return function


PATHS: dict[str, PathRow] = {
    "bridge": PathRow("Brownian bridge from the source to the target.", "bridge", BridgeSettings, "path:bridge"),
    "linear-beta": PathRow("Diffusion from noise, linear betas.", "diffusion", LinearBetaSettings, "path:linear_beta"),
}

OBJECTIVES: dict[str, ObjectiveRow] = {
    "grad": ObjectiveRow("Noisy image minus clean image.", ("bridge", "diffusion"), "objective:GRAD"),
    "noise": ObjectiveRow("The noise that was added.", ("bridge", "diffusion"), "objective:NOISE"),
    "difference": ObjectiveRow('Source minus clean image (upstream "ysubx").', ("bridge",), "objective:DIFFERENCE"),
    "clean": ObjectiveRow("The clean image itself.", ("bridge", "diffusion"), "objective:CLEAN"),
}

SAMPLERS: dict[str, SamplerRow] = {
    "bridge": SamplerRow(
        "Bridge with the right spread at every eta; without noise at eta 0.", ("bridge",), (1, 1000), 10, "sampling:sample"
    ),
    "bridge-published": SamplerRow(
        "Bridge exactly as the released code walks it.", ("bridge",), (3, 1000), 50, "sampling:sample_published"
    ),
    "ddim": SamplerRow("DDIM at eta 0, DDPM at eta 1.", ("diffusion",), (1, 1000), 50, "sampling:sample", random_start=True),
}
