"""What follows when a signal has ended a training: a word on how to go on, or a place in the cluster's queue again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from typing import Any, NoReturn

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
