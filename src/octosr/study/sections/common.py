"""What the sections share: figures drawn late, tables with titles for names, numbers in words."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import pandas as pd

from octosr.study import names
from octosr.study.document import Best, Figure, Table


def figure(
    key: str, title: str, function: str, /, *args: Any, caption: str = "", alt: str = "", **settings: Any
) -> Figure:
    """A figure of :mod:`octosr.study.figures`, which (and matplotlib) is imported only when it is drawn."""

    def draw() -> Any:
        figures = import_module("octosr.study.figures")
        return getattr(figures, function)(*args, **settings)

    return Figure(key, title, draw, caption, alt or title)


def digits(metric: str) -> int:
    """Decimals of means: as many as the study prints for its metrics, four otherwise."""
    return 6 if metric.endswith("_study") else 4


def direction(higher: bool) -> Best:
    """Which extreme is best."""
    return "max" if higher else "min"


def better_words(higher: bool) -> str:
    """``higher is better`` or ``lower is better``."""
    return "higher is better" if higher else "lower is better"


def means_table(key: str, title: str, means: pd.DataFrame, higher: bool, decimals: int, caption: str = "") -> Table:
    """A table of rows x techniques, the best of each row marked; datasets get their domain beside them."""
    shown = names.titles(means.columns)
    frame = means.rename(columns=shown)
    frame.columns.name = None
    what = "dataset" if set(means.index) - {"mean rank", "mean"} else "over"
    frame = frame.rename_axis(what).reset_index()
    return Table(
        key,
        title,
        frame,
        caption=caption,
        digits=dict.fromkeys(shown.values(), decimals),
        best_in_row=(tuple(shown.values()), direction(higher)),
    )


def with_domains(table: Table) -> Table:
    """The same table with the study's domain as first column."""
    frame = table.frame.copy()
    frame.insert(0, "domain", [names.domain_of(d) if d not in ("mean", "mean rank") else "" for d in frame["dataset"]])
    return Table(
        table.key, table.title, frame, table.caption, table.digits, table.best, table.best_in_row, table.missing
    )


def listed(items: Iterable[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', 'none')
    """
    found = list(items)
    if len(found) < 2:
        return found[0] if found else "none"
    return f"{', '.join(found[:-1])} and {found[-1]}"


def titled(techniques: Iterable[str]) -> str:
    """Titles of techniques in a sentence."""
    return listed(names.title(t) for t in techniques)


def p_value(p: float | None) -> str:
    """A p value in a sentence.

    >>> p_value(0.176), p_value(1e-9), p_value(None)
    ('p = 0.176', 'p < 0.001', 'p not available')
    """
    if p is None or p != p:
        return "p not available"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def plural(n: int, word: str) -> str:
    """A count with its word.

    >>> plural(1, "dataset"), plural(3, "dataset")
    ('1 dataset', '3 datasets')
    """
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
