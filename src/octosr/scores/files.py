"""The two files of a score table on disk: read, checked against each other, and replaced safely.

A kill at any moment leaves either the old or the new state: the new table is laid beside the old one, the sidecar is
replaced (from this moment the change counts), then the table is moved into place. A reader tells the state in between
by the sha256 of the table that the sidecar holds.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octosr.errors import OctoSRError
from octosr.scores.table import Column, Columns, Rows, from_csv, to_csv

SCHEMA = 1
_ATTEMPTS, _PAUSE = 10, 0.05  # of a reader that meets a writer


class ScoreStoreError(OctoSRError):
    """A score table cannot be read or written; the message names the file and the remedy."""


@dataclass
class Content:
    """What a cell holds.

    Attributes:
        rows: image -> scores.
        columns: metric -> what it is.
        sidecar: the whole sidecar; empty if there is no table yet.
        unfinished: a writer was killed, or is at work, between replacing the sidecar and moving the table.
    """

    rows: Rows = field(default_factory=dict)
    columns: Columns = field(default_factory=dict)
    sidecar: dict[str, Any] = field(default_factory=dict)
    unfinished: bool = False


def commit(path: Path, rows: Rows, columns: Columns, head: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Replace both files of a cell; call with the cell's lock held.

    Args:
        path: the CSV file.
        rows: the whole table.
        columns: what each metric column is.
        head: first entries of the sidecar.
        provenance: plain values about the run.
    """
    content = to_csv(rows, list(columns))
    sidecar = head | {
        "table_sha256": hashlib.sha256(content).hexdigest(),
        "images": len(rows),
        "metrics": {metric: _described(metric, column, rows) for metric, column in columns.items()},
        "provenance": provenance,
    }
    text = json.dumps(sidecar, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.stem}.json.next")
    _write_synced(next_file(path), content)
    _write_synced(temporary, text.encode("utf-8", errors="surrogateescape"))
    temporary.replace(_sidecar(path))  # from here on the new state counts
    next_file(path).replace(path)
    _sync_folder(path.parent)


def _described(metric: str, column: Column, rows: Rows) -> dict[str, Any]:
    values = [row.scores[metric] for row in rows.values() if metric in row.scores]
    mean: float | str | None = None
    if values:
        total = math.fsum(values) if all(map(math.isfinite, values)) else sum(values)
        mean = total / len(values)
        mean = mean if math.isfinite(mean) else repr(mean)  # JSON has no infinity
    return {
        "definition_id": column.id,
        "definition": dict(column.definition),
        "higher_is_better": column.higher_is_better,
        "mean": mean,
        "n": len(values),
    }


def load(path: Path) -> Content:
    """Read a cell; a state between two moments of a running writer is read again. Needs no lock.

    Raises:
        ScoreStoreError: the files are damaged or do not belong together.
    """
    for attempt in range(_ATTEMPTS):
        sidecar, table, following = _bytes(_sidecar(path)), _bytes(path), _bytes(next_file(path))
        if sidecar is None and table is None:
            return Content()
        if sidecar is not None:
            described = _parse_sidecar(_sidecar(path), sidecar)
            for content, unfinished in ((table, False), (following, True)):
                if content is not None and hashlib.sha256(content).hexdigest() == described["table_sha256"]:
                    return _parse(path, content, described, unfinished)
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE)
    what = (
        "is missing" if table is None else "has no sidecar" if sidecar is None else "is not the table that was written"
    )
    raise ScoreStoreError(
        f"{path} {what} (cut short, edited, or copied without its partner {_sidecar(path).name}). "
        "Put both files back as they were, or remove both to score again."
    )


def _parse_sidecar(path: Path, content: bytes) -> dict[str, Any]:
    remedy = f"Remove it together with {path.stem}.csv to score again, or put both back as they were."
    try:
        described = json.loads(content)
        schema = described["schema"]
        if schema != SCHEMA:
            raise ScoreStoreError(f"{path} has schema {schema}, this version of octosr reads schema {SCHEMA}. {remedy}")
        _ = described["table_sha256"], described["metrics"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScoreStoreError(f"{path} is damaged ({type(error).__name__}: {error}). {remedy}") from error
    return dict(described)


def _parse(path: Path, content: bytes, described: dict[str, Any], unfinished: bool) -> Content:
    try:
        rows, metrics = from_csv(content)
        columns = {m: Column(v["definition"], v["higher_is_better"]) for m, v in described["metrics"].items()}
        if list(columns) != metrics:
            raise ValueError(f"its columns {metrics} are not those of {_sidecar(path).name}")
    except (ValueError, KeyError) as error:
        raise ScoreStoreError(
            f"{path} is damaged: {error}. Remove it with {_sidecar(path).name} to score again."
        ) from error
    return Content(rows, columns, described, unfinished)


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def next_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.next")


def _bytes(path: Path) -> bytes | None:
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
