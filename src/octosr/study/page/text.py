"""Values to text, and data to what may stand inside a script element."""

from __future__ import annotations

import json
import math
import numbers
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import pandas as pd
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

_KEY = re.compile(r"[A-Za-z0-9_-]+")


def checked_key(key: str) -> str:
    """The key itself, if it can be part of an HTML id and of a file name.

    Raises:
        ValueError: it holds other characters than letters, digits, ``-`` and ``_``.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"The key {key!r} may hold letters, digits, '-' and '_' only.")
    return key


def printable(text: object) -> str:
    """Text that can be encoded and shown: what was no UTF-8 in a file name, and control characters, become U+FFFD.

    Direction overrides count as control characters: with them a name could be made to read like another one.

    >>> printable("a\\udcff\\u202eb")
    'a\ufffd\ufffdb'
    """
    return "".join("\ufffd" if _is_control(c) else c for c in str(text))


def _is_control(character: str) -> bool:
    category = unicodedata.category(character)
    return category in ("Cs", "Cf") or (category == "Cc" and character not in "\t\n")


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT or pandas' NA."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, numbers.Real) and math.isnan(value)


def is_number(value: object) -> bool:
    """Whether a cell holds a number; truth values are words."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and type(value).__name__ != "bool_"


def number_text(value: Any, digits: int | None) -> str:
    """A number as readers expect it.

    A value that the given decimals would turn into nought is shown as smaller than the smallest they can show.

    >>> number_text(0.00004, 3), number_text(-1.5, 1), number_text(12, None), number_text(0.306912, None)
    ('<0.001', '\u22121.5', '12', '0.3069')
    """
    number = float(value)
    if math.isinf(number):
        return "∞" if number > 0 else "\u2212∞"
    if digits is None:
        text = str(int(value)) if number == int(number) and abs(number) < 1e15 else f"{number:.4g}"
    else:
        text = f"{number:.{digits}f}"
        if number != 0 and float(text) == 0:
            return ("<" if number > 0 else ">\u2212") + f"{10**-digits:.{digits}f}"
    return text.replace("-", "\u2212") if text.startswith("-") else text


def cell_text(value: Any, digits: int | None, missing: str) -> str:
    """The text of one cell of a table."""
    if is_missing_cell(value):
        return printable(missing)
    if is_number(value):
        return number_text(value, digits)
    if isinstance(value, tuple | list):
        return " / ".join(cell_text(part, digits, missing) for part in value)
    if type(value).__name__ in ("bool", "bool_"):
        return "yes" if value else "no"
    return printable(value)


def is_missing_cell(value: Any) -> bool:
    """:func:`is_missing` for anything that may stand in a frame, sequences included."""
    return not isinstance(value, tuple | list) and is_missing(value)


def fact_text(value: Any) -> str:
    """A fact of the footer; nested values in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(key)}: {fact_text(part)}" for key, part in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(fact_text(part) for part in value)
    return cell_text(value, None, "unknown")


def script_json(data: Any) -> Markup:
    """JSON that is safe inside a script element: no ``<``, ``>``, ``&``, and ASCII only (so no U+2028 either).

    >>> print(script_json({"name": "</script>\\u2028"}))
    {"name":"\\u003c/script\\u003e\\u2028"}
    """
    return htmlsafe_json_dumps(data, _compact_json)


def _compact_json(data: Any, **kwargs: Any) -> str:
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"), **kwargs)
