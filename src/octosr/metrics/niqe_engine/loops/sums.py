"""Float32 means in the order in which NumPy adds, of one block's coefficients or of their products with neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from octosr.compiled import compiled

Float32s = npt.NDArray[np.float32]
LEAF = 128
"""Up to so many numbers are added with eight partial sums; more of them as two halves."""


@compiled
def block_means(block: Float32s, shift: tuple[int, int], zeros_right: bool, out: Float32s) -> None:
    """Mean magnitude and mean squares of one map of a block.

    Args:
        block: coefficients, (side, side).
        shift: rows and columns by which the neighbours are moved that they are multiplied with; (0, 0): by nothing.
        zeros_right: whether values that are 0 count as positive, instead of as neither positive nor negative.
        out: becomes the mean of |x|, of x^2, and of x^2 over the negative and over the positive x (0 if there is none).
    """
    side, (down, right) = len(block), shift
    values, parts = np.empty(side * side, np.float32), np.empty(side * side + 1, np.float32)
    for y in range(side):
        row, other = block[y], block[(y - down + side) % side]
        for x in range(side):
            beside = x - right if x - right < side else 0  # -1 is the last one
            values[y * side + x] = row[x] * other[beside] if down or right else row[x]
    for i in range(len(values)):
        parts[i] = abs(values[i])
    out[0] = _mean(parts[:-1])
    for i in range(len(values)):
        parts[i] = values[i] * values[i]
    out[1] = _mean(parts[:-1])
    # Each value is written, and stays if the next one comes after it: a branch would be guessed wrong half the time.
    count = 0
    for value in values:
        parts[count] = value * value
        count += int(value < 0)
    out[2] = _mean(parts[:count])
    count = 0
    for value in values:
        parts[count] = value * value
        count += int(value > 0 or (zeros_right and value == 0))
    out[3] = _mean(parts[:count])


@compiled
def _mean(values: Float32s) -> np.float32:
    return pairwise_sum(values) / np.float32(max(len(values), 1))


@compiled
def pairwise_sum(values: Float32s) -> np.float32:
    """The sum as ``numpy.add.reduce`` rounds it."""
    n = len(values)
    if n < 8:
        total = np.float32(0)
        for value in values:
            total += value
        return total
    if n > LEAF:
        half = n // 2 // 8 * 8
        return pairwise_sum(values[:half]) + pairwise_sum(values[half:])
    a, b, c, d, e, f, g, h = values[:8]
    end = n // 8 * 8
    for i in range(8, end, 8):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(end, n):
        total += values[i]
    return total
