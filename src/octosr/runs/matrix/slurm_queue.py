"""Which cells of the matrix wait in SLURM's queue, or run, from an earlier start: they are not submitted again.

Each batch of cells has a file whose name is also the name of its job array; a task's number in the array is the cell's
place in the file. So SLURM itself says what is queued, however the matrix that submitted it has ended.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from octosr.atomic import write_bytes
from octosr.errors import ConfigError
from octosr.runs.matrix.plan import MatrixCell

LAUNCHER = "submitit_slurm"
ASK_AGAIN_SECONDS = 10.0
_NAME = "hydra.launcher.name="


def write_batch(folder: Path, job: str, cells: Sequence[MatrixCell], settings: Sequence[str]) -> tuple[Path, str]:
    """Write the file of a batch.

    Args:
        folder: of the matrix's files for this job.
        job: ``train`` or ``eval``.
        cells: in the order of the array's tasks.
        settings: of the launcher; a name that is given there begins the array's name.

    Returns:
        The file, and the setting that gives the array its name.
    """
    content = json.dumps([list(cell.overrides) for cell in cells], indent=1).encode()
    given = [setting.removeprefix(_NAME) for setting in settings if setting.startswith(_NAME)]
    digest = hashlib.sha256(str(folder.resolve()).encode() + content).hexdigest()[:12]
    file = folder / f"batch-{digest}.json"
    write_bytes(file, content)
    return file, f"{_NAME}{given[-1] if given else f'octosr-{job}'}-{digest}"


class SlurmQueue:
    """The user's jobs in SLURM's queue that are cells of this matrix.

    Args:
        output_root: of the matrix.
    """

    def __init__(self, output_root: Path) -> None:
        self._folder = output_root / "sweep"
        self._asked = -ASK_AGAIN_SECONDS
        self._jobs: dict[tuple[str, tuple[str, ...]], str] = {}

    def job_of(self, cell: MatrixCell) -> str | None:
        """The number of the cell's job as SLURM writes it, e.g. ``4711_3``; None if it has none.

        Raises:
            ConfigError: SLURM does not answer.
        """
        if time.monotonic() - self._asked >= ASK_AGAIN_SECONDS:
            self._jobs = self._look()
            self._asked = time.monotonic()
        return self._jobs.get((cell.job, cell.overrides))

    def _look(self) -> dict[tuple[str, tuple[str, ...]], str]:
        batches = {file.stem.removeprefix("batch-"): file for file in self._folder.glob("*/batch-*.json")}
        if not batches:
            return {}
        jobs = {}
        for line in _squeue():
            name, array, task = line.split("|")
            file = batches.get(name.rpartition("-")[2])
            if file is None:
                continue
            cells = json.loads(file.read_text(encoding="utf-8"))
            number = int(task) if task.isdigit() else 0  # a single cell is no array
            jobs[file.parent.name, tuple(cells[number])] = f"{array}_{task}" if task.isdigit() else array
        return jobs


def _squeue() -> list[str]:
    """Name, number and task of each of the user's jobs."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%j|%F|%K"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"hydra/launcher={LAUNCHER}, but SLURM does not answer: {error}") from error
    if asked.returncode != 0:
        raise ConfigError(f"hydra/launcher={LAUNCHER}, but SLURM does not answer: {asked.stderr.strip()}")
    return asked.stdout.split("\n")[:-1]
