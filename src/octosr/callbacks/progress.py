"""Progress on the screen: a live bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar
from rich.console import Console

from octosr.callbacks.length import kimg_of
from octosr.durations import format_duration
from octosr.techniques.base import GenerativeTechnique

log = logging.getLogger(__name__)


class BarProgress(RichProgressBar):
    """Lightning's rich bar, which also says how many thousand images a generative technique has been shown."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What stands beside the bar."""
        metrics = dict(super().get_metrics(trainer, pl_module))
        if isinstance(pl_module, GenerativeTechnique):
            total = "" if math.isinf(pl_module.kimg_total) else f"/{pl_module.kimg_total:g}"
            metrics["kimg"] = f"{pl_module.kimg:.4g}{total}"
        return metrics


class LineProgress(ProgressBar):
    """One log line every so many batches, with losses, speed and the time left.

    A bar that redraws itself fills the log of a cluster's job or of CI with control characters.

    Args:
        every_n_steps: steps between two lines.
    """

    def __init__(self, every_n_steps: int = 100) -> None:
        super().__init__()
        self.every_n_steps = every_n_steps
        self._enabled = True
        self._start = (0.0, 0.0)  # step or kimg, time

    def disable(self) -> None:
        """Say nothing (Lightning calls this on all processes but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Say it again."""
        self._enabled = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the watch."""
        kimg = kimg_of(pl_module)
        self._start = (trainer.global_step if kimg is None else kimg, time.monotonic())

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        """A line every ``every_n_steps`` steps (batches of a generative technique) and after the last one."""
        step = trainer.global_step
        if isinstance(pl_module, GenerativeTechnique):
            batch = trainer.fit_loop.epoch_loop.total_batch_idx + 1
            if self._enabled and (batch % self.every_n_steps == 0 or pl_module.kimg >= pl_module.kimg_total):
                log.info("%s", self._kimg_line(trainer, pl_module))
        elif self._enabled and (step % self.every_n_steps == 0 or step == trainer.max_steps):
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

    def _kimg_line(self, trainer: pl.Trainer, technique: GenerativeTechnique) -> str:
        seconds, total = time.monotonic() - self._start[1], technique.kimg_total
        speed = (technique.kimg - self._start[0]) / seconds if seconds > 0 else 0.0
        known = speed > 0 and math.isfinite(total)
        left = f"  {format_duration(max(total - technique.kimg, 0) / speed)} left" if known else ""
        of = f"/{total:g}" if math.isfinite(total) else ""
        numbers = _numbers(self.get_metrics(trainer, technique))
        return f"kimg {technique.kimg:g}{of}  {numbers}  {1000 * speed:.2f} images/s{left}"


def progress(every_n_steps: int = 100, refresh_rate: int = 1, leave: bool = True) -> ProgressBar:
    """A rich progress bar if the output is a terminal, else :class:`LineProgress`.

    Args:
        every_n_steps: steps between two lines of the latter (batches for the generative techniques).
        refresh_rate: batches between two updates of the bar.
        leave: keep the finished bars on the screen.
    """
    if Console().is_terminal:
        return BarProgress(refresh_rate=refresh_rate, leave=leave)
    return LineProgress(every_n_steps=every_n_steps)


def _numbers(values: dict[str, Any]) -> str:
    return "  ".join(
        f"{key} {float(value):.4g}" for key, value in values.items() if key != "v_num" and not isinstance(value, str)
    )
