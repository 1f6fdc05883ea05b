"""Two limits on the time of a training run: in total over all resumes, and of the allocation at hand."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl

from octosr.callbacks.length import position
from octosr.callbacks.stopping import SafeStop
from octosr.durations import Duration, format_duration, parse_duration
from octosr.errors import ConfigError


class TimeLimit(SafeStop):
    """Ends training when its time is over and the latest state can still be written.

    Time counts from the start of ``Trainer.fit`` for the total (and goes on, through the checkpoint, over all
    resumes), from the start of the process for the allocation. Everything counts: validation, writing
    checkpoints, waiting for data. Time after the last checkpoint of a run that was killed is not known
    and so not counted.

    Args:
        total: time for training over all resumes; None: no limit. See :func:`parse_duration`.
        allocation: time for this process, e.g. what the cluster's queue gives; None: no limit.
        margin: time left for writing the checkpoint, taken off both. It grows to 1.5 times the longest
            write seen, if that is more.
        clock: seconds on a clock that never goes back.

    Raises:
        ConfigError: not a duration, or a limit that is not longer than the margin.

    Attributes:
        reason: ``"total"`` or ``"allocation"`` when a limit has ended the run, else None.
    """

    def __init__(
        self,
        total: Duration = None,
        allocation: Duration = None,
        margin: Duration = "2m",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.total = parse_duration(total, "time_limit.total")
        self.allocation = parse_duration(allocation, "time_limit.allocation")
        self.margin = parse_duration(margin, "time_limit.margin") or 0.0
        for key, limit in (("total", self.total), ("allocation", self.allocation)):
            if limit is not None and limit <= self.margin:
                raise ConfigError(
                    f"time_limit.{key} ({format_duration(limit)}) leaves no time for training: time_limit.margin takes "
                    f"{format_duration(self.margin)} of it. Set a smaller margin, e.g. time_limit.margin=5s."
                )
        self._clock = clock
        self._process_start = clock() - (_process_age() if clock is time.monotonic else 0.0)
        self._fit_start: float | None = None
        self._before = 0.0
        self._stepped = False
        self._checkpoint_io: Any = None
        self.reason: Literal["total", "allocation"] | None = None

    @property
    def elapsed_total(self) -> float:
        """Seconds of training over all resumes, up to now or to the end of the last fit."""
        return self._before + (self._clock() - self._fit_start if self._fit_start is not None else 0.0)

    @property
    def elapsed_allocation(self) -> float:
        """Seconds since the process started."""
        return self._clock() - self._process_start

    def wants_stop(self, trainer: pl.Trainer) -> bool:
        """Whether one of the limits, less the margin, is reached."""
        margin = max(self.margin, 1.5 * self._longest_write)
        if self.total is not None and self.elapsed_total >= self.total - margin:
            self.reason = "total"
        elif self.allocation is not None and self.elapsed_allocation >= self.allocation - margin:
            self.reason = "allocation"
        return self.reason is not None

    def message(self, trainer: pl.Trainer) -> str:
        """Which limit, how much was used, and what to do."""
        reason = self.reason or ("total" if self.total is not None else "allocation")
        used = self.elapsed_total if reason == "total" else self.elapsed_allocation
        limit = (self.total if reason == "total" else self.allocation) or 0.0
        text = f"Time limit: {format_duration(used)} of time_limit.{reason}={format_duration(limit)} used"
        if self._stepped:
            return f"{text}; stopping after {position(trainer)}, and its state is saved."
        return f"{text} before the first step of this run: nothing was trained. Raise time_limit.{reason} to go on."

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the clock of the total."""
        if stage == "fit":
            self._fit_start, self.reason, self._stepped = self._clock(), None, False
            self._checkpoint_io = trainer.strategy.checkpoint_io

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Ask after every step."""
        self._stepped = True
        super().on_train_batch_end(trainer, *args, **kwargs)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Stop the clock of the total."""
        super().teardown(trainer, pl_module, stage)
        self._before, self._fit_start = self.elapsed_total, None

    @property
    def _longest_write(self) -> float:
        return float(getattr(self._checkpoint_io, "longest_write", 0.0))  # only AtomicCheckpointIO measures it

    def state_dict(self) -> dict[str, Any]:
        """The time used so far; the writing that follows is counted as long as the longest one before."""
        return {"elapsed": self.elapsed_total + self._longest_write}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting where the checkpoint was written."""
        self._before = float(state_dict["elapsed"])


def _process_age() -> float:
    """Seconds since this process started, where the system tells (Linux); imports can take minutes on a cluster."""
    stat = Path("/proc/self/stat")
    if not sys.platform.startswith("linux") or not stat.is_file():
        return 0.0
    ticks = int(stat.read_text().rsplit(")", 1)[1].split()[19])  # field 22, starttime, in ticks since boot
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
