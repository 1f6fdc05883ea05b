"""A loss or a weight that is not finite ends the run, and never reaches a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from octosr.callbacks.checkpoint import LastCheckpoint
from octosr.callbacks.length import position
from octosr.errors import TrainingError

_GUARDED = ("state_dict", "current_model_state", "optimizer_states")  # the second: beside an averaged state_dict


class NanGuard(Callback):
    """Stops training when the loss or the weights are NaN or infinite.

    Each step only compares on the device, without waiting for it; the answer is fetched every
    ``check_every`` steps, before any checkpoint is written, and at the end. Before writing, the
    weights and the optimiser's state are checked as well: a gradient can overflow while its loss is finite.
    With several processes any of them is enough to stop all.

    Args:
        check_every: batches between two looks; at most so many steps are computed in vain.

    Raises:
        TrainingError: from the hooks; it says at which step, and what to try.
    """

    def __init__(self, check_every: int = 50) -> None:
        self.check_every = check_every
        self._step: Tensor | None = None  # of the first loss that is not finite, or -1
        self._value: Tensor | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start with a clean record."""
        self._step = torch.full((), -1, dtype=torch.int64, device=pl_module.device)
        self._value = torch.zeros((), dtype=torch.float32, device=pl_module.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the loss; every ``check_every`` batches look at the record."""
        loss = _loss(outputs)
        if loss is not None and self._step is not None and self._value is not None:
            first_bad = ~torch.isfinite(loss) & (self._step < 0)
            self._step = torch.where(first_bad, trainer.global_step, self._step)
            self._value = torch.where(first_bad, loss.float(), self._value)
        if (trainer.fit_loop.epoch_loop.total_batch_idx + 1) % self.check_every == 0:
            self.check(trainer, pl_module.parameters())

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Look before anything is written; raising here leaves the file of before."""
        if trainer.training or trainer.validating:
            self.check(trainer, _tensors([checkpoint.get(key) for key in _GUARDED]))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look a last time."""
        self.check(trainer, pl_module.parameters())

    def check(self, trainer: pl.Trainer, state: Iterable[Tensor]) -> None:
        """Look at the record and at the tensors given; on all processes at once.

        Raises:
            TrainingError: something is not finite, here or in another process.
        """
        step = -1 if self._step is None else int(self._step)
        fine = step < 0 and _all_finite(state)
        if trainer.strategy.reduce_boolean_decision(fine, all=True):
            return
        if step >= 0 and self._value is not None:
            what = f"The loss became {float(self._value)} at step {step}"
        elif not fine:
            what = f"Weights or optimiser state are not finite any more, noticed at {position(trainer)}"
        else:
            what = f"The loss or the weights of another process are not finite, noticed at {position(trainer)}"
        raise TrainingError(f"{what}. {_last_good(trainer)}\n{_REMEDY}")


_REMEDY = (
    "Try a lower learning rate (technique.lr=...), trainer.gradient_clip_val=1.0, or more precise arithmetic "
    "(trainer.precision=32-true, or bf16-mixed in place of 16-mixed); then start the same command again."
)


def _last_good(trainer: pl.Trainer) -> str:
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, LastCheckpoint) and callback.path.is_file():
            return f"The last good state is kept in {callback.path}."
    return "No checkpoint had been written yet."


def _loss(outputs: Any) -> Tensor | None:
    """The loss that a training step returned, or the sum of all scalars if it returned several losses."""
    if isinstance(outputs, Mapping):
        scalars = [
            v.detach() for v in outputs.values() if isinstance(v, Tensor) and v.dim() == 0 and v.is_floating_point()
        ]
        return torch.stack([v.float() for v in scalars]).sum() if scalars else None
    return outputs.detach() if isinstance(outputs, Tensor) else None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


@torch.no_grad()
def _all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all floating-point tensors are finite; one transfer per device, whatever their number."""
    flags: dict[torch.device, list[Tensor]] = {}
    for tensor in tensors:
        if tensor.is_floating_point():
            flags.setdefault(tensor.device, []).append(torch.isfinite(tensor).all())
    return all(bool(torch.stack(f).all()) for f in flags.values())
