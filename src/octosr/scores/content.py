"""What a cell of the store holds, and what is left of it when its files are damaged."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octosr.errors import OctoSRError
from octosr.scores import sidecar
from octosr.scores.rows import Columns, Rows
from octosr.scores.table import KEYS, from_csv
from octosr.typed import typed


class ScoreStoreError(OctoSRError):
    """A score table cannot be read or written; the message names the file and the remedy."""


@dataclass
class Content:
    """What a cell holds.

    Attributes:
        rows: image -> what is known of it.
        columns: column -> what it is.
        runs: the runs that the numbers come from.
        described: the whole sidecar; empty if there is no table yet.
        unfinished: a writer was killed, or is at work, between replacing the sidecar and moving the table.
    """

    rows: Rows = field(default_factory=dict)
    columns: Columns = field(default_factory=dict)
    runs: sidecar.Runs = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)
    unfinished: bool = False


class DamagedTableError(ScoreStoreError):
    """The files were cut short, edited, or parted.

    Attributes:
        reason: how that shows.
        whole: the rows that are certainly as they were written.
    """

    def __init__(self, path: Path, reason: str, whole: Content | None = None) -> None:
        super().__init__(
            f"{reason}. Scoring again ({typed('eval')}, metrics.only=true for the saved images) sets the damaged files "
            f"aside and scores what is lost; or put {path.name} and {path.stem}.json back as they were."
        )
        self.reason = reason
        self.whole = whole if whole is not None else Content()


def whole_rows(table: bytes, described: dict[str, Any]) -> Content:
    """What can be trusted of a damaged table: the lines whose digests the whole sidecar holds."""
    if described["schema"] == 1:
        return Content()
    columns = sidecar.columns_of(described)
    places = {digest: place for place, digest in enumerate(described["lines"].split()[1:])}
    found = {places[d]: line for line in table.splitlines(keepends=True) if (d := sidecar.line_digest(line)) in places}
    rows: Rows = {}
    for place in sorted(found):
        row, _ = from_csv(found[place], [*KEYS, *columns])
        sidecar.attach(row, described, [place])
        rows |= row
    return Content(rows, columns, sidecar.runs_of(described), described)


def set_aside(path: Path) -> list[Path]:
    """Rename the files of a damaged cell, so that nothing is lost; returns the new names."""
    number = 1
    files = [file for file in (path, sidecar_file(path)) if file.exists()]
    while any(_aside(file, number).exists() for file in files):
        number += 1
    return [file.replace(_aside(file, number)) for file in files]


def _aside(file: Path, number: int) -> Path:
    return file.with_name(f"{file.name}.damaged-{number}")


def sidecar_file(path: Path) -> Path:
    """The JSON file beside a CSV file."""
    return path.with_suffix(".json")
