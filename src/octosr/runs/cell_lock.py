"""A cell is worked on by one run at a time; a second one says who has it, and ends."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from octosr.atomic import write_bytes
from octosr.errors import ConfigError


@contextmanager
def cell_lock(output_root: Path, job: str, technique: str, dataset: str) -> Iterator[None]:
    """Hold the lock of a cell; the system gives it back when the process dies, however it dies.

    Args:
        output_root: where the run writes.
        job: ``train`` or ``eval``.
        technique: name of the technique.
        dataset: name of the dataset.

    Raises:
        ConfigError: another run has it; the message names its process, its machine and since when.
    """
    path = output_root / "sweep" / job / technique / f"{dataset}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".holder")  # beside the lock, which is emptied by whoever tries to take it
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            f"{technique} on {dataset} is being worked on already: another {job}.py has {path} ({_who(holder)}). "
            "Wait for it or end it, or give this run another output_root=FOLDER or technique.name=OTHER."
        ) from error
    try:
        write_bytes(holder, json.dumps(_me()).encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _me() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _who(holder: Path) -> str:
    try:
        found = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {found['process']} on {found['machine']}, since {found['since']}"
    except (OSError, ValueError, KeyError):  # it has begun, or is ending, at this moment
        return "it has just begun"
