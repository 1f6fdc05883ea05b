"""Write the report's files: each appears whole or not at all, and what an earlier report left behind goes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octosr.atomic import write_bytes
from octosr.study.document import Document, Figure, Table
from octosr.study.exports import tables, values
from octosr.study.figures.render import to_png, to_svg

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
EMBEDDED_SVG = 400_000  # bytes; larger ones hold clouds of points, which are pixels anyway
EMBEDDED_DPI = 144
_TABLES: dict[str, tuple[str, Callable[[Table], bytes]]] = {
    "CSV": ("csv", tables.to_csv),
    "LaTeX": ("tex", tables.to_latex),
    "Markdown": ("md", tables.to_markdown),
}


@dataclass
class Exported:
    """What was written.

    Attributes:
        drawn: figure's key -> what a page may embed: its SVG, or a PNG where the SVG is large.
        pictures: figure's key -> its PNG file.
        downloads: key of a table or figure -> label of the format -> path relative to the report's folder.
        files: number of files.
    """

    drawn: dict[str, bytes] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    downloads: dict[str, dict[str, str]] = field(default_factory=dict)
    files: int = 0


def export(document: Document, folder: Path, progress: Callable[[], Any] = lambda: None) -> Exported:
    """Write ``tables/KEY.{csv,tex,md}``, ``figures/KEY.{svg,png}`` and ``report.json`` into a folder.

    Files of the same kinds in these two subfolders that are not of this report are removed: they would be read as if
    they belonged to it.

    Args:
        document: the report.
        folder: made where missing.
        progress: called after each table and each figure.

    Raises:
        ValueError: a key cannot be a file name, or stands there twice.
        OSError: the folder cannot be written.
    """
    _check_keys(document)
    done = Exported()
    written: set[Path] = set()

    def put(kind: str, key: str, label: str, extension: str, content: bytes) -> Path:
        path = folder / kind / f"{key}.{extension}"
        write_bytes(path, content)
        written.add(path)
        done.downloads.setdefault(key, {})[label] = f"{kind}/{path.name}"
        return path

    for table in _tables(document):
        for label, (extension, convert) in _TABLES.items():
            put("tables", table.key, label, extension, convert(table))
        progress()
    for figure in _figures(document):
        drawing = figure.draw()
        svg = to_svg(drawing)
        done.drawn[figure.key] = svg if len(svg) <= EMBEDDED_SVG else to_png(drawing, EMBEDDED_DPI)
        put("figures", figure.key, "SVG", "svg", svg)
        done.pictures[figure.key] = put("figures", figure.key, "PNG", "png", to_png(drawing))
        progress()
    for kind, extensions in (("tables", ("csv", "tex", "md")), ("figures", ("svg", "png"))):
        for path in (folder / kind).glob("*"):
            if path.suffix[1:] in extensions and path not in written:
                path.unlink()
    write_bytes(folder / "report.json", report_json(document, done.downloads))
    done.files = len(written) + 1
    return done


def report_json(document: Document, files: dict[str, dict[str, str]] | None = None) -> bytes:
    """The whole report as strict JSON: NaN is null, infinity the word ``infinity``, floats at full precision.

    Args:
        document: the report.
        files: what :attr:`Exported.downloads` holds.
    """
    files = files or {}
    content = {
        "title": document.title,
        "summary": document.summary,
        "facts": document.facts,
        "sections": [
            {
                "key": section.key,
                "title": section.title,
                "paragraphs": section.paragraphs,
                "gates": [
                    {"key": g.key, "question": g.question, "outcome": g.outcome, "finding": g.finding}
                    for g in section.gates
                ],
                "tables": [
                    {
                        "key": table.key,
                        "title": table.title,
                        "caption": table.caption,
                        "columns": [str(name) for name in table.frame.columns],
                        "rows": [list(row) for row in table.frame.astype(object).itertuples(index=False, name=None)],
                        "files": _of("tables", files.get(table.key)),
                    }
                    for table in section.tables
                ],
                "figures": [
                    {
                        "key": figure.key,
                        "title": figure.title,
                        "caption": figure.caption,
                        "alt": figure.alt,
                        "files": _of("figures", files.get(figure.key)),
                    }
                    for figure in section.figures
                ],
            }
            for section in document.sections
        ],
    }
    return (json.dumps(values.plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _tables(document: Document) -> Iterator[Table]:
    for section in document.sections:
        yield from section.tables


def _figures(document: Document) -> Iterator[Figure]:
    for section in document.sections:
        yield from section.figures


def _check_keys(document: Document) -> None:
    for parts in (_tables(document), _figures(document)):
        keys = [part.key for part in parts]
        wrong = [key for key in keys if not _KEY.fullmatch(key)]
        if wrong:
            raise ValueError(f"Keys become file names: {wrong} may hold letters, digits, '-' and '_' only.")
        lower = [key.lower() for key in keys]  # a file system may ignore case
        twice = sorted({key for key in lower if lower.count(key) > 1})
        if twice:
            raise ValueError(f"Keys must be unique in a report; these stand there twice: {twice}.")


def _of(kind: str, files: dict[str, str] | None) -> dict[str, str]:
    return {label: path for label, path in (files or {}).items() if path.startswith(f"{kind}/")}
