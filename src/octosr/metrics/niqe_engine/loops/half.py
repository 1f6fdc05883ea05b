"""Maps of half the size, as :func:`octosr.metrics.niqe_engine.maps.halved` computes them, rounding for rounding.

Maps here have three pixels more on each side, (H+6, W+6), which are left as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from octosr.compiled import compiled
from octosr.metrics.niqe_engine.filters import HALF_TAPS

Floats = npt.NDArray[Any]


@compiled
def halve_mirrored(image: Floats, first: int, last: int, out: Floats) -> None:
    """Rows ``first`` to ``last`` (not one of them) of half the size, the image mirrored at its border itself.

    Args:
        image: float32 luma of 0 to 255, (2h+6, 2w+6).
        first: row.
        last: row.
        out: (h+6, w+6); computed in float32, and then brought back to 0 to 255 in its type.
    """
    height, width = image.shape[0] - 6, image.shape[1] - 6
    rows = np.empty((2 * (last - first) + 6, width), np.float32)
    for y in range(len(rows)):
        source = _mirrored(2 * first - 3 + y, height)
        _divide(image[source + 3, 3 : width + 3], rows[y])
    line, half = np.empty(width + 6, np.float32), np.empty(width // 2, np.float32)
    for y in range(first, last):
        _weigh_rows(rows, 2 * (y - first), line[3 : width + 3])
        for x in range(3):
            line[x], line[width + 5 - x] = line[5 - x], line[width + x]
        _weigh_columns(line, half)
        to = out[y + 3, 3 : width // 2 + 3]
        for x in range(width // 2):
            to[x] = np.float64(half[x]) * 255.0


@compiled
def halve_cut(image: Floats, first: int, last: int, out: Floats) -> None:
    """Rows ``first`` to ``last`` of half the size, without what lies beyond the border, each direction rounded.

    Args:
        image: float32 luma of 0 to 255, (2h+6, 2w+6), 0 outside.
        first: row.
        last: row.
        out: float32, (h+6, w+6).
    """
    width = out.shape[1] - 6
    rows = np.empty((2 * (last - first) + 6, width), np.float32)
    for y in range(len(rows)):
        # Whole numbers times n/256: float32 holds these sums exactly, in any order.
        _weigh_columns(image[2 * first + y], rows[y])
        for x in range(2):
            rows[y, x] /= np.float32(_inside(x))
            rows[y, width - 1 - x] /= np.float32(_inside(x))
    line = np.empty(width, np.float64)
    for y in range(first, last):
        _weigh_rows(rows, 2 * (y - first), line)
        inside = _inside(min(y, out.shape[0] - 7 - y))
        to = out[y + 3, 3 : width + 3]
        for x in range(width):
            to[x] = line[x] / inside


@compiled
def _mirrored(place: int, size: int) -> int:
    """c b a | a b c ... x y z | z y x."""
    return -1 - place if place < 0 else 2 * size - 1 - place if place >= size else place


@compiled
def _inside(place: int) -> float:
    """Sum of the taps that do not lie beyond the border this far away."""
    return 1 - (HALF_TAPS[0] + HALF_TAPS[1] + HALF_TAPS[2]) if place == 0 else 1 - HALF_TAPS[0] if place == 1 else 1.0


@compiled
def _divide(luma: Floats, out: Floats) -> None:
    for x in range(len(out)):
        out[x] = luma[x] / np.float32(255)


@compiled
def _weigh_rows(rows: Floats, first: int, out: Floats) -> None:
    """Weighted sums of eight rows in their order, rounded to the type of ``out`` at each step."""
    for k in range(8):
        tap, row = out.dtype.type(HALF_TAPS[k]), rows[first + k]
        if k == 0:
            for x in range(len(out)):
                out[x] = row[x] * tap
        else:
            for x in range(len(out)):
                out[x] += row[x] * tap


@compiled
def _weigh_columns(line: Floats, out: Floats) -> None:
    """Weighted sums of eight columns in their order, every second one, in float32."""
    for x in range(len(out)):
        total = line[2 * x] * np.float32(HALF_TAPS[0])
        for k in range(1, 8):
            total += line[2 * x + k] * np.float32(HALF_TAPS[k])
        out[x] = total
