"""What other processes make while a network trains: batches of simulated stacks, and the subjects they are cut from.

A batch depends on the number of its step alone, so it is the same whoever makes it, and comes in its turn.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_harmonize.device import choose_device, computed_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_harmonize.training.loop import TrainingSettings
    from napari_harmonize.training.stream import Sample, Stream

Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""x0, y, mask and share of diseased tissue, (stacks, C, H, W); style and source style, (stacks, 3, bins)."""
WAITING = 4
"""Batches that each process may have made beforehand."""


class Batches(Dataset[Batch]):
    """Batches by the number of their step.

    Parameters
    ----------
    stream : Stream
        Where stacks come from.
    settings : TrainingSettings
        How many.
    """

    def __init__(self, stream: Stream, settings: TrainingSettings) -> None:
        self.stream, self.settings = stream, settings

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, step: int) -> Batch:
        count = self.settings.samples
        samples = [self.stream.sample(index) for index in range(step * count, (step + 1) * count)]
        x0, y, inside, lesion = (torch.cat([getattr(one, name) for one in samples]) for name in ("target", "source", "mask", "lesion"))
        style, source_style = (torch.cat(list(_repeated(samples, name))) for name in ("style", "source_style"))
        return x0.cpu(), y.cpu(), inside.cpu(), lesion.cpu(), style.cpu(), source_style.cpu()  # from where every device fetches them


def _repeated(samples: list[Sample], name: str) -> Iterator[Tensor]:
    for sample in samples:
        yield getattr(sample, name).expand(len(sample.source), -1, -1)


def batches(made: Batches, first: int, workers: int, pinned: bool) -> Iterator[Batch]:
    """Give the batches of the steps from ``first`` on.

    Parameters
    ----------
    made : Batches
        What makes them.
    first : int
        First step.
    workers : int
        Processes that make them; 0 makes each where and when it is asked for.
    pinned : bool
        Whether they are laid where a graphics card fetches them without waiting.
    """
    steps = range(first, len(made))
    if workers == 0:
        yield from (made[step] for step in steps)
        return
    yield from DataLoader(
        made,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=WAITING,
        pin_memory=pinned,
        multiprocessing_context="spawn",
        worker_init_fn=_one_thread,
    )


def _one_thread(number: int = 0) -> None:
    """Compute with one thread: there are as many processes as cores."""
    torch.set_num_threads(1)


@contextlib.contextmanager
def subjects_ahead(stream: Stream, last: int, processes: int) -> Iterator[None]:
    """Make and keep the subjects 1 to ``last`` of a stream in the order in which they are needed, while the block runs.

    Parameters
    ----------
    stream : Stream
        It keeps subjects in a folder.
    last : int
        Number of the last.
    processes : int
        How many make them; none where 0.
    """
    spawn = multiprocessing.get_context("spawn")
    helpers = [spawn.Process(target=_keep, args=(stream, range(1 + at, last + 1, processes)), daemon=True) for at in range(processes)]
    for helper in helpers:
        helper.start()
    try:
        yield
    finally:
        for helper in helpers:
            helper.terminate()
            helper.join()


def _keep(stream: Stream, numbers: range) -> None:
    _one_thread()
    with computed_on(choose_device(stream.settings.device, auto=("cuda",))):
        for number in numbers:
            stream.keep(number)
