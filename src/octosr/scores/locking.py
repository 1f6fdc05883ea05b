"""What a writer does first: take the cell's lock, and mend what a crash, a full disk or an editor left behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from octosr.scores.content import Content, DamagedTableError, ScoreStoreError, set_aside
from octosr.scores.files import load, next_file

LOCK_SECONDS = 60.0

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a cell.

    Raises:
        ScoreStoreError: another process holds it for a minute.
    """
    lock = FileLock(path.with_name(f".{path.stem}.lock"), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise ScoreStoreError(
            f"{lock.lock_file} has been held by another process for {LOCK_SECONDS:.0f} s, so {path} could not be "
            "written. Wait for that process, or end it, and run again."
        ) from error
    try:
        yield
    finally:
        lock.release()


def load_or_mend(path: Path) -> tuple[Content, list[Path]]:
    """The content of a locked cell, what a killed writer left finished, what is damaged set aside."""
    try:
        content = load(path, attempts=1)
    except DamagedTableError as error:
        aside = set_aside(path)
        log.warning(
            "%s. Set aside as %s; %d rows are whole and kept, the others are scored again.",
            error.reason,
            ", ".join(file.name for file in aside),
            len(error.whole.rows),
        )
        return error.whole, aside
    if content.unfinished:
        next_file(path).replace(path)
    return content, []
