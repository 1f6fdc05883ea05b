"""Values of tables: to text for readers, to plain values for JSON."""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from octosr.study.document import Table


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT or pandas' NA."""
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, numbers.Real) and value != value)


def text(value: Any, digits: int | None, missing: str) -> str:
    """A cell as text in one line.

    Numbers have the given decimals; without any, four significant digits. One that rounding would turn into nought is
    shown as smaller than the smallest that the decimals can show.

    >>> text(0.306912, 3, "-"), text(0.00004, 3, "-"), text(14, None, "-"), text(float("nan"), 2, "not available")
    ('0.307', '<0.001', '14', 'not available')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return " / ".join(text(part, digits, missing) for part in value)
    if is_missing(value):
        return missing
    if not isinstance(value, numbers.Real):
        return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    number = float(value)
    if not math.isfinite(number):
        return "infinity" if number > 0 else "-infinity"
    if digits is None:
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.4g}"
    shown = f"{number:.{digits}f}"
    if number != 0 and float(shown) == 0:
        return ("<" if number > 0 else ">-") + f"{10.0**-digits:.{digits}f}"
    return shown


def texts(table: Table) -> list[list[str]]:
    """All cells of a table as :func:`text`, row by row."""
    names = [str(name) for name in table.frame.columns]
    digits = {str(name): count for name, count in table.digits.items()}
    columns = [
        [text(value, digits.get(name), table.missing) for value in table.frame.iloc[:, k].astype(object)]
        for k, name in enumerate(names)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def best(table: Table) -> np.ndarray:
    """Which cells are marked best, (rows, columns) of bool; ties are all marked, the best of a single one is not."""
    marked = np.zeros(table.frame.shape, dtype=bool)
    names = [str(name) for name in table.frame.columns]
    for name, direction in table.best.items():
        column = names.index(str(name))
        marked[:, column] |= _extreme(_numbers(table.frame, [column]), direction, axis=0)[:, 0]
    if table.best_in_row is not None:
        among, direction = [names.index(str(name)) for name in table.best_in_row[0]], table.best_in_row[1]
        if among:
            marked[:, among] |= _extreme(_numbers(table.frame, among), direction, axis=1)
    return marked


def plain(value: Any) -> Any:
    """A value that strict JSON can hold, at full precision: NaN and the like become None, infinity a word.

    >>> plain({"a": (1, float("nan")), "b": float("inf")})
    {'a': [1, None], 'b': 'infinity'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str | PurePath):
        return str(value).encode("utf-8", "replace").decode("utf-8")  # names of files may hold bytes that are no UTF-8
    if isinstance(value, Sequence | set | frozenset):
        return [plain(part) for part in value]
    if is_missing(value):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else "infinity" if number > 0 else "-infinity"
    return value.isoformat() if isinstance(value, datetime.date | datetime.datetime) else str(value)


def _numbers(frame: pd.DataFrame, columns: list[int]) -> np.ndarray:
    """Columns as float; what is no number is NaN."""
    cells = [
        [
            float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_) else math.nan
            for value in frame.iloc[:, column].astype(object)
        ]
        for column in columns
    ]
    return np.array(cells, dtype=float).reshape(len(columns), len(frame)).T


def _extreme(values: np.ndarray, direction: str, axis: int) -> np.ndarray:
    known = ~np.isnan(values)
    sign = 1.0 if direction == "max" else -1.0
    filled = np.where(known, sign * values, -np.inf)
    if not filled.size:
        return known
    several = known.sum(axis=axis, keepdims=True) > 1
    return known & several & (filled == filled.max(axis=axis, keepdims=True))


def numeric_columns(table: Table) -> list[bool]:
    """For each column, whether all that it holds are numbers."""
    found = []
    for k in range(table.frame.shape[1]):
        present = [v for v in table.frame.iloc[:, k].astype(object) if isinstance(v, tuple | list) or not is_missing(v)]
        found.append(
            bool(present) and all(isinstance(v, numbers.Real) and not isinstance(v, bool | np.bool_) for v in present)
        )
    return found
