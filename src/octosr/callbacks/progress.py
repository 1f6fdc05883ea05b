"""Progress on the screen: a live bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar
from rich.console import Console

from octosr.callbacks.time_limit import format_duration

log = logging.getLogger(__name__)


class LineProgress(ProgressBar):
    """One log line every so many steps, with losses, speed and the time left.

    A bar that redraws itself fills the log of a cluster's job or of CI with control characters.

    Args:
        every_n_steps: steps between two lines.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        super().__init__()
        self.every_n_steps = every_n_steps
        self._enabled = True
        self._start = (0, 0.0)  # step, time

    def disable(self) -> None:
        """Say nothing (Lightning calls this on all processes but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Say it again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the watch."""
        self._start = (trainer.global_step, time.monotonic())

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        """A line every ``every_n_steps`` steps and after the last one."""
        step = trainer.global_step
        if self._enabled and (step % self.every_n_steps == 0 or step == trainer.max_steps):
            log.info("%s", self._line(trainer, pl_module, step))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A line with the validation metrics."""
        if self._enabled and not trainer.sanity_checking:
            values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
            log.info("step %d  validation  %s", trainer.global_step, _numbers(values))

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """A line every tenth of the batches."""
        batch_idx = int(kwargs.get("batch_idx", args[2] if len(args) > 2 else 0))
        total = sum(trainer.num_predict_batches)
        if self._enabled and math.isfinite(total) and (batch_idx + 1) % max(1, math.ceil(total / 10)) == 0:
            log.info("batch %d/%d", batch_idx + 1, total)

    def _line(self, trainer: pl.Trainer, pl_module: pl.LightningModule, step: int) -> str:
        done, seconds = step - self._start[0], time.monotonic() - self._start[1]
        speed = done / seconds if seconds > 0 else 0.0
        total = f"/{trainer.max_steps}" if trainer.max_steps > 0 else ""
        left = f"  {format_duration((trainer.max_steps - step) / speed)} left" if total and speed > 0 else ""
        return f"step {step}{total}  {_numbers(self.get_metrics(trainer, pl_module))}  {speed:.2f} steps/s{left}"


def progress(every_n_steps: int = 100, refresh_rate: int = 1, leave: bool = True) -> ProgressBar:
    """A rich progress bar if the output is a terminal, else :class:`LineProgress`.

    Args:
        every_n_steps: steps between two lines of the latter.
        refresh_rate: batches between two updates of the bar.
        leave: keep the finished bars on the screen.
    """
    if Console().is_terminal:
        return RichProgressBar(refresh_rate=refresh_rate, leave=leave)
    return LineProgress(every_n_steps=every_n_steps)


def _numbers(values: dict[str, Any]) -> str:
    return "  ".join(
        f"{key} {float(value):.4g}" for key, value in values.items() if key != "v_num" and not isinstance(value, str)
    )
