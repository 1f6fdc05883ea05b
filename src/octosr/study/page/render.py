"""The page: one HTML file that needs nothing else and asks for nothing from the network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octosr.atomic import write_bytes
from octosr.errors import OctoSRError
from octosr.study.document import Document, Figure, Gate, Section, Table
from octosr.study.page import pictures, tables
from octosr.study.page.assets import head_script, script, security_policy, stylesheet, template
from octosr.study.page.explorer import ExplorerData
from octosr.study.page.text import checked_key, fact_text, printable, script_json

MAX_BYTES = 19_500_000
"""Size of the page at most; embedded pictures of the explorer give way first."""

LARGE = 580
"""Width of a figure, in CSS pixels, above which it takes the whole width of the page and not half of it."""

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Extras:
    """What the page shows beyond the document.

    Attributes:
        colours: ``#rrggbb`` by technique, the colours that the figures use.
        titles: how a technique is written, by name.
        drawn: content (SVG or PNG) of figures that were drawn already, by key; the others are drawn here.
        downloads: for a table or figure by key, label -> address relative to the page (CSV, LaTeX ...).
    """

    colours: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    drawn: Mapping[str, bytes] = field(default_factory=dict)
    downloads: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def render_page(
    document: Document, explorer: ExplorerData | None = None, extras: Extras | None = None, limit: int = MAX_BYTES
) -> str:
    """Render the report.

    Args:
        document: what to show. All its text is escaped.
        explorer: data of the image explorer, see :func:`octosr.study.page.explorer.collect`; None leaves it out.
        extras: colours, titles, figures drawn already, links to exported files.
        limit: bytes of the page at most.

    Returns:
        The HTML; the same input gives the same text.

    Raises:
        ValueError: a key is no file name, stands there twice, or a colour is not ``#rrggbb``.
        OctoSRError: the page is larger than the limit even without a single embedded picture of the explorer.
    """
    extras = extras or Extras()
    marks, rules = _technique_styles(extras, explorer)
    style = stylesheet(rules)
    context: dict[str, Any] = {
        "title": printable(document.title),
        "summary": list(map(printable, document.summary)),
        "sections": _sections(document.sections, marks, extras),
        "facts": [(printable(k), fact_text(v)) for k, v in document.facts.items()],
        "style": style,
        "head_script": head_script(),
        "script": script(),
        "policy": security_policy(style),
        "explorer": None,
    }
    if explorer is None:
        return _checked(template().render(context), limit)
    index = script_json({**explorer.index, "marks": [marks.get(t["title"], "") for t in explorer.index["techniques"]]})
    context |= {"explorer": explorer.fitted(0), "index": index, "pictures": []}
    room = limit - len(template().render(context).encode("utf-8")) - 200 * len(explorer.index["datasets"])
    shown = explorer.fitted(max(0, room))
    while True:
        context |= {"explorer": shown, "pictures": [script_json(part) for part in shown.pictures()]}
        page = template().render(context)
        excess = len(page.encode("utf-8")) - limit
        if excess <= 0 or shown.bytes == 0:
            return _checked(page, limit)
        shown = shown.fitted(max(0, shown.bytes - excess))


def write(
    document: Document,
    explorer: ExplorerData | None,
    folder: Path,
    extras: Extras | None = None,
    limit: int = MAX_BYTES,
) -> Path:
    """Render the report to ``folder/index.html``, which appears whole or not at all; arguments as :func:`render_page`.

    Raises:
        OSError: the folder cannot be written; nothing is left behind then.
    """
    path = folder / "index.html"
    write_bytes(path, render_page(document, explorer, extras, limit).encode("utf-8"))
    return path


def _checked(page: str, limit: int) -> str:
    size = len(page.encode("utf-8"))
    if size > limit:
        raise OctoSRError(
            f"The report page would take {size / 1e6:.1f} MB, more than {limit / 1e6:.1f} MB, without a single "
            "picture of the image explorer: its figures and tables are too large. Report fewer techniques or datasets."
        )
    return page


def _sections(sections: Sequence[Section], marks: Mapping[str, str], extras: Extras) -> list[dict[str, Any]]:
    parts: list[Section | Gate | Table | Figure] = []
    for section in sections:
        parts += [section, *section.gates, *section.tables, *section.figures]
    kinds = Counter((type(part).__name__, checked_key(part.key)) for part in parts)
    twice = sorted(key for (_, key), count in kinds.items() if count > 1)
    if twice:
        raise ValueError(f"Keys must be unique in a report; these stand there twice: {twice}.")
    return [
        {
            "key": section.key,
            "title": printable(section.title),
            "paragraphs": list(map(printable, section.paragraphs)),
            "gates": [
                {
                    "key": gate.key,
                    "question": printable(gate.question),
                    "outcome": gate.outcome,
                    "finding": printable(gate.finding),
                }
                for gate in section.gates
            ],
            "tables": [(tables.view(t, marks), _downloads(t.key, extras)) for t in section.tables],
            "figures": [_figure(figure, extras) for figure in section.figures],
        }
        for section in sections
    ]


def _figure(figure: Figure, extras: Extras) -> dict[str, Any]:
    content = extras.drawn.get(figure.key)
    if content is None or (len(content) > pictures.MAX_SVG and pictures.media_type(content) == "image/svg+xml"):
        media_type, content = pictures.draw(figure.draw())
    else:
        media_type = pictures.media_type(content)
    width, height = pictures.size(content)
    return {
        "key": figure.key,
        "width": width,
        "height": height,
        "large": width > LARGE,
        "title": printable(figure.title),
        "caption": printable(figure.caption),
        "alt": printable(figure.alt or figure.title),
        "uri": pictures.data_uri(media_type, content),
        "downloads": _downloads(figure.key, extras),
    }


def _downloads(key: str, extras: Extras) -> list[tuple[str, str]]:
    return [(printable(label), address) for label, address in extras.downloads.get(key, {}).items()]


def _technique_styles(extras: Extras, explorer: ExplorerData | None) -> tuple[dict[str, str], list[str]]:
    """CSS class by every name and title of a technique, and the rules that give each class its colour."""
    titles = dict(extras.titles)
    if explorer is not None:
        titles |= {t["name"]: t["title"] for t in explorer.index["techniques"]}
    marks: dict[str, str] = {}
    rules: list[str] = []
    for k, (name, colour) in enumerate(sorted(extras.colours.items())):
        if not _COLOUR.fullmatch(colour):
            raise ValueError(f"The colour of {name!r} must be #rrggbb, not {colour!r}.")
        rules.append(f".t{k}{{--mark:{colour}}}")
        marks |= {name: f"t{k}", titles.get(name, name): f"t{k}"}
    return marks, rules
