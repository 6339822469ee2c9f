"""What the tables of this folder say about each thing, without loading torch.

Symbols: :class:`PathRow`, :class:`ObjectiveRow`, :class:`SpacingRow`, :class:`SamplerRow`, :func:`evaluations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.diffusion.path import Grid, Path
    from napari_harmonize.settings import Settings


def _load(name: str) -> Any:
    """Find ``module:name`` in this folder."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"napari_harmonize.diffusion.{module}"), attribute)


def evaluations(steps: int, passes: int = 1, corrections: int = 0, *, guided: bool = False, whole: bool = False) -> int:
    """Network evaluations of every stack that a walk takes.

    Parameters
    ----------
    steps : int
        Times in the grid.
    passes : int
        Evaluations of a whole step.
    corrections : int
        Corrections after each step but the last, one evaluation each.
    guided : bool
        Whether each evaluation but those of corrections is made twice.
    whole : bool
        Whether the last step is a whole one; a step to the clean image itself takes one evaluation.
    """
    asked = passes * (steps - 1) + (passes if whole else 1)
    return asked * (2 if guided else 1) + corrections * (steps - 1)


@dataclass(frozen=True)
class PathRow:
    """One kind of path.

    Parameters
    ----------
    help : str
        One sentence.
    kind : str
        "bridge", "diffusion" or "direct".
    settings : type
        Its settings class.
    where : str
        ``module:function`` in this folder.
    indexed : bool
        Whether its times are indices.
    """

    help: str
    kind: str
    settings: type[Settings]
    where: str
    indexed: bool = True

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
class SpacingRow:
    """One way to list the times a sampler visits.

    Parameters
    ----------
    help : str
        One sentence.
    paths : tuple of str
        Kinds of path it suits.
    where : str
        ``module:function`` in this folder.
    indexed : bool
        Whether it needs a path whose times are indices.
    """

    help: str
    paths: tuple[str, ...]
    where: str
    indexed: bool = True

    def refusal(self, kind: str, *, indexed: bool = True) -> str:
        """Say in one sentence why a kind of path does not suit; empty where it does.

        Parameters
        ----------
        kind : str
            Kind of the model's path.
        indexed : bool
            Whether the times of that path are indices.
        """
        if kind not in self.paths:
            return f"This time list is for a {' or '.join(self.paths)} path; the model has a {kind} path."
        return "This time list counts indices; the model's time is continuous." if self.indexed and not indexed else ""

    def load(self) -> Callable[[Any, int], tuple[float, ...]]:
        """Give the function from a path and a number of steps to falling times."""
        function: Callable[[Any, int], tuple[float, ...]] = _load(self.where)
        return function


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
        ``module:name`` in this folder.
    random_start : bool
        Whether the walk begins in noise, so that a seed matters whatever eta is.
    takes_eta : bool
        Whether the share of fresh noise can be chosen; otherwise eta has no effect.
    passes : int
        Network evaluations of a whole step.
    learned_variance : bool
        Whether the network must predict its variance too.
    spacing : str
        Time list where nothing is said, if it suits the path; otherwise "usual".
    order : int
        Power of the step length with which the error of a walk without fresh noise falls; 0 promises none.
    """

    help: str
    paths: tuple[str, ...]
    limits: tuple[int, int]
    default_steps: int
    where: str
    random_start: bool = False
    takes_eta: bool = False
    passes: int = 1
    learned_variance: bool = False
    spacing: str = "usual"
    order: int = 1

    def grid(self, path: Path, steps: int, spacing: str = "") -> Grid:
        """Times this sampler visits on a path: by its own time list where none is named."""
        own = self.spacing if path.suits(self.spacing) else "usual"
        return path.grid(steps, spacing or own)

    def evaluations(self, steps: int, corrections: int = 0, guided: bool = False, *, whole: bool = False) -> int:
        """Network evaluations of every stack; see :func:`evaluations`, and :meth:`cost` for the number a given path takes."""
        return evaluations(steps, self.passes, corrections, guided=guided, whole=whole)

    def cost(self, path: Path, steps: int, corrections: int = 0, guided: bool = False, *, spacing: str = "") -> int:
        """Network evaluations of every stack on a path, exactly: with the times really visited and the end really walked to."""
        times, end = self.grid(path, steps, spacing)
        return self.evaluations(len(times), corrections, guided, whole=end.s > 0)

    def seed_matters(self, eta: float) -> bool:
        """Whether another seed gives another result."""
        return self.random_start or (self.takes_eta and eta > 0)

    def refusal(self, kind: str, steps: int, *, learns_variance: bool = True) -> str:
        """Say in one sentence why a model or a number of steps does not suit; empty where both do.

        Parameters
        ----------
        kind : str
            Kind of the model's path.
        steps : int
            Number of steps asked for.
        learns_variance : bool
            Whether the model's network predicts its variance too.
        """
        low, high = self.limits
        if kind not in self.paths:
            return f"This sampler walks a {' or '.join(self.paths)} path; the model has a {kind} path."
        if self.learned_variance and not learns_variance:
            return "This sampler needs a network that predicts its variance too; this model's does not."
        if low == high != steps:
            return f"This sampler takes {low} step{'s' if low > 1 else ''}; {steps} were asked for."
        return "" if low <= steps <= high else f"This sampler takes {low} to {high} steps; {steps} were asked for."

    def load(self) -> Callable[..., Any]:
        """Give the sampler, called as :class:`napari_harmonize.diffusion.sampling.Sampler` says."""
        function: Callable[..., Any] = _load(self.where)
        return function
