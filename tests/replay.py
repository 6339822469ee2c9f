"""A sampler fed the answers a published run got, so that only its own arithmetic is compared."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_harmonize.diffusion import OBJECTIVES
from napari_harmonize.diffusion.sampling import Guide


@dataclass
class Replay:
    """What a network said, call by call, in the run that was recorded.

    ``answers`` are read as ``objective`` says; with ``fractions`` they are learned variances too. ``asked`` keeps the states
    and ``heard`` the times of every call.
    """

    path: object
    objective: str
    answers: object
    fractions: object = None
    dropped: object = None
    asked: list = field(default_factory=list)
    heard: list = field(default_factory=list)

    def _clean(self, x, t, answer):
        return OBJECTIVES[self.objective].load().x0(self.path.at(t), answer.to(x), x, None)

    def denoise(self, x, t):
        call = len(self.asked)
        self.asked.append(x.clone())
        self.heard.append(self.path.told(t))
        yield 1, 1
        x0 = self._clean(x, t, self.answers[call])
        return x0 if self.fractions is None else (x0, self.fractions[call].to(x))

    def unconditional(self, x, t):
        yield 1, 1
        return self._clean(x, t, self.dropped[len(self.asked) - 1])

    def guide(self, weight: float) -> Guide | None:
        return Guide(self.unconditional, weight) if weight else None


def in_turn(noises):
    """Recorded draws, handed out one after another."""
    left = iter(noises)
    return lambda x: next(left).to(x)


def finish(run):
    """The result of a run."""
    while True:
        try:
            next(run)
        except StopIteration as stop:
            return stop.value
