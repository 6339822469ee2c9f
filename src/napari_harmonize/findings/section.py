"""What a section of the findings is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_harmonize.findings.claims import Claim
    from napari_harmonize.findings.ways import Way


@dataclass(frozen=True)
class Section:
    """One section: a paper's tables, measured again.

    Parameters
    ----------
    title : str
        Heading.
    about : str
        What is compared, and what stands for what the paper had.
    paper : str
        Which paper and tables.
    tasks : tuple of str
        Keys of ``subjects.TASKS``.
    columns : tuple of str
        Numbers, by name.
    ways : callable
        ``ways(task, full)`` gives the rows.
    claims : callable
        ``claims(task, full)`` gives the findings of the paper.
    whole : bool
        Whether whole volumes are needed even in the standard form.
    costs : bool
        Whether parameters, operations and throughput of the models are told.
    differs : tuple of str
        How what is measured here differs from what the paper measured, one sentence or two each: why a finding may not come out.
    """

    title: str
    about: str
    paper: str
    tasks: tuple[str, ...]
    columns: tuple[str, ...]
    ways: Callable[[str, bool], tuple[Way, ...]]
    claims: Callable[[str, bool], tuple[Claim, ...]]
    whole: bool = False
    costs: bool = False
    differs: tuple[str, ...] = ()
