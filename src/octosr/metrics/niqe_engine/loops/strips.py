"""MSCN coefficients of one row of blocks, some rows and columns at a time, which fit the cache.

The inner loops run along rows, over arrays that a compiler can tell apart, so that it uses vector instructions; rows of
scratch memory lie a fixed number of places apart for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from octosr.compiled import compiled
from octosr.metrics.niqe_engine.variants import BLOCK

ROWS, COLUMNS = 24, BLOCK
"""Of the map that go through all steps together: divisors or multiples of the sides of blocks."""
PITCH = COLUMNS + 16
"""From one row of scratch memory to the next: room for the three columns on either side, and a multiple of 16."""
BLOCK_PITCH = BLOCK + 2
"""From one row of a block to the next: room for a column on either side."""
Floats = npt.NDArray[Any]
Taps = tuple[float, float, float, float]


@compiled
def strip(
    scale: Floats,
    top: int,
    side: int,
    taps: Taps,
    between_type: Any,
    blocks: Floats,
    sharpness: npt.NDArray[np.float64],
) -> None:
    """Coefficients of one row of blocks (eq. 1 to 3 of the paper).

    Args:
        scale: luma with three pixels more on each side, (H+6, W+6). Its squares are rounded to its type.
        top: the row of ``scale`` where the strip with its border begins.
        side: of the blocks; W is a multiple of it.
        taps: of the local mean, from the outermost to the middle one.
        between_type: to which values are rounded that are filtered along columns only.
        blocks: become the coefficients, (W/side, (side+1) * BLOCK_PITCH): as (side+1, BLOCK_PITCH), each block at
            [1:, 1 : side+1], with the row and the columns around it that are its neighbours as the features see them.
            Local means, and all that follows, are rounded to their type.
        sharpness: becomes the mean local deviation of each block, (W/side); of no length where it is not wanted.
    """
    width = scale.shape[1] - 6
    values, squares = np.zeros((ROWS + 6) * PITCH), np.zeros((ROWS + 6) * PITCH)
    between, means = np.empty((2, ROWS * PITCH), between_type), np.empty((2, ROWS * PITCH), blocks.dtype)
    sharpness[:] = 0
    for left in range(0, width, COLUMNS):
        columns = min(COLUMNS, width - left)
        padded = (columns + 21) // 16 * 16
        for row in range(0, side, ROWS):
            _load(scale, top + row, left, columns + 6, values, squares)
            _along_columns(values, taps, padded, between[0])
            _along_columns(squares, taps, padded, between[1])
            _along_rows(between[0], taps, columns, means[0])
            _along_rows(between[1], taps, columns, means[1])
            for y in range(ROWS):
                for x in range(0, columns, side):
                    block = (left + x) // side
                    start = y * PITCH + x
                    deviation = means[1, start : start + side]
                    _normalise(
                        scale[top + row + y + 3, left + x + 3 : left + x + 3 + side],
                        means[0, start : start + side],
                        deviation,
                        blocks[block, (row + y + 1) * BLOCK_PITCH + 1 : (row + y + 1) * BLOCK_PITCH + 1 + side],
                    )
                    if len(sharpness):
                        sharpness[block] += _total(deviation) / (side * side)


@compiled
def _load(scale: Floats, top: int, left: int, columns: int, values: Floats, squares: Floats) -> None:
    for y in range(ROWS + 6):
        line = scale[top + y, left : left + columns]
        to, squared = values[y * PITCH : (y + 1) * PITCH], squares[y * PITCH : (y + 1) * PITCH]
        for x in range(columns):
            to[x] = line[x]
            squared[x] = line[x] * line[x]


@compiled
def _along_columns(values: Floats, taps: Taps, columns: int, out: Floats) -> None:
    far, middle, near, own = taps
    for y in range(ROWS):
        v, to = values[y * PITCH : (y + 7) * PITCH], out[y * PITCH : (y + 1) * PITCH]
        for x in range(columns):
            to[x] = (
                own * v[x + 3 * PITCH]
                + (v[x] + v[x + 6 * PITCH]) * far
                + (v[x + PITCH] + v[x + 5 * PITCH]) * middle
                + (v[x + 2 * PITCH] + v[x + 4 * PITCH]) * near
            )


@compiled
def _along_rows(values: Floats, taps: Taps, columns: int, out: Floats) -> None:
    far, middle, near, own = taps
    for y in range(ROWS):
        v, to = values[y * PITCH : (y + 1) * PITCH], out[y * PITCH : (y + 1) * PITCH]
        for x in range(columns):
            to[x] = (
                own * np.float64(v[x + 3])
                + (np.float64(v[x]) + np.float64(v[x + 6])) * far
                + (np.float64(v[x + 1]) + np.float64(v[x + 5])) * middle
                + (np.float64(v[x + 2]) + np.float64(v[x + 4])) * near
            )


@compiled
def _normalise(luma: Floats, mean: Floats, square: Floats, out: Floats) -> None:
    """Coefficients of some pixels; their local deviation takes the place of the mean square."""
    one = mean.dtype.type(1)
    for x in range(len(out)):
        square[x] = np.sqrt(np.abs(square[x] - mean[x] * mean[x]))
        out[x] = (luma[x] - mean[x]) / (square[x] + one)


@compiled
def _total(values: Floats) -> float:
    total = 0.0
    for value in values:
        total += value
    return total
