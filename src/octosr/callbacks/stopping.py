"""Ending a training run at a safe point: after a whole step, the same on every process, with its state saved."""

from __future__ import annotations

import logging
import os
import signal
import threading
from abc import abstractmethod
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn

from octosr.callbacks.length import position

log = logging.getLogger(__name__)


class SafeStop(Callback):
    """Ends ``Trainer.fit`` in good order when :meth:`wants_stop` says so.

    Asked after every training batch; the processes of a DDP run agree (any of them is enough), so all
    stop after the same step. Asked after every validation batch too: there each process decides for itself,
    because the processes may have different numbers of validation batches and a collective call would
    wait for ever; they agree when validation ends. A validation that was cut short is neither logged
    (its means would be over some of the images) nor used to choose the best checkpoint.

    Stopping does not start another validation, which Lightning would otherwise do.

    Attributes:
        stopped: whether this callback has ended the run.
        validation_cut_short: whether it did so in the middle of a validation.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.validation_cut_short = False
        self._cut_here = False
        self._hidden_loggers: list[Any] | None = None
        self._limit_val_batches: int | float | None = None

    @abstractmethod
    def wants_stop(self, trainer: pl.Trainer) -> bool:
        """Whether this process wants to stop now."""

    @abstractmethod
    def message(self, trainer: pl.Trainer) -> str:
        """One line that says why, for the screen of the first process."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget an earlier run; stop before the first step if there is reason to."""
        self.stopped = self.validation_cut_short = self._cut_here = False
        self._agree(trainer, self.wants_stop(trainer))

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Ask after every step."""
        if not self.stopped:
            self._agree(trainer, self.wants_stop(trainer))

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Leave validation early; the last batch is left to finish it in order."""
        if not _in_fit(trainer) or trainer.fit_loop.epoch_loop.val_loop.batch_progress.is_last_batch:
            return
        if self.wants_stop(trainer):
            self._cut_here = True
            raise StopIteration  # how a Lightning loop is told that there are no more batches

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Agree on what the processes have done, and keep the means of a part from the loggers."""
        if not _in_fit(trainer) or self.stopped:
            return
        self.validation_cut_short = trainer.strategy.reduce_boolean_decision(self._cut_here, all=False)
        if self.validation_cut_short:
            if trainer.loggers:
                self._hidden_loggers, trainer.loggers = list(trainer.loggers), []
            self._stop(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the loggers back, and ask again, before another step is begun."""
        self._restore_loggers(trainer)
        if _in_fit(trainer) and not self.stopped:
            self._agree(trainer, self.wants_stop(trainer))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the trainer as it was."""
        self._restore(trainer)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the trainer as it was."""
        self._restore(trainer)

    def _agree(self, trainer: pl.Trainer, here: bool) -> None:
        if trainer.strategy.reduce_boolean_decision(here, all=False):
            self._stop(trainer)

    def _stop(self, trainer: pl.Trainer) -> None:
        self.stopped = True
        if trainer.is_global_zero:
            log.warning("%s", self.message(trainer))
        trainer.should_stop = True
        # Lightning validates once more after should_stop, and goes on regardless below min_steps or min_epochs.
        if self._limit_val_batches is None:
            self._limit_val_batches = trainer.limit_val_batches
        trainer.limit_val_batches = 0
        trainer.fit_loop.min_epochs = 0
        trainer.fit_loop.epoch_loop.min_steps = None

    def _restore_loggers(self, trainer: pl.Trainer) -> None:
        if self._hidden_loggers is not None:
            trainer.loggers, self._hidden_loggers = self._hidden_loggers, None

    def _restore(self, trainer: pl.Trainer) -> None:
        self._restore_loggers(trainer)
        if self._limit_val_batches is not None:
            trainer.limit_val_batches, self._limit_val_batches = self._limit_val_batches, None


class SignalStop(SafeStop):
    """SIGTERM, Ctrl-C or a cluster's warning end the run after the step at hand, with its state saved.

    A signal can arrive in the middle of an optimiser step, when half of the weights are new; so it is only noted, and
    acted on at the next safe point, by all processes together. A second Ctrl-C ends the process at once; the last
    checkpoint stays as it is.

    SIGUSR1 and SIGUSR2 are what SLURM is asked to send some time before a job's end. They are heeded within a SLURM
    job, and wherever the launcher has a handler for them: its handler would end the process in the middle of a step, so
    it is kept for afterwards (see :mod:`octosr.runs.requeue`).

    Attributes:
        received: the signal, the same on all processes, or None; exit with ``128 + received``, as shells do.
        handler: what the launcher wanted to be called for this signal, if anything.
        progressed: whether a step was made since training began or went on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received: int | None = None
        self.handler: Callable[[int, FrameType | None], Any] | None = None
        self.progressed = False
        self._before: dict[int, Any] = {}

    def wants_stop(self, trainer: pl.Trainer) -> bool:
        """Whether a signal has come to this process."""
        return self.received is not None

    def message(self, trainer: pl.Trainer) -> str:
        """Which signal, and after which step the run ends."""
        name = signal.Signals(self.received).name if self.received is not None else "A signal to another process"
        return f"{name} received: stopping after {position(trainer)}; the state is saved. Start again to go on."

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the signals of an earlier run."""
        self.received = self.handler = None
        self.progressed = False
        super().on_fit_start(trainer, pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over from Lightning, whose own SIGTERM handler makes a collective call inside the handler."""
        if threading.current_thread() is threading.main_thread() and not self._before:
            self._before = {number: signal.getsignal(number) for number in _heeded()}
            for number in self._before:
                signal.signal(number, self._note)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Ask after every step."""
        self.progressed = True
        super().on_train_batch_end(trainer, *args, **kwargs)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C ends the process

    def _stop(self, trainer: pl.Trainer) -> None:
        here = torch.tensor(float(self.received or 0), device=trainer.strategy.root_device)
        self.received = int(trainer.strategy.reduce(here, reduce_op="max"))
        before = self._before.get(self.received)
        self.handler = before if callable(before) and self.received in _WARNINGS else None
        super()._stop(trainer)

    def _restore(self, trainer: pl.Trainer) -> None:
        super()._restore(trainer)
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the signals back before Lightning does the same for the handlers it found."""
        self._restore(trainer)


_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2) if hasattr(signal, "SIGUSR1") else ()
"""Signals that announce the end of a job's time."""


def _heeded() -> list[int]:
    in_slurm = "SLURM_JOB_ID" in os.environ
    warnings = [number for number in _WARNINGS if in_slurm or callable(signal.getsignal(number))]
    return [signal.SIGTERM, signal.SIGINT, *warnings]


def validation_cut_short(trainer: pl.Trainer) -> bool:
    """Whether the validation that just ended was left early, so that its metrics are over a part of the images."""
    return any(isinstance(c, SafeStop) and c.validation_cut_short for c in trainer.callbacks)  # type: ignore[attr-defined]


def _in_fit(trainer: pl.Trainer) -> bool:
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
