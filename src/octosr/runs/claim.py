"""A cell is worked on by one run at a time: a lock, a word about who has it, and a sign of life while it lasts."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import threading
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from octosr.errors import ConfigError
from octosr.runs.cells import CellState, Word, path_of, progress_path, read_state, write_state
from octosr.runs.liveness import is_alive, start_of, this_host

BEAT_SECONDS = 2.0
PARENT = "OCTOSR_MATRIX"
"""Environment variable in which ``multirun.sh`` tells its cells its process: they end when it is gone."""

log = logging.getLogger(__name__)


class Claim:
    """The right to work on a cell, held until the process ends, however it does.

    The operating system gives the lock back when a process is killed. Locks do not always reach across machines, so
    a cell that another machine says it is running is left alone while it shows signs of life.

    Args:
        output_root: where the outputs of the run go.
        job: ``train`` or ``eval``.
        technique: name of the technique.
        dataset: name of the dataset.
        about: further fields of the cell's state: overrides, settings, inputs.

    Raises:
        ConfigError: another run has the cell.
    """

    def __init__(self, output_root: Path, job: str, technique: str, dataset: str, **about: Any) -> None:
        self.root = output_root
        place = (job, technique, dataset)
        path = path_of(output_root, *place)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path.with_name(f".{dataset}.lock"), timeout=0)
        before = read_state(output_root, *place)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ConfigError(_taken(place, before)) from error
        requeued = before is not None and before.slurm == os.environ.get("SLURM_JOB_ID", "none")  # on another node
        if before is not None and not requeued and before.host != this_host() and before.is_running(output_root):
            self._lock.release()
            raise ConfigError(_taken(place, before))
        self._clock = time.monotonic()
        pid = os.getpid()
        process: dict[str, Any] = {"host": this_host(), "pid": pid, "pid_start": start_of(pid)}
        process |= {"started": time.time(), "slurm": os.environ.get("SLURM_JOB_ID", "")}
        self.state = CellState(technique, dataset, job, "running", "", 0.0, **process, **about)
        write_state(output_root, self.state)
        self._progress = progress_path(output_root, *place)
        self._stop = threading.Event()
        self._beat()
        self._heart = threading.Thread(target=self._live, name="heartbeat", daemon=True)
        self._heart.start()

    def finish(self, state: Word, reason: str = "", **result: Any) -> None:
        """Write how the cell ended, and give it back."""
        seconds = time.monotonic() - self._clock
        write_state(self.root, replace(self.state, state=state, reason=reason, seconds=seconds, result=result))
        self.release()

    def release(self) -> None:
        """Give the cell back; what is not written stays ``running``, of a process that will be gone."""
        self._stop.set()
        self._heart.join()
        self._progress.unlink(missing_ok=True)
        self._lock.release()

    def _live(self) -> None:
        parent = _parent()
        while not self._stop.wait(BEAT_SECONDS):
            self._beat()
            if parent is not None and not is_alive(*parent):
                parent = None
                log.warning("multirun.sh is gone: this cell ends too")
                os.kill(os.getpid(), signal.SIGTERM)

    def _beat(self) -> None:
        # No flush to the disk, as it is only good for now; and a disk that is full must not end the cell by this.
        temporary = self._progress.with_name(f"{self._progress.name}-{os.getpid()}")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(_now), encoding="utf-8")
            temporary.replace(self._progress)


_now: dict[str, Any] = {}


def say_progress(done: float, total: float | None, what: str) -> None:
    """How far the cell of this process is; written down at the next sign of life.

    Args:
        done: e.g. steps or images.
        total: of how many; None if that is not known.
        what: the unit.
    """
    _now.update(done=done, total=total, what=what)


def read_progress(path: Path) -> str:
    """How far a running cell is, e.g. ``12/100 images``; empty if it has not said."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or not any more
        return ""
    if "done" not in said:
        return ""
    total = f"/{said['total']:g}" if said["total"] is not None else ""
    return f"{said['done']:g}{total} {said['what']}"


def _parent() -> tuple[int, int | None] | None:
    said = os.environ.get(PARENT, "")
    pid, _, start = said.partition(":")
    return (int(pid), int(start) if start else None) if pid else None


def _taken(place: tuple[str, str, str], state: CellState | None) -> str:
    job, technique, dataset = place
    who = "another process"
    if state is not None and state.state == "running":
        since = datetime.fromtimestamp(state.started).strftime("%Y-%m-%d %H:%M:%S")
        who = f"process {state.pid} on {state.host}{f' (SLURM job {state.slurm})' * bool(state.slurm)}, since {since}"
    return (
        f"{technique} on {dataset} is being {'trained' if job == 'train' else 'evaluated'} already, by {who}. "
        "Wait for it or end it; with another output_root=FOLDER a run of the same cell can go beside it."
    )
