"""What ``predict.py`` shows while it works: a bar on a terminal, a line an image in a log file."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from octosr.prediction.enlarge import Outcome
from octosr.prediction.inputs import Job
from octosr.runs.console import console

log = logging.getLogger(__name__)


class Meter:
    """Counts images and megapixels of results; see :class:`octosr.prediction.flow.Watcher`.

    The bar shows what has gone through the network, or is written.

    Args:
        total: images to be made.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.failed = 0
        self.megapixels = 0.0
        self._begun = 0
        self._shown = 0.0
        self._start = self._ended = time.monotonic()
        self._live = console.is_terminal and total > 0
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not self._live)
        self._task = self._bar.add_task("", total=max(total, 1), speed="")

    def __enter__(self) -> Meter:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away."""
        self._bar.stop()

    def begin(self, jobs: Sequence[Job]) -> None:
        """Images are begun, together."""
        first = self._begun + 1
        self._begun += len(jobs)
        place = f"{first}-{self._begun}" if len(jobs) > 1 else str(first)
        name = jobs[0].source.name[-40:]
        self._bar.update(self._task, description=f"{place}/{self.total} {name}".replace("[", "\\["))

    def advance(self, done: int, total: int) -> None:
        """A part of the last one is done, of so many LR pixels."""
        self._show(self._begun - 1 + done / max(total, 1))

    def end(self, job: Job, made: Outcome) -> None:
        """It is written."""
        size = made.height * made.width / 1e6
        self.done += 1
        self.megapixels += size
        before, self._ended = self._ended, time.monotonic()
        self._bar.update(self._task, speed=self._speed())
        self._show(self.done + self.failed)
        for note in made.notes:
            log.info("%s: %s", job.source, note)
        if not self._live:
            place = f"{self.done + self.failed}/{self.total}"
            log.info("%s  %s  %dx%d  %.1f s", place, job.target, made.width, made.height, self._ended - before)

    def fail(self) -> None:
        """It is not: the reason comes at the end, with all others."""
        self.failed += 1
        self._ended = time.monotonic()
        self._show(self.done + self.failed)

    def _show(self, completed: float) -> None:
        self._shown = max(self._shown, completed)
        self._bar.update(self._task, completed=self._shown)

    def summary(self, output: Path, there: int) -> str:
        """One line for the end of the run."""
        parts = [f"{self.done} image{'s' if self.done != 1 else ''} written to {output}"]
        if self.done:
            seconds = time.monotonic() - self._start
            parts[0] += f" ({self.megapixels:.1f} megapixels in {seconds:.1f} s: {self._speed()})"
        if there:
            parts.append(f"{there} there already")
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    def _speed(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{self.done / seconds:.3g} images/s, {self.megapixels / seconds:.3g} megapixels/s"
