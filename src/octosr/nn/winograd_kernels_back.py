"""The adjoints of the transforms in :mod:`octosr.nn.winograd_kernels`, for backward passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from octosr.compiled import compiled
from octosr.nn.rows import Numbers, row_operation
from octosr.nn.winograd_kernels import HIGH, LOW

Array = npt.NDArray[Any]


def _data_back(r0: Numbers, r1: Numbers, r2: Numbers, r3: Numbers, r4: Numbers, r5: Numbers) -> list[Numbers]:
    """B r."""
    e, o, f, p = r1 + r2, r1 - r2, r3 + r4, r3 - r4
    odd, even = HIGH * o + LOW * p, 2.0 * e + 0.5 * f
    return [r0, r5 - odd, -2.5 * r0 - even, LOW * o + HIGH * p - 2.5 * r5, r0 + e + f, r5]


def _output_back(y0: Numbers, y1: Numbers, y2: Numbers, y3: Numbers) -> list[Numbers]:
    """A y."""
    e, o = y0 + 0.5 * y2, LOW * y1 + LOW**3 * y3
    f, p = y0 + 2.0 * y2, HIGH * y1 + HIGH**3 * y3
    return [y0, e + o, e - o, f + p, f - p, y3]


def _output_back_summed(*rows: Numbers) -> list[Numbers]:
    return [*_output_back(*rows), rows[0] + rows[1] + (rows[2] + rows[3])]


def _masked(*rows: Numbers) -> list[Numbers]:
    return _output_back_summed(*(g.where_positive(a) for g, a in zip(rows[:4], rows[4:], strict=True)))


_copy = row_operation([1], [1], lambda x: [x])
_add = row_operation([1], [], lambda x: [x], adds=[1])
_back_rows = row_operation([6], [6], _data_back)
_adding_rows = row_operation([6], [], _data_back, adds=[6])
_output_back_rows = row_operation([4], [6], _output_back)
_summed_rows = row_operation([4], [6], _output_back_summed, adds=[1])
_masked_rows = row_operation([4, 4], [6], _masked, adds=[1])


@compiled
def data_back(patches: Array, first: int, maps: Array) -> None:
    """The adjoint of ``data``; the blocks of an image have to come one after the other, and all of them.

    Args:
        patches: (36, blocks, C).
        first: number of the first block.
        maps: (N, H, W, C), to which is added. A line is cleared before the first block that reaches it.
    """
    _, height, width, size = maps.shape
    columns, blocks = (width + 3) // 4, patches.shape[1]
    each = (height + 3) // 4 * columns
    half, whole = np.empty(36 * size, maps.dtype), np.empty(6 * size, maps.dtype)
    source, to = patches.reshape(-1), maps.reshape(-1)
    for n in range(blocks):
        image, block = (first + n) // each, (first + n) % each
        top, left = 4 * (block // columns) - 1, 4 * (block % columns) - 1
        if left < 0:
            lines = image * height
            begin, end = lines + (top + 2 if top > 0 else 0), lines + min(top + 6, height)
            to[begin * width * size : end * width * size] = 0
        for j in range(6):
            _back_rows(source, (j * blocks + n) * size, 6 * blocks * size, half, j * size, 6 * size, size)
        begin, end = max(0, -left), min(6, width - left)
        for i in range(max(0, -top), min(6, height - top)):
            pixel = ((image * height + top + i) * width + left) * size
            if end - begin == 6:
                _adding_rows(half, 6 * i * size, size, to, pixel, size, size)
            else:
                _back_rows(half, 6 * i * size, size, whole, 0, size, size)
                _add(whole, begin * size, 0, to, pixel + begin * size, 0, (end - begin) * size)


@compiled
def output_back(gradient: Array, active: Array, first: int, products: Array, bias_gradient: Array) -> None:
    """The adjoint of ``output``.

    Args:
        gradient: of the maps, (N, H, W, O).
        active: what ``output`` gave where it had a ReLU, (N, H, W, O): the gradient counts where that is positive. Of
            size 0 where it had none.
        first: number of the first block.
        products: (36, blocks, O), overwritten with the products' gradient.
        bias_gradient: (O,), the bias's gradient is added to it.
    """
    _, height, width, size = gradient.shape
    columns, blocks = (width + 3) // 4, products.shape[1]
    each = (height + 3) // 4 * columns
    half = np.empty(24 * size, gradient.dtype)
    pixels, outputs = np.empty(16 * size, gradient.dtype), np.ones(16 * size, gradient.dtype)
    source, masks, to = gradient.reshape(-1), active.reshape(-1), products.reshape(-1)
    relu = active.size > 0
    for n in range(blocks):
        image, block = (first + n) // each, (first + n) % each
        top, left = 4 * (block // columns), 4 * (block % columns)
        place, line = ((image * height + top) * width + left) * size, width * size
        values, signs = source, masks
        if top + 4 > height or left + 4 > width:
            pixels[:] = 0
            some = min(4, width - left) * size
            for i in range(min(4, height - top)):
                _copy(source, place + i * line, 0, pixels, 4 * i * size, 0, some)
                if relu:
                    _copy(masks, place + i * line, 0, outputs, 4 * i * size, 0, some)
            values, signs, place, line = pixels, outputs, 0, 4 * size
        for j in range(4):
            column = place + j * size
            if relu:
                _masked_rows(
                    values, column, line, signs, column, line, half, j * size, 4 * size, bias_gradient, 0, 0, size
                )
            else:
                _summed_rows(values, column, line, half, j * size, 4 * size, bias_gradient, 0, 0, size)
        for i in range(6):
            _output_back_rows(half, 4 * i * size, size, to, (6 * i * blocks + n) * size, blocks * size, size)
