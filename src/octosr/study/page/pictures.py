"""Figures as data URIs.

A figure goes into an ``img`` element, not into the page's own markup: an image document runs no script and loads
nothing, its ids cannot meet those of another figure, and the page's content security policy needs no exception for it.
"""

from __future__ import annotations

import base64
import io
import re
from typing import Any

from PIL import Image

from octosr.study.figures.render import to_png, to_svg

MAX_SVG = 400_000
"""Bytes of SVG above which a figure (thousands of points) is drawn as PNG, if that is smaller."""

DPI = 144


def draw(figure: Any) -> tuple[str, bytes]:
    """Render a matplotlib figure.

    Args:
        figure: a :class:`matplotlib.figure.Figure`.

    Returns:
        Media type and content: SVG, or PNG where the SVG would be large and the PNG is smaller.
    """
    svg = to_svg(figure)
    if len(svg) > MAX_SVG:
        png = to_png(figure, DPI)
        if len(png) < len(svg):
            return "image/png", png
    return "image/svg+xml", svg


def size(content: bytes) -> tuple[int, int]:
    """Width and height of a figure in CSS pixels (1/96 inch); of a PNG without a resolution, in pixels.

    >>> size(b'<svg width="72pt" height="144.0pt" viewBox="0 0 72 144"/>')
    (96, 192)
    """
    if media_type(content) == "image/svg+xml":
        head = content[:4096].decode("utf-8", "replace")
        found = [re.search(rf'<svg[^>]*\b{side}="([0-9.]+)(pt|px)?"', head) for side in ("width", "height")]
        points = [float(m[1]) * (96 / 72 if m[2] == "pt" else 1) if m else 0.0 for m in found]
        width, height = points
    else:
        with Image.open(io.BytesIO(content)) as image:
            dpi = float(image.info.get("dpi", (96, 96))[0]) or 96.0
            width, height = image.width * 96 / dpi, image.height * 96 / dpi
    return round(width) or 640, round(height) or 480


def data_uri(media_type: str, content: bytes) -> str:
    """``data:`` URI of a file's content.

    >>> data_uri("text/plain", b"hello")
    'data:text/plain;base64,aGVsbG8='
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def media_type(content: bytes) -> str:
    """Media type of an SVG, PNG, WebP or JPEG file by its first bytes.

    Raises:
        ValueError: it is none of them.
    """
    head = content[:256].lstrip()
    if content.startswith(b"\x89PNG"):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if head.startswith((b"<?xml", b"<svg")):
        return "image/svg+xml"
    raise ValueError(f"Neither SVG, PNG, WebP nor JPEG: the content starts with {content[:12]!r}.")
