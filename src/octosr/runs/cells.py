"""What became of each cell (technique x dataset) of training and evaluation: one small file a cell.

``OUTPUT_ROOT/sweep/JOB/TECHNIQUE/DATASET.json``. A run that begins writes ``running`` with its process, so that a cell
which is killed is known for what it is: its process is gone. One that ends, well or not, replaces it. Beside it stand
``DATASET.log`` (what a cell of ``multirun.sh`` said) and, while it runs, ``.DATASET.progress`` (see
:mod:`octosr.runs.claim`).
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from octosr.atomic import write_bytes
from octosr.errors import ConfigError
from octosr.runs.liveness import is_alive, this_host

Job = Literal["train", "eval"]
JOBS: tuple[Job, ...] = get_args(Job)
Word = Literal["done", "failed", "running", "pending"]

SILENT_SECONDS = 300.0
"""A cell of another machine that has not been heard of for so long is taken for dead."""


@dataclass(frozen=True)
class CellState:
    """How a run of a cell stands or ended.

    Attributes:
        technique: name of the technique.
        dataset: name of the dataset.
        job: ``train`` or ``eval``.
        state: ``done``, ``failed``, ``running``, or ``pending``: it ended in good order before its work was done.
        reason: why it failed or is pending, as it was said on the screen; empty for ``done``.
        seconds: how long it took.
        started: when it began, in seconds since 1970.
        host: machine that it runs or ran on.
        pid: number of its process.
        pid_start: when that process started, see :func:`octosr.runs.liveness.start_of`.
        slurm: its job in SLURM's queue, if it has one.
        overrides: its settings as they were typed.
        settings: what determines its result, see :mod:`octosr.runs.fingerprint`.
        inputs: digests of what it worked on.
        configs: digest of the config files.
        result: its figures, see :class:`octosr.runs.sweep.CellResult`.
    """

    technique: str
    dataset: str
    job: str
    state: Word
    reason: str
    seconds: float
    started: float = 0.0
    host: str = ""
    pid: int = 0
    pid_start: int | None = None
    slurm: str = ""
    overrides: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    configs: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    def is_running(self, output_root: Path) -> bool:
        """Whether it says so and its process is there; on another machine, whether it was heard of lately."""
        if self.state != "running":
            return False
        if self.host == this_host():
            return is_alive(self.pid, self.pid_start)
        return time.time() - last_heard(output_root, self) < SILENT_SECONDS


def path_of(output_root: Path, job: str, technique: str, dataset: str) -> Path:
    """The file of a cell."""
    return output_root / "sweep" / job / technique / f"{dataset}.json"


def progress_path(output_root: Path, job: str, technique: str, dataset: str) -> Path:
    """The file in which a running cell says how far it is; its age says when it was last heard of."""
    return path_of(output_root, job, technique, dataset).with_name(f".{dataset}.progress")


def log_path(output_root: Path, job: str, technique: str, dataset: str) -> Path:
    """What a cell of ``multirun.sh`` said on the screen that it did not have."""
    return path_of(output_root, job, technique, dataset).with_suffix(".log")


def last_heard(output_root: Path, state: CellState) -> float:
    """When a running cell was last heard of, in seconds since 1970."""
    path = progress_path(output_root, state.job, state.technique, state.dataset)
    try:
        return path.stat().st_mtime
    except OSError:  # it has not written one yet, or has just ended
        return state.started


def write_state(output_root: Path, state: CellState) -> None:
    """Write the file of a cell, whole or not at all."""
    content = json.dumps(asdict(state) | {"seconds": round(state.seconds, 3)}, indent=1, ensure_ascii=False) + "\n"
    write_bytes(path_of(output_root, state.job, state.technique, state.dataset), content.encode("utf-8", "replace"))


def read_state(output_root: Path, job: str, technique: str, dataset: str) -> CellState | None:
    """The state of one cell; None if it was never run.

    Raises:
        ConfigError: the file is damaged; the message names it.
    """
    path = path_of(output_root, job, technique, dataset)
    try:
        return _read(path)
    except FileNotFoundError:
        return None


def read_states(output_root: Path) -> list[CellState]:
    """The states of all cells that were run, sorted by job, technique and dataset.

    Raises:
        ConfigError: a file is damaged; the message names it.
    """
    paths = sorted((output_root / "sweep").glob("*/*/*.json"))
    return [_read(path) for path in paths if not path.name.startswith(".")]


def _read(path: Path) -> CellState:
    try:
        return CellState(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({error}). Remove it; running the cell again writes it anew.") from error


def is_main_process() -> bool:
    """Whether this process is the first of those that work on a cell together; it alone writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
