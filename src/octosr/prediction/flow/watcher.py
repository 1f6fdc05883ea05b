"""Who is told how far the work is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from octosr.prediction.enlarge import Outcome
from octosr.prediction.inputs import Job


class Watcher(Protocol):
    """Is called from two threads: one begins images, another ends them; both do so in the order of the images."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """These images are begun, together."""

    def advance(self, done: int, total: int) -> None:
        """A part of the last one is enlarged: so many of its LR pixels."""

    def end(self, job: Job, made: Outcome) -> None:
        """An image is written and has its name."""

    def fail(self) -> None:
        """An image is given up."""
