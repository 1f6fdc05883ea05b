"""The transforms of Winograd's filtering F(4x4, 3x3) as compiled loops, for :mod:`octosr.nn.winograd`.

Imported where it is first used, see :mod:`octosr.compiled`. Maps are (N, H, W, C), contiguous. A block is 4x4 pixels of
a map, and blocks are numbered through: image, block row, block column. What is outside the image is zero. Each
transform is one of columns and one of rows, between which a block's numbers stay in a core's innermost cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from octosr.compiled import compiled
from octosr.nn.rows import Numbers, row_operation

Array = npt.NDArray[Any]
LOW, HIGH = sqrt(0.5), sqrt(2.0)
"""The points, see :mod:`octosr.nn.winograd`: 0, both with either sign, and infinity."""


def _data(d0: Numbers, d1: Numbers, d2: Numbers, d3: Numbers, d4: Numbers, d5: Numbers) -> list[Numbers]:
    """B^T d."""
    e, o = d4 - 2.0 * d2, LOW * d3 - HIGH * d1
    f, p = d4 - 0.5 * d2, HIGH * d3 - LOW * d1
    return [d0 - 2.5 * d2 + d4, e + o, e - o, f + p, f - p, d1 - 2.5 * d3 + d5]


def _output(m0: Numbers, m1: Numbers, m2: Numbers, m3: Numbers, m4: Numbers, m5: Numbers) -> list[Numbers]:
    """A^T m."""
    s, d, t, u = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    return [m0 + s + t, LOW * d + HIGH * u, 0.5 * s + 2.0 * t, LOW**3 * d + HIGH**3 * u + m5]


def _biased(*rows: Numbers) -> list[Numbers]:
    return [value + rows[6] for value in _output(*rows[:6])]


def _biased_relu(*rows: Numbers) -> list[Numbers]:
    return [value.where_positive(value) for value in _biased(*rows)]


def packed_pairs(pairs: Iterable[tuple[Numbers, Numbers]]) -> list[Numbers]:
    """:meth:`Numbers.packed` of each pair: all high parts, then all low ones."""
    return [part for parts in zip(*(a.packed(b) for a, b in pairs), strict=True) for part in parts]


def _packed_data(*rows: Numbers) -> list[Numbers]:
    return packed_pairs(zip(_data(*rows[:6]), _data(*rows[6:]), strict=True))


_copy = row_operation([1], [1], lambda x: [x])
_data_rows = row_operation([6], [6], _data)
_packed_rows = row_operation([6, 6], [6, 6], _packed_data)
_output_rows = row_operation([6], [4], _output)
_biased_rows = row_operation([6, 1], [4], _biased)
_relu_rows = row_operation([6, 1], [4], _biased_relu)


@compiled
def data(maps: Array, first: int, count: int, patches: Array) -> None:
    """B^T d B of the 6x6 patch d around each block.

    Args:
        maps: (N, H, W, C).
        first: number of the first block.
        count: of blocks.
        patches: (36, ``count`` or more, C), overwritten.
    """
    size, blocks = maps.shape[3], patches.shape[1]
    half, inside = np.empty(36 * size, maps.dtype), np.empty(36 * size, maps.dtype)
    to = patches.reshape(-1)
    for n in range(count):
        _columns(maps, first + n, inside, half)
        for i in range(6):
            _data_rows(half, 6 * i * size, size, to, (6 * i * blocks + n) * size, blocks * size, size)


@compiled
def packed_data(maps: Array, first: int, count: int, patches: Array) -> None:
    """:func:`data` as sums of two numbers of bfloat16, see :meth:`octosr.nn.rows.Numbers.packed`.

    Args:
        maps: float32, (N, H, W, C), C even.
        first: number of the first block.
        count: of blocks.
        patches: int32, (36, ``count`` or more, 2, C/2), overwritten: high and low parts; word n is of channels
            n and C/2 + n.
    """
    size, blocks = maps.shape[3], patches.shape[1]
    half, inside = np.empty(36 * size, maps.dtype), np.empty(36 * size, maps.dtype)
    to, words = patches.reshape(-1), size // 2
    for n in range(count):
        _columns(maps, first + n, inside, half)
        for i in range(6):
            row, at, apart = 6 * i * size, (6 * i * blocks + n) * size, blocks * size
            _packed_rows(half, row, size, half, row + words, size, to, at, apart, to, at + words, apart, words)


@compiled
def _columns(maps: Array, number: int, inside: Array, half: Array) -> None:
    """B^T d of the patch around a block; ``inside`` is for patches that reach over the image's edge."""
    _, height, width, size = maps.shape
    columns = (width + 3) // 4
    each = (height + 3) // 4 * columns
    source = maps.reshape(-1)
    image, block = number // each, number % each
    top, left = 4 * (block // columns) - 1, 4 * (block % columns) - 1
    if top < 0 or left < 0 or top + 6 > height or left + 6 > width:
        inside[:] = 0
        start, pixels = max(0, -left), min(6, width - left) - max(0, -left)
        for i in range(max(0, -top), min(6, height - top)):
            pixel = (image * height + top + i) * width + left + start
            _copy(source, pixel * size, 0, inside, (6 * i + start) * size, 0, pixels * size)
        _data_rows(inside, 0, 6 * size, half, 0, 6 * size, 6 * size)
    else:
        pixel = (image * height + top) * width + left
        _data_rows(source, pixel * size, width * size, half, 0, 6 * size, 6 * size)


@compiled
def output(products: Array, first: int, count: int, bias: Array, relu: bool, maps: Array) -> None:
    """A^T M A of the products M of each block, plus the bias.

    Args:
        products: (36, ``count`` or more, O).
        first: number of the first block.
        count: of blocks.
        bias: (O,).
        relu: with a ReLU behind it.
        maps: (N, H, W, O); the blocks' pixels are overwritten.
    """
    _, height, width, size = maps.shape
    columns, blocks = (width + 3) // 4, products.shape[1]
    each = (height + 3) // 4 * columns
    half, whole = np.empty(24 * size, maps.dtype), np.empty(4 * size, maps.dtype)
    source, to, added = products.reshape(-1), maps.reshape(-1), bias.reshape(-1)
    for n in range(count):
        image, block = (first + n) // each, (first + n) % each
        top, left = 4 * (block // columns), 4 * (block % columns)
        for j in range(6):
            _output_rows(source, (j * blocks + n) * size, 6 * blocks * size, half, j * size, 6 * size, size)
        some = min(4, width - left)
        for i in range(min(4, height - top)):
            pixel = ((image * height + top + i) * width + left) * size
            target, place = (to, pixel) if some == 4 else (whole, 0)
            if relu:
                _relu_rows(half, 6 * i * size, size, added, 0, 0, target, place, size, size)
            else:
                _biased_rows(half, 6 * i * size, size, added, 0, 0, target, place, size, size)
            if some < 4:
                _copy(whole, 0, 0, to, pixel, 0, some * size)
