"""Training in phases, one after the other: how long each is, which one is next, and with which learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """How long each phase is and with which learning rate it begins.

    Attributes:
        phase: what is to be trained: one of them, or ``all`` in order.
        steps: of each phase, by name, in the order of training.
        rates: learning rates of Adam at the start, by name; they fall to a hundredth along a cosine.

    >>> schedule = Schedule("all", {"first": 4, "second": 2}, {"first": 1e-3, "second": 1e-4})
    >>> schedule.wanted, schedule.steps_up_to_end
    (('first', 'second'), 6)
    >>> schedule.next({"first": 4, "second": 1}.__getitem__)
    'second'
    """

    phase: str
    steps: Mapping[str, int]
    rates: Mapping[str, float]

    @property
    def order(self) -> tuple[str, ...]:
        """All phases."""
        return tuple(self.steps)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The phases to train, in order."""
        return self.order if self.phase == "all" else (self.phase,)

    @property
    def steps_up_to_end(self) -> int:
        """Steps of all phases up to the last wanted one."""
        order = self.order
        return sum(self.steps[name] for name in order[: order.index(self.wanted[-1]) + 1])

    def next(self, done: Callable[[str], int]) -> str | None:
        """The first wanted phase that is not finished; None: all are.

        Args:
            done: how many steps of a phase have been taken.
        """
        return next((name for name in self.wanted if done(name) < self.steps[name]), None)

    def rate(self, name: str, done: int) -> float:
        """Learning rate after some steps of a phase."""
        share = min(done / max(self.steps[name], 1), 1)
        return self.rates[name] * (0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2)
