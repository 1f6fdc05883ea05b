"""What follows when a signal has ended a training: a word on how to go on, or a place in the cluster's queue again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.environments import SLURMEnvironment

from octosr.callbacks.stopping import SignalStop
from octosr.errors import TrainingError
from octosr.runs.allocation import in_slurm
from octosr.runs.cells import is_main_process
from octosr.runs.processes import command_line

log = logging.getLogger(__name__)


def cluster_plugins() -> list[Any]:
    """Lightning's view of a SLURM job, without its requeueing.

    That one writes a checkpoint of its own inside the signal's handler, between any two instructions, to a folder
    that all cells share.
    """
    return [SLURMEnvironment(auto_requeue=False)] if in_slurm() else []


@contextmanager
def ended_at_once_by_ctrl_c(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Around ``Trainer.fit``: a second Ctrl-C, for which Lightning exits with 1, exits with 130 and says what is kept.

    Raises:
        SystemExit: 130.
    """
    try:
        yield
    except SystemExit as ended:
        if any(isinstance(c, SignalStop) and c.received == signal.SIGINT for c in callbacks):
            log.warning("Ended at once; what was saved before is kept. To go on from there: %s", command_line())
            raise SystemExit(128 + signal.SIGINT) from ended
        raise


def end_after_signal(callbacks: Sequence[Callback]) -> None:
    """Do what is to be done if a signal has ended the training; return if none has."""
    for callback in callbacks:
        if isinstance(callback, SignalStop) and callback.received is not None:
            end_after(callback)


def end_after(stop: SignalStop) -> NoReturn:
    """End the process of a training that a signal has stopped, its state saved.

    A warning that the job's time is nearly over (SIGUSR1, SIGUSR2) puts the job into the queue again: through
    submitit where it has started the job, which counts how often, else by ``scontrol requeue``. SLURM itself does so
    after a pre-emption, which it announces with SIGTERM.

    Raises:
        SystemExit: with 128 + the signal's number.
        TrainingError: the job could not be queued again, or would be without end.
    """
    number = stop.received
    if number is None:
        raise ValueError("no signal was received")
    if number not in (signal.SIGTERM, signal.SIGINT):
        if not stop.progressed:
            raise TrainingError(
                "The job's time was over before its first training step, and would be again: it is not requeued. Give "
                "it more time (hydra.launcher.timeout_min=..., or sbatch --time)."
            )
        if not is_main_process():
            raise SystemExit(0)  # any other code would have srun kill the first process before it has requeued
        log.warning("REQUEUED: job %s goes on from the saved state when it is its turn again.", job_id())
        if stop.handler is not None:
            stop.handler(number, None)  # submitit's: requeues, and ends this process
        else:
            _requeue()
    elif is_main_process() and not in_slurm():
        log.warning("To go on: %s", command_line())
    raise SystemExit(128 + number)


def job_id() -> str:
    """The identifier of the SLURM job at hand, ``ARRAY_TASK`` in an array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")


def _requeue() -> None:
    done = subprocess.run(["scontrol", "requeue", job_id()], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TrainingError(
            f"SLURM does not requeue job {job_id()} ({done.stderr.strip()}). The state is saved: submit the job again. "
            "(`sbatch --requeue` allows it, where the cluster does.)"
        )
