"""The two checkpoints of a cell, to go on from and the best so far, and the card that says what they were made of."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, ModelCheckpoint
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from octosr.callbacks.atomic_io import require_plain
from octosr.callbacks.checkpoint_files import keep_previous
from octosr.callbacks.length import KimgInterval, kimg_of
from octosr.callbacks.stopping import validation_cut_short

log = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Keeps the latest state of training in one file, from which a run goes on exactly.

    Written every ``every_n_steps`` optimiser steps (``every_kimg`` thousand images where a technique is measured in
    those), after each validation (but not right before one: a run killed within it would go on without its result), at
    the end of each epoch, and after the last step whatever ended the run (``max_steps``, its length in kimg, a time
    limit, a signal). Not written when an exception ends it: the weights may then be half-updated or not finite, and the
    last good state is kept. The state before the last one stays too, as ``previous.ckpt``, for the day that the last
    one is found damaged.

    Lightning's ``ModelCheckpoint`` cannot replace this: its ``last.ckpt`` misses a validation's results when it was
    written just before it, and it wants helper attributes on modules with manual optimisation.

    Args:
        dirpath: folder of the checkpoints.
        every_n_steps: optimiser steps between two writes.
        filename: name without ``.ckpt``.
        every_kimg: thousands of images between two writes, for the generative techniques; ends of epochs, an
            arbitrary unit, are no reason to write then.
    """

    def __init__(
        self, dirpath: str | Path, every_n_steps: int = 500, filename: str = "last", every_kimg: float = 10.0
    ) -> None:
        self.path = Path(dirpath) / f"{filename}.ckpt"
        self.every_n_steps = every_n_steps
        self._interval = KimgInterval(every_kimg)
        self._saved_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from the step that training goes on from."""
        self._saved_step = trainer.global_step
        self._interval.start(kimg_of(pl_module) or 0.0)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        """Write when ``every_n_steps`` or ``every_kimg`` have passed, and after the last step."""
        step, kimg = trainer.global_step, kimg_of(pl_module)
        if kimg is not None:
            due = self._interval.due(kimg)
        else:
            # A division and not a remainder: with manual optimisation one batch can be two or more steps.
            due = self.every_n_steps > 0 and step // self.every_n_steps > self._saved_step // self.every_n_steps
        final = trainer.should_stop or 0 < trainer.max_steps <= step
        if (due or final) and step != self._saved_step and not _validation_follows(trainer):
            self.save(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write again, though the step may be saved already: the best score is part of the state."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self.save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write unless this step is saved."""
        if trainer.global_step != self._saved_step and kimg_of(pl_module) is None:
            self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Write the state now; to be called on all processes, between two steps."""
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            if trainer.is_global_zero:
                keep_previous(self.path)
            trainer.save_checkpoint(self.path)
            self._saved_step = trainer.global_step


def _validation_follows(trainer: pl.Trainer) -> bool:
    """Whether Lightning validates after the step at hand; it has no public way to ask."""
    loop = trainer.fit_loop
    fetcher = loop._data_fetcher
    return fetcher is not None and loop.epoch_loop._should_check_val_fx(fetcher)


class BestCheckpoint(ModelCheckpoint):
    """Keeps the state with the best validation metric in one file.

    Args:
        dirpath: folder of the checkpoints.
        monitor: the logged metric.
        mode: ``max`` or ``min``.
        filename: name without ``.ckpt``.
    """

    def __init__(
        self,
        dirpath: str | Path,
        monitor: str = "val/psnr",
        mode: Literal["min", "max"] = "max",
        filename: str = "best",
    ) -> None:
        super().__init__(
            dirpath=dirpath,
            filename=filename,
            monitor=monitor,
            mode=mode,
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

    @property
    def path(self) -> Path:
        """The checkpoint file."""
        return Path(self.format_checkpoint_name({}))

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """As Lightning's, without its warning that the folder holds files: they are there to be gone on from."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
            super().setup(trainer, pl_module, stage)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare, unless the validation saw only a part of the images or its metric is not finite."""
        score = trainer.callback_metrics.get(str(self.monitor))
        if validation_cut_short(trainer):
            return
        if score is not None and not torch.isfinite(score).all():
            log.warning(
                "%s is %s at step %d: not a candidate for %s.",
                self.monitor,
                score.item(),
                trainer.global_step,
                self.path,
            )
            return
        super().on_validation_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The best score alone; the file is always ``path``, wherever the outputs have been moved."""
        return {"score": None if self.best_model_score is None else float(self.best_model_score)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best score, if the file that has it is still there."""
        if state_dict["score"] is None or not self.path.is_file():
            return
        score: Tensor = torch.tensor(state_dict["score"], dtype=torch.float32)
        self.best_model_score = self.kth_value = score
        self.best_model_path = self.kth_best_model_path = str(self.path)
        self.best_k_models = {str(self.path): score}


class RunCard(Callback):
    """Puts a plain description of the run into every checkpoint, under ``checkpoint["octosr"]``.

    Args:
        card: what the weights were made with: the technique's arguments, dataset, kind of data, versions, seed.

    Raises:
        TypeError: the card holds something that is not a plain value; the message says where.
    """

    def __init__(self, card: Mapping[str, Any]) -> None:
        self.card = dict(card)
        require_plain(self.card, "card")

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the card."""
        checkpoint["octosr"] = self.card
