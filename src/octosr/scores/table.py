"""A table of scores as CSV text and as a pandas frame, in and out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from octosr.scores.rows import Row, Rows

KEYS = ("image", "sha256")
"""The columns before the metrics."""


def csv_lines(rows: Rows, columns: Sequence[str]) -> list[bytes]:
    """The header and one entry an image, each with its line end; scores in full precision, nothing for no score.

    Names are kept byte for byte, also those that are no valid Unicode (surrogate escapes).
    """
    lines = [",".join(map(_quoted, (*KEYS, *columns)))]
    for image, row in rows.items():
        scores = (repr(row.scores[c]) if c in row.scores else "" for c in columns)
        lines.append(",".join((_quoted(image), _quoted(row.sha256), *scores)))
    return [f"{line}\n".encode("utf-8", errors="surrogateescape") for line in lines]


def to_csv(rows: Rows, columns: Sequence[str]) -> bytes:
    """The whole table, see :func:`csv_lines`."""
    return b"".join(csv_lines(rows, columns))


def from_csv(content: bytes, header: Sequence[str] | None = None) -> tuple[Rows, list[str]]:
    """The rows and column names of a table.

    Args:
        content: what :func:`to_csv` made.
        header: the first line, for content that has none.

    Raises:
        ValueError: not such a table; the message says which line.
    """
    text = content.decode("utf-8", errors="surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = next(reader, []) if header is None else list(header)
        if tuple(names[:2]) != KEYS:
            raise ValueError(f"line 1 should start with {','.join(KEYS)}")
        rows: Rows = {}
        for record in reader:
            if len(record) != len(names):
                raise ValueError(f"line {reader.line_num} has {len(record)} fields instead of {len(names)}")
            scores = {c: float(value) for c, value in zip(names[2:], record[2:], strict=True) if value}
            rows[record[0]] = Row(record[1], {c: v for c, v in scores.items() if not math.isnan(v)})
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
    return rows, names[2:]


def to_frame(rows: Rows, columns: Sequence[str]) -> pd.DataFrame:
    """Columns ``image`` and ``sha256`` (str) and one per metric or detail (float64, NaN where not available)."""
    frame: dict[str, Any] = {
        "image": pd.Series(list(rows), dtype=object),
        "sha256": pd.Series([row.sha256 for row in rows.values()], dtype=object),
    }
    for column in columns:
        frame[column] = pd.Series([row.scores.get(column, math.nan) for row in rows.values()], dtype="float64")
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
    twice = sorted({image for image in images if images.count(image) > 1}) if len(set(images)) < len(images) else []
    if twice or not table.columns.is_unique:
        raise ValueError(f"A table of scores has one row an image and one column a metric; repeated: {twice[:3]}.")
    columns = [str(column) for column in table.columns if column not in KEYS]
    rows: Rows = {image: Row(str(sha256)) for image, sha256 in zip(images, table["sha256"], strict=True)}
    for column in columns:
        for row, value in zip(rows.values(), table[column].astype("float64").tolist(), strict=True):
            if not math.isnan(value):
                row.scores[column] = value
    return rows, columns


def _quoted(text: str) -> str:
    special = any(c in text for c in ',"\r\n') or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if special else text
