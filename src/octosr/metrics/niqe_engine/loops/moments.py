"""Sums over blocks of coefficients and of their products with neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from octosr.compiled import compiled
from octosr.metrics.niqe_engine.loops.strips import BLOCK_PITCH
from octosr.metrics.niqe_engine.variants import BLOCK

Floats = npt.NDArray[Any]
OFFSETS = (BLOCK_PITCH + 1, BLOCK_PITCH, 1, 0, 2)
"""How far each fit's neighbour lies from the value to the upper left."""


@compiled
def block_sums(blocks: Floats, side: int, moments: npt.NDArray[np.float64]) -> None:
    """What :func:`octosr.metrics.niqe_engine.features.block_moments` gives, of one row of blocks.

    Args:
        blocks: coefficients, as ``strips.strip`` lays them out; what is around each block is filled in here.
        side: of the blocks.
        moments: become the sums, (blocks, 5, 5).
    """
    ones = np.ones((side + 1) * BLOCK_PITCH, blocks.dtype)
    sums = np.empty(5 * BLOCK, blocks.dtype)
    for number in range(len(blocks)):
        block = blocks[number]
        _wrap(block, side)
        for fit in range(5):
            _sum_products(block, ones if fit == 0 else block, side, OFFSETS[fit], sums, moments[number, fit])


@compiled
def _wrap(block: Floats, side: int) -> None:
    """Around a block's rows and columns, those of its other end."""
    for x in range(1, side + 1):
        block[x] = block[side * BLOCK_PITCH + x]
    for y in range(side + 1):
        row = block[y * BLOCK_PITCH : (y + 1) * BLOCK_PITCH]
        row[0], row[side + 1] = row[side], row[1]


@compiled
def _sum_products(
    block: Floats, other: Floats, side: int, offset: int, sums: Floats, moments: npt.NDArray[np.float64]
) -> None:
    """Sums over a block's products with what lies ``offset`` places from the value to the upper left.

    Four rows at once, and each column apart until the end: that is exact, and nothing hangs on the order of columns.
    """
    zero, one = sums.dtype.type(0), sums.dtype.type(1)
    sums[:] = zero
    for y in range(0, side, 4):
        v, n = block[(y + 1) * BLOCK_PITCH + 1 :], other[y * BLOCK_PITCH + offset :]
        for x in range(side):
            a, b = v[x] * n[x], v[x + BLOCK_PITCH] * n[x + BLOCK_PITCH]
            c, d = v[x + 2 * BLOCK_PITCH] * n[x + 2 * BLOCK_PITCH], v[x + 3 * BLOCK_PITCH] * n[x + 3 * BLOCK_PITCH]
            aa, bb, cc, dd = a * a, b * b, c * c, d * d
            sums[x] += (abs(a) + abs(b)) + (abs(c) + abs(d))
            sums[x + BLOCK] += (aa + bb) + (cc + dd)
            sums[x + 2 * BLOCK] += ((aa if a < 0 else zero) + (bb if b < 0 else zero)) + (
                (cc if c < 0 else zero) + (dd if d < 0 else zero)
            )
            sums[x + 3 * BLOCK] += ((one if a < 0 else zero) + (one if b < 0 else zero)) + (
                (one if c < 0 else zero) + (one if d < 0 else zero)
            )
            sums[x + 4 * BLOCK] += ((one if a > 0 else zero) + (one if b > 0 else zero)) + (
                (one if c > 0 else zero) + (one if d > 0 else zero)
            )
    square, below = _total(sums[BLOCK : BLOCK + side]), _total(sums[2 * BLOCK : 2 * BLOCK + side])
    negative, positive = _total(sums[3 * BLOCK : 3 * BLOCK + side]), _total(sums[4 * BLOCK : 4 * BLOCK + side])
    moments[0] = _total(sums[:side])
    moments[1] = square
    moments[2] = square - 2 * below
    moments[3] = positive - negative
    moments[4] = positive + negative


@compiled
def _total(values: Floats) -> float:
    total = 0.0
    for value in values:
        total += value
    return total
