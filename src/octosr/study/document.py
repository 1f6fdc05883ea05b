"""What a report consists of, whatever it is rendered to: sections of text, tables and figures.

The analyses fill these; the renderers (HTML page, CSV, LaTeX, Markdown, SVG, PNG, JSON) read them and know nothing of
the study. All text is plain text: a renderer escapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

Best = Literal["max", "min"]


@dataclass(frozen=True)
class Table:
    """A table of results.

    Attributes:
        key: unique in the document, a file name without extension: letters, digits, ``-`` and ``_``.
        title: one line.
        frame: the cells, without a meaningful index: names are ordinary columns. NaN and None mean not available.
        caption: what the columns are, and the reservations a reader must know.
        digits: column -> decimals shown; full precision stays in CSV and JSON.
        best: column -> which value in it is marked best (ties: all of them).
        best_in_row: columns among which the best of each row is marked, with the direction.
        missing: what stands where a value is missing.
    """

    key: str
    title: str
    frame: pd.DataFrame
    caption: str = ""
    digits: Mapping[str, int] = field(default_factory=dict)
    best: Mapping[str, Best] = field(default_factory=dict)
    best_in_row: tuple[Sequence[str], Best] | None = None
    missing: str = "not available"


@dataclass(frozen=True)
class Figure:
    """A figure, drawn when a renderer asks for it.

    Attributes:
        key: see :class:`Table`.
        title: one line.
        draw: makes a :class:`matplotlib.figure.Figure` (typed loosely: matplotlib is imported only when drawing).
        caption: how to read it.
        alt: what it shows, for those who cannot see it.
    """

    key: str
    title: str
    draw: Callable[[], Any]
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Gate:
    """A sanity check of the results themselves, with its outcome.

    Attributes:
        key: see :class:`Table`.
        question: what was checked, as a question.
        outcome: ``pass``, ``warn`` or ``unknown`` (could not be checked: the data are not there).
        finding: one or two sentences with the figures.
    """

    key: str
    question: str
    outcome: Literal["pass", "warn", "unknown"]
    finding: str


@dataclass
class Section:
    """A section of the report: paragraphs first, then gates, tables and figures in the order given."""

    key: str
    title: str
    paragraphs: list[str] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)


@dataclass
class Document:
    """The whole report.

    Attributes:
        title: the page's title.
        summary: the answers in plain words, one sentence or two each.
        sections: the report.
        facts: plain values about how it was made (versions, inputs, dates), for the footer and ``report.json``.
    """

    title: str
    summary: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
