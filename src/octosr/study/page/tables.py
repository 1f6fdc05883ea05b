"""Tables as the template wants them: text, sort value and marks of every cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octosr.study.document import Table
from octosr.study.page.text import cell_text, checked_key, is_missing_cell, is_number, printable

MAX_ROWS = 2000
"""Rows of a table that the page shows; the exported files hold all."""

FILTER_FROM = 16
"""From this many rows on, a table gets a filter field."""


@dataclass(frozen=True)
class Cell:
    """One cell: text, the value it sorts by (empty: last), whether it is marked best, CSS class of its technique."""

    text: str
    value: str = ""
    best: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """One column: its heading, whether its cells are numbers, the class of the technique it is named after."""

    text: str
    numeric: bool
    mark: str = ""


@dataclass(frozen=True)
class TableView:
    """A table ready for the template."""

    key: str
    title: str
    caption: str
    columns: list[Column]
    rows: list[list[Cell]]
    total: int
    has_best: bool

    @property
    def filterable(self) -> bool:
        """Whether it is long enough for a filter field."""
        return len(self.rows) >= FILTER_FROM

    @property
    def cut(self) -> bool:
        """Whether rows were left out."""
        return self.total > len(self.rows)


def view(table: Table, marks: Mapping[str, str]) -> TableView:
    """Prepare a table.

    Args:
        table: the table.
        marks: CSS class by text (names and titles of techniques), for headings and cells that are just that text.

    Raises:
        ValueError: the key is no file name, or a named column is not in the frame.
    """
    names = [str(name) for name in table.frame.columns]
    named = [*table.digits, *table.best, *(table.best_in_row[0] if table.best_in_row else ())]
    unknown = sorted({str(name) for name in named} - set(names))
    if unknown:
        raise ValueError(f"The table {table.key!r} has no columns {unknown}; it has {names}.")
    whole: list[list[Any]] = [table.frame.iloc[:, k].astype(object).tolist() for k in range(len(names))]
    best = _best_cells(table, names, whole)
    digits = {str(name): count for name, count in table.digits.items()}
    columns = []
    for name, values in zip(names, whole, strict=True):
        present = [value for value in values if not is_missing_cell(value)]
        # A column of numbers of which none is there yet stays one.
        numeric = all(map(is_number, present)) and bool(present or name in digits)
        heading = printable(name if name in marks else name.replace("_", " "))
        columns.append(Column(heading, numeric, marks.get(name, "")))
    rows = [
        [
            Cell(
                text := cell_text(whole[c][r], digits.get(names[c]), table.missing),
                _sort_value(whole[c][r]),
                (r, c) in best,
                marks.get(text, ""),
            )
            for c in range(len(names))
        ]
        for r in range(min(len(table.frame), MAX_ROWS))
    ]
    return TableView(
        checked_key(table.key),
        printable(table.title),
        printable(table.caption),
        columns,
        rows,
        len(table.frame),
        bool(best),
    )


def _best_cells(table: Table, names: list[str], values: list[list[Any]]) -> set[tuple[int, int]]:
    """(row, column) of all cells to mark; ties are all marked."""
    marked: set[tuple[int, int]] = set()
    for name, direction in table.best.items():
        c = names.index(str(name))
        marked |= {(r, c) for r in _extremes(values[c], direction)}
    if table.best_in_row is not None:
        among, direction = [names.index(str(name)) for name in table.best_in_row[0]], table.best_in_row[1]
        for r in range(len(table.frame)):
            marked |= {(r, among[k]) for k in _extremes([values[c][r] for c in among], direction)}
    return marked


def _extremes(values: list[Any], direction: str) -> list[int]:
    present = {k: float(v) for k, v in enumerate(values) if is_number(v) and not math.isnan(v)}
    if len(present) < 2:
        return []  # the best of one is no distinction
    extreme = max(present.values()) if direction == "max" else min(present.values())
    return [k for k, v in present.items() if v == extreme]


def _sort_value(value: Any) -> str:
    if is_missing_cell(value):
        return ""
    if isinstance(value, tuple | list):
        return _sort_value(value[0]) if value else ""
    return repr(float(value)) if is_number(value) else printable(value)
