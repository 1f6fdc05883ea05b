"""The two files of a score table on disk: read, checked against each other, and replaced safely.

A kill at any moment leaves either the old or the new state: the new table is laid beside the old one, the sidecar is
replaced (from this moment the change counts), then the table is moved into place. A reader tells the state in between
by the sha256 of the table that the sidecar holds.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from octosr.scores import sidecar
from octosr.scores.content import Content, DamagedTableError, ScoreStoreError, sidecar_file, whole_rows
from octosr.scores.table import csv_lines, from_csv

_ATTEMPTS, _PAUSE = 10, 0.05  # of a reader that meets a writer


def commit(path: Path, content: Content, head: dict[str, Any]) -> None:
    """Replace both files of a cell, unless nothing changed; call with the cell's lock held.

    Args:
        path: the CSV file.
        content: the whole table.
        head: first entries of the sidecar: technique, dataset and kind.
    """
    lines = csv_lines(content.rows, list(content.columns))
    table, beside = b"".join(lines), sidecar.encode(head, content.rows, content.columns, content.runs, lines)
    if read_bytes(path) == table and read_bytes(sidecar_file(path)) == beside:
        return
    temporary = path.with_name(f".{path.stem}.json.next")
    _write_synced(next_file(path), table)
    _write_synced(temporary, beside)
    temporary.replace(sidecar_file(path))  # from here on the new state counts
    next_file(path).replace(path)
    _sync_folder(path.parent)


def load(path: Path, attempts: int = _ATTEMPTS) -> Content:
    """Read a cell. Needs no lock: a state between two moments of a running writer is read again.

    Args:
        path: the CSV file.
        attempts: how often to look; 1 with the lock held, when no writer can be at work.

    Raises:
        DamagedTableError: the files are damaged or do not belong together.
        ScoreStoreError: a later version of octosr wrote them.
    """
    for attempt in range(attempts):
        beside, table, following = read_bytes(sidecar_file(path)), read_bytes(path), read_bytes(next_file(path))
        if beside is None and table is None:
            return Content()
        if beside is not None:
            described = _parsed(path, beside)
            for content, unfinished in ((table, False), (following, True)):
                if content is not None and hashlib.sha256(content).hexdigest() == described["table_sha256"]:
                    return _whole(path, content, described, unfinished)
        if attempt + 1 < attempts:
            time.sleep(_PAUSE)
    if beside is None:
        raise DamagedTableError(path, f"{path} has no sidecar {sidecar_file(path).name}")
    if table is None:
        raise DamagedTableError(path, f"{path} is missing beside {sidecar_file(path).name}", whole_rows(b"", described))
    raise DamagedTableError(
        path, f"{path} is not the table that was written (cut short or edited)", whole_rows(table, described)
    )


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return sidecar.parse(content)
    except sidecar.NewerSchemaError as error:
        raise ScoreStoreError(
            f"{sidecar_file(path)} cannot be used: {error}. Update octosr, or move the file and {path.name} away "
            "to score again."
        ) from error
    except ValueError as error:
        raise DamagedTableError(path, f"{sidecar_file(path)} is damaged: {error}") from error


def _whole(path: Path, table: bytes, described: dict[str, Any], unfinished: bool) -> Content:
    try:
        rows, names = from_csv(table)
        columns = sidecar.columns_of(described)
        if list(columns) != names:
            raise ValueError(f"its columns {names} are not those of {sidecar_file(path).name}")
        sidecar.attach(rows, described)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedTableError(path, f"{path} is damaged: {error}") from error
    return Content(rows, columns, sidecar.runs_of(described), described, unfinished)


def next_file(path: Path) -> Path:
    """Where a new table lies until it takes the place of the old one."""
    return path.with_name(f".{path.name}.next")


def read_bytes(path: Path) -> bytes | None:
    """The content of a file; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
