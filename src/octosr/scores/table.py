"""A table of scores as plain values: CSV text in and out, and how a new table is merged into an old one."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

KEYS = ("image", "sha256")
"""The columns before the metrics."""

Value = str | int | float | bool


@dataclass
class Row:
    """Scores of one image: the hash of its file, and metric -> score; a metric without an entry is not available."""

    sha256: str
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """What a column of scores is.

    Attributes:
        definition: everything that determines the metric's value besides the image.
        higher_is_better: direction; None where it is not known.
    """

    definition: Mapping[str, Value]
    higher_is_better: bool | None = None

    @property
    def id(self) -> str:
        """See :func:`definition_id`."""
        return definition_id(self.definition)


Rows = dict[str, Row]
Columns = dict[str, Column]


def definition_id(definition: Mapping[str, Value]) -> str:
    """Short hash of a metric definition, the same whatever the order of its keys.

    >>> definition_id({"a": 1, "b": "x"}) == definition_id({"b": "x", "a": 1})
    True
    """
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def merge(
    old: tuple[Rows, Columns], new: tuple[Rows, Columns], names: Sequence[str] | None = None
) -> tuple[Rows, Columns]:
    """Merge new scores into old ones, keeping what is still valid.

    - A column whose definition changed loses all its old scores.
    - An image whose sha256 changed loses all its old scores.
    - A new score replaces the old one; where the new table has none, the old one stays.
    - A new column without a single score (the metric could not be computed here) leaves an old one as it was.
    - With ``names``, images not among them are dropped, and the rows come in that order.
    """
    (old_rows, old_columns), (new_rows, new_columns) = old, new
    filled = {metric for row in new_rows.values() for metric in row.scores}
    columns = dict(old_columns)
    for metric, column in new_columns.items():
        if metric in filled or metric not in old_columns:
            columns[metric] = column
    valid = {m for m, column in old_columns.items() if columns[m].id == column.id}
    order = names if names is not None else [*old_rows, *(image for image in new_rows if image not in old_rows)]
    rows: Rows = {}
    for image in order:
        before, after = old_rows.get(image), new_rows.get(image)
        if before is None and after is None:
            continue
        kept = {} if before is None else {m: v for m, v in before.scores.items() if m in valid}
        if after is None:
            assert before is not None
            rows[image] = Row(before.sha256, kept)
        elif before is None or before.sha256 != after.sha256:
            rows[image] = after
        else:
            rows[image] = Row(after.sha256, kept | after.scores)
    return rows, columns


def to_csv(rows: Rows, metrics: Sequence[str]) -> bytes:
    """One line an image; scores in full precision, nothing where a score is not available.

    Names are kept byte for byte, also those that are no valid Unicode (surrogate escapes).
    """
    lines = [",".join(map(_quoted, (*KEYS, *metrics)))]
    for image, row in rows.items():
        scores = (repr(row.scores[m]) if m in row.scores else "" for m in metrics)
        lines.append(",".join((_quoted(image), _quoted(row.sha256), *scores)))
    return ("\n".join(lines) + "\n").encode("utf-8", errors="surrogateescape")


def from_csv(content: bytes) -> tuple[Rows, list[str]]:
    """The rows and metric names of a table.

    Raises:
        ValueError: not such a table; the message says which line.
    """
    text = content.decode("utf-8", errors="surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header[:2]) != KEYS:
            raise ValueError(f"line 1 should start with {','.join(KEYS)}")
        rows: Rows = {}
        for record in reader:
            if len(record) != len(header):
                raise ValueError(f"line {reader.line_num} has {len(record)} fields instead of {len(header)}")
            scores = {m: float(value) for m, value in zip(header[2:], record[2:], strict=True) if value}
            rows[record[0]] = Row(record[1], {m: v for m, v in scores.items() if not math.isnan(v)})
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
    return rows, header[2:]


def to_frame(rows: Rows, metrics: Sequence[str]) -> pd.DataFrame:
    """Columns ``image`` and ``sha256`` (str) and one per metric (float64, NaN where not available)."""
    frame: dict[str, Any] = {
        "image": pd.Series(list(rows), dtype=object),
        "sha256": pd.Series([row.sha256 for row in rows.values()], dtype=object),
    }
    for metric in metrics:
        frame[metric] = pd.Series([row.scores.get(metric, math.nan) for row in rows.values()], dtype="float64")
    return pd.DataFrame(frame)


def from_frame(table: pd.DataFrame) -> tuple[Rows, list[str]]:
    """The inverse of :func:`to_frame`.

    Raises:
        ValueError: ``image`` or ``sha256`` is missing, or an image stands there twice.
    """
    missing = [key for key in KEYS if key not in table.columns]
    if missing:
        raise ValueError(f"A table of scores needs the columns {KEYS}; {missing} are missing.")
    images = [str(image) for image in table["image"]]
    twice = sorted({image for image in images if images.count(image) > 1})
    if twice or not table.columns.is_unique:
        raise ValueError(f"A table of scores has one row an image and one column a metric; repeated: {twice[:3]}.")
    metrics = [str(column) for column in table.columns if column not in KEYS]
    rows: Rows = {image: Row(str(sha256)) for image, sha256 in zip(images, table["sha256"], strict=True)}
    for metric in metrics:
        for row, value in zip(rows.values(), table[metric].astype("float64").tolist(), strict=True):
            if not math.isnan(value):
                row.scores[metric] = value
    return rows, metrics


def _quoted(text: str) -> str:
    special = any(c in text for c in ',"\r\n') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if special else text
