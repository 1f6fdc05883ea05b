"""How every figure looks: one colour, marker and hatch a technique, and settings that the user's own never change.

Colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008), which people with any kind of colour vision
can tell apart; markers and hatches say the same again for prints without colour.
"""

from __future__ import annotations

import functools
import hashlib
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.figure import Figure

P = ParamSpec("P")

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
INK, FAINT, PALE = "#222222", "#767676", "#DDDDDD"
DASH, MINUS, RHO = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{GREEK SMALL LETTER RHO}"


@dataclass(frozen=True)
class Style:
    """What a technique is drawn with: colour, marker of points, hatch of areas."""

    colour: str
    marker: str
    hatch: str


STYLES = {
    "apa": Style(ORANGE, "^", "////"),
    "blindsr": Style(SKY, "v", "\\\\\\\\"),
    "dan": Style(BLUE, "s", ""),
    "fastgan": Style(PURPLE, "D", "xxxx"),
    "moesr": Style(VERMILION, "o", ".."),
    "bicubic": Style(BLACK, "P", "++++"),
    "lanczos": Style(GREEN, "X", "||||"),
    "bilinear": Style("#999999", "p", "----"),
    "nearest": Style(YELLOW, "h", "oo"),
}
"""The study's techniques and the baselines."""

_OTHERS = tuple(
    Style(colour, marker, hatch)
    for marker, hatch in (("*", "**"), ("<", "//.."), (">", "\\\\.."), ("d", "xx.."), ("8", "++.."))
    for colour in (GREEN, PURPLE, SKY, VERMILION, BLUE, ORANGE, "#999999")
)

_SETTINGS: dict[str, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 10.0,
    "figure.titleweight": "bold",
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in somebody's file name is a dollar sign
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "octosr",  # the same figure gives the same bytes
    "svg.fonttype": "path",
}
_CHARACTER = 0.088  # mean width in inches of a character of a figure's title
_lock = threading.RLock()


def style_of(technique: str) -> Style:
    """Colour, marker and hatch of a technique; the same for a name in every figure and every report.

    >>> style_of("dan").colour
    '#0072B2'
    """
    if technique in STYLES:
        return STYLES[technique]
    number = int.from_bytes(hashlib.sha256(technique.encode("utf-8", "surrogatepass")).digest()[:4], "big")
    return _OTHERS[number % len(_OTHERS)]


def colour_of(technique: str) -> str:
    """Colour of a technique as ``#RRGGBB``."""
    return style_of(technique).colour


def label(text: object, length: int = 22) -> str:
    """A name as it may stand in a figure: one line, without control characters, not longer than `length`.

    >>> label("a name that is much too long for a figure", 12)
    'a name that…'
    """
    line = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib's defaults with ours on top, for the time of drawing or saving; one thread at a time."""
    # The settings are global to the process: without the lock, two threads would restore each other's.
    with _lock:
        values: dict[Any, Any] = {
            key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(("backend", "interactive"))
        }
        with mpl.rc_context(values | _SETTINGS):
            yield


def drawn(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorator of a function that draws: it does so under :func:`settings`."""

    @functools.wraps(function)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with settings():
            return function(*args, **kwargs)

    return draw


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """An empty figure without any window behind it.

    Args:
        width: inches; below 5.6 keeps the text readable on a phone.
        height: inches.
        title: stands on top, if given.
    """
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    if title:
        figure.suptitle(textwrap.fill(label(title, 160), int(width / _CHARACTER)), x=0.01, ha="left")
    return figure


def nothing(title: str, reason: str) -> Figure:
    """A figure that says why there is none.

    Args:
        title: of the figure that is missing.
        reason: one sentence.
    """
    figure = new_figure(5.0, 1.2, title)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.0, 0.5, reason, transform=axes.transAxes, va="center", color=FAINT, wrap=True)
    return figure
