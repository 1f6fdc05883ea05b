"""Figures to bytes: the same figure gives the same bytes, whenever and wherever it is saved."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

from octosr.study.figures.style import settings

PNG_DPI = 200
SVG_DPI = 120  # of the parts that are pixels: clouds of thousands of points


def to_svg(figure: Figure) -> bytes:
    """A figure as SVG: text as outlines, no date, no version, identifiers that do not change."""
    buffer = io.BytesIO()
    with settings():
        figure.savefig(buffer, format="svg", dpi=SVG_DPI, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return buffer.getvalue()


def to_png(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    with settings():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
