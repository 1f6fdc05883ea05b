"""How far a cell is, for whoever looks at it from outside: see :func:`octosr.runs.claim.say_progress`."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl

from octosr.callbacks.length import kimg_of
from octosr.runs.claim import say_progress
from octosr.techniques.base import GenerativeTechnique


class CellProgress(pl.Callback):
    """Steps of a training, or thousands of images shown; images of a super-resolution."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        """After each step."""
        kimg = kimg_of(pl_module)
        if kimg is None:
            say_progress(trainer.global_step, trainer.max_steps if trainer.max_steps > 0 else None, "steps")
        elif isinstance(pl_module, GenerativeTechnique):
            total = pl_module.kimg_total
            say_progress(round(kimg, 3), total if math.isfinite(total) else None, "kimg")

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        """After each batch."""
        batch_idx = int(kwargs.get("batch_idx", args[2] if len(args) > 2 else 0))
        total = sum(trainer.num_predict_batches)
        say_progress(batch_idx + 1, total if math.isfinite(total) else None, "batches of images made")
