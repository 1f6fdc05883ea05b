"""What a score table holds, as plain values: rows, columns, and how new scores are merged into old ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Value = str | int | float | bool

NOT_APPLICABLE = "not applicable"
"""How the reason of a score begins that can never be there, e.g. the LR consistency of an image made from no LR."""


@dataclass
class Row:
    """What is known of one image; all dictionaries but the last are by column.

    Attributes:
        sha256: hash of the image file.
        scores: the scores; a column without an entry is not available.
        runs: number of the run that last looked at this image, also where no score came of it.
        reasons: why there is no score.
        references: ``hr`` or ``lr`` -> hash of the file that the image was compared with.
    """

    sha256: str
    scores: dict[str, float] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """What a column of scores is.

    Attributes:
        definition: everything that determines the values besides the image and what it is compared with.
        higher_is_better: direction; None where it is not known or, in a detail column, makes no sense.
    """

    definition: Mapping[str, Value]
    higher_is_better: bool | None = None

    @property
    def id(self) -> str:
        """See :func:`definition_id`."""
        return definition_id(self.definition)

    @property
    def compares_with(self) -> str:
        """``nothing``, ``hr`` or ``lr``: the kind of file that the images were compared with."""
        return str(self.definition.get("compares_with", "nothing"))


Rows = dict[str, Row]
Columns = dict[str, Column]
Key = tuple[str, str]
"""The sha256 of an image and that of the file it is compared with (empty where there is none)."""


def definition_id(definition: Mapping[str, Value]) -> str:
    """Short hash of a metric definition, the same whatever the order of its keys.

    >>> definition_id({"a": 1, "b": "x"}) == definition_id({"b": "x", "a": 1})
    True
    """
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_detail(column: str) -> bool:
    """Whether a column says more about a score (``niqe:blocks``) instead of being one.

    >>> is_detail("niqe:blocks"), is_detail("niqe")
    (True, False)
    """
    return ":" in column


def metric_of(column: str) -> str:
    """The metric that a column belongs to.

    >>> metric_of("niqe:blocks"), metric_of("niqe")
    ('niqe', 'niqe')
    """
    return column.split(":", 1)[0]


def detail_column(metric: str, detail: str) -> str:
    """Name of the column of a detail."""
    return f"{metric}:{detail}"


def key_of(row: Row, column: Column) -> Key:
    """What determines a score besides the column's definition: two rows of one key have the same score."""
    return row.sha256, row.references.get(column.compares_with, "")


def merge(
    old: tuple[Rows, Columns], new: tuple[Rows, Columns], names: Sequence[str] | None = None
) -> tuple[Rows, Columns]:
    """Merge new scores into old ones, keeping what is still valid.

    - A column whose definition changed loses all its old scores; so does a detail column left over from an older
      definition of its metric.
    - An image whose sha256 changed loses all its old scores, one whose reference changed those that compare with it.
    - A new score, or a new reason for none, replaces the old; where the new table has neither, the old one stays.
    - A new column without a single score (the metric could not be computed here) leaves an old one as it was.
    - A row without a score takes that of an old row of the same image bytes and references: the image was renamed.
    - With ``names``, images not among them are dropped, and the rows come in that order.
    """
    (old_rows, old_columns), (new_rows, new_columns) = old, new
    columns = _merged_columns(old_columns, new_rows, new_columns)
    valid = [name for name, column in columns.items() if name in old_columns and old_columns[name].id == column.id]
    known = {
        name: {key_of(row, columns[name]): row for row in old_rows.values() if was_looked_at(row, name)}
        for name in valid
    }
    order = names if names is not None else [*old_rows, *(image for image in new_rows if image not in old_rows)]
    rows: Rows = {}
    for image in order:
        before, after = old_rows.get(image), new_rows.get(image)
        if before is not None or after is not None:
            rows[image] = _merged_row(before, after, columns, known)
    return rows, columns


def _merged_columns(old: Columns, new_rows: Rows, new: Columns) -> Columns:
    filled = {column for row in new_rows.values() for column in (*row.scores, *row.reasons)}
    columns = dict(old)
    for name, column in new.items():
        if name in filled or metric_of(name) in filled or name not in old:
            columns[name] = column
    return {name: column for name, column in columns.items() if not _left_over(name, columns)}


def _left_over(name: str, columns: Columns) -> bool:
    """Whether a detail column belongs to an older definition of its metric."""
    metric = columns.get(metric_of(name))
    if not is_detail(name) or metric is None:
        return False
    return {k: v for k, v in columns[name].definition.items() if k != "detail"} != dict(metric.definition)


def _merged_row(before: Row | None, after: Row | None, columns: Columns, known: Mapping[str, Mapping[Key, Row]]) -> Row:
    """One row; ``known`` holds the old rows that say something valid, by column and key."""
    newest = after if after is not None else before
    assert newest is not None
    row = Row(newest.sha256, references=dict(newest.references))
    if before is not None and before.sha256 == row.sha256:
        row.references = before.references | row.references
    for name, column in columns.items():
        key = key_of(row, column)
        if after is not None and (_says(after, name) or _says(after, metric_of(name))):
            source: Row | None = after
        elif before is not None and name in known and key_of(before, column) == key and _says(before, name):
            source = before
        else:
            source = known.get(name, {}).get(key)
        if source is not None:
            _take(row, source, name)
    return row


def _says(row: Row, column: str) -> bool:
    return column in row.scores or column in row.reasons or column in row.runs


def was_looked_at(row: Row, column: str) -> bool:
    """Whether a run has tried to fill this column for this image, even if no score came of it."""
    return column in row.scores or column in row.runs


def _take(row: Row, source: Row, column: str) -> None:
    if column in source.scores:
        row.scores[column] = source.scores[column]
    if column in source.runs:
        row.runs[column] = source.runs[column]
    if column in source.reasons:
        row.reasons[column] = source.reasons[column]


def used_runs(rows: Iterable[Row]) -> list[int]:
    """Numbers of the runs that some score or reason comes from, ascending."""
    return sorted({run for row in rows for run in row.runs.values()})
