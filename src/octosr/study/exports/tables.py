"""Tables as CSV, LaTeX and Markdown."""

from __future__ import annotations

import re

import pandas as pd

from octosr.study.document import Table
from octosr.study.exports import values

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{EN DASH}": "--",
}
_MARKDOWN = frozenset("\\`*_{}[]<>()#+!|~$&")
_LONG = 45  # rows that still fit a page


def to_csv(table: Table) -> bytes:
    """Every cell at full precision (floats read back bit for bit); nothing where a value is missing; UTF-8."""
    return table.frame.to_csv(index=False, lineterminator="\n").encode("utf-8", "replace")


def to_latex(table: Table) -> bytes:
    r"""A ``table`` (``longtable`` where it is long) with the rules of booktabs, the best in bold, everything escaped.

    The document needs ``\usepackage{booktabs}``, and ``\usepackage{longtable}`` for long ones.
    """
    numeric = values.numeric_columns(table)
    cells = pd.DataFrame(
        [
            [_minus(latex(cell)) if number else latex(cell) for cell, number in zip(row, numeric, strict=True)]
            for row in values.texts(table)
        ],
        dtype=object,
    )
    cells = cells.reindex(columns=range(table.frame.shape[1]))
    headings = [latex(str(name)) for name in table.frame.columns]
    bold = pd.DataFrame(values.best(table), index=cells.index, columns=cells.columns)
    style = cells.style.hide(axis="index").format_index(lambda k: headings[k], axis="columns")
    style = style.apply(lambda _: bold.map(lambda best: "textbf:--rwrap;" if best else ""), axis=None)
    long = len(cells) > _LONG
    title = latex(table.title) + ("" if table.title.endswith(".") else ".")
    text = style.to_latex(
        hrules=True,
        column_format="".join("r" if number else "l" for number in numeric),
        caption=f"{title} {latex(table.caption)}".strip(),
        label=f"tab:{table.key}",
        environment="longtable" if long else None,
        position=None if long else "htbp",
        position_float=None if long else "centering",
    )
    packages = r"\usepackage{booktabs}" + (r" \usepackage{longtable}" if long else "")
    return f"% needs {packages}\n{text}".encode("utf-8", "replace")


def to_markdown(table: Table) -> bytes:
    """A pipe table, the best in bold, everything escaped so that no name can become markup."""
    marked = values.best(table)
    rows = [
        [f"**{markdown(cell)}**" if marked[r, c] else markdown(cell) for c, cell in enumerate(row)]
        for r, row in enumerate(values.texts(table))
    ]
    rules = ["---:" if number else "---" for number in values.numeric_columns(table)]
    lines = [f"**{markdown(table.title)}**", "", _line([markdown(str(n)) for n in table.frame.columns]), _line(rules)]
    lines += [_line(row) for row in rows]
    if table.caption:
        lines += ["", markdown(table.caption)]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def latex(text: str) -> str:
    r"""Text as LaTeX shows it.

    >>> latex("100% of a_b")
    '100\\% of a\\_b'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(_LATEX.get(c, c) for c in line)


def markdown(text: str) -> str:
    r"""Text as Markdown shows it.

    >>> markdown("<b>|x")
    '\\<b\\>\\|x'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(f"\\{c}" if c in _MARKDOWN else c for c in line)


def _minus(number: str) -> str:
    return re.sub(r"-(?=[\d.i])", "$-$", number, count=1)  # a minus sign, not a hyphen


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
