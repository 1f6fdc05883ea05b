"""3x3 convolutions with strides and without padding in tile registers, see :mod:`octosr.nn.amx`; on one core.

Their products are correct to some 1e-5. Maps that are read are packed words (N, H, W, 2, C/2), see
:meth:`octosr.nn.rows.Numbers.packed`; what comes out is float32 and packed again together with bias and ReLU. Imported
where :func:`octosr.nn.winograd.suits_tiles` has said yes.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from octosr.compiled import compiled
from octosr.nn import amx
from octosr.nn.rows import Numbers, row_operation
from octosr.nn.winograd_kernels import packed_pairs

Array = npt.NDArray[Any]


def transform_filter(weight: Tensor) -> Tensor:
    """(O, I, 3, 3) to packed words (9, 2, I/2, O), I and O multiples of 32."""
    outputs, inputs = weight.shape[:2]
    taps = weight.detach().permute(2, 3, 1, 0).reshape(9, 2, inputs // 2, outputs).contiguous()
    filters = torch.empty(9, 2, inputs // 2, outputs, dtype=torch.int32)
    _pack_filters(taps.numpy(), filters.numpy())
    return filters


def convolve(words: Tensor, filters: Tensor, stride: int) -> Tensor:
    """Convolve packed maps (N, H, W, 2, I/2), sides at least 3, to (N, h, w, O), float32, without bias."""
    count, height, width = words.shape[:3]
    shape = count, (height - 3) // stride + 1, (width - 3) // stride + 1, filters.shape[3]
    result = torch.empty(shape)
    rows = min(amx.TILE, shape[2])
    _convolve(words.numpy(), filters.numpy(), stride, rows, amx.configuration(rows), result.numpy())
    return result


def relu_packed(maps: Tensor, added: Tensor) -> Tensor:
    """ReLU of the sum of two, packed.

    Args:
        maps: float32, (N, h, w, C), contiguous, C even.
        added: float32, contiguous: (C,), or maps (B, h, w, C) of which each is added to every B-th.

    Returns:
        int32, (N, h, w, 2, C/2).
    """
    words = torch.empty(*maps.shape[:3], 2, maps.shape[3] // 2, dtype=torch.int32)
    _relu_packed(maps.numpy(), added.detach().numpy(), words.numpy())
    return words


def _sums(a: Numbers, b: Numbers, c: Numbers, d: Numbers) -> list[Numbers]:
    first, second = a + c, b + d
    return packed_pairs([(first.where_positive(first), second.where_positive(second))])


_sum_rows = row_operation([2, 2], [2], _sums)
_pack_rows = row_operation([1, 1], [1, 1], lambda a, b: packed_pairs([(a, b)]))


@compiled
def _pack_filters(taps: Array, filters: Array) -> None:
    size = taps.shape[2] * taps.shape[3]
    source, to = taps.reshape(-1), filters.reshape(-1)
    for tap in range(9):
        at = 2 * tap * size
        _pack_rows(source, at, 0, source, at + size, 0, to, at, 0, to, at + size, 0, size)


@compiled
def _relu_packed(maps: Array, added: Array, words: Array) -> None:
    size = maps.shape[3]
    half, all_, other, to = size // 2, maps.reshape(-1), added.reshape(-1), words.reshape(-1)
    for at in range(0, all_.size, size):
        _sum_rows(all_, at, half, other, at % other.size, half, to, at, half, half)


@compiled
def _convolve(words: Array, filters: Array, stride: int, rows: int, settings: Array, result: Array) -> None:
    count, height, width, _, inner = words.shape
    _, down, across, outputs = result.shape
    size = 2 * inner
    pieces = (across + rows - 1) // rows  # of a line, each of so many pixels: the last overlaps the one before
    left, right, to = words.reshape(-1), filters.reshape(-1), result.reshape(-1)
    amx.begin(settings)
    for image in range(count):
        for column in range(0, outputs, amx.BLOCK):
            for piece in range(0, down * pieces, 2):
                other = min(piece + 1, down * pieces - 1)
                y, x = piece // pieces, min(piece % pieces * rows, across - rows)
                v, u = other // pieces, min(other % pieces * rows, across - rows)
                amx.clear()
                for tap in range(9):
                    i, j = tap // 3, tap % 3
                    first = ((image * height + y * stride + i) * width + x * stride + j) * size
                    second = ((image * height + v * stride + i) * width + u * stride + j) * size
                    place = tap * size * outputs + column
                    amx.add_product(left, first, second, stride * size, inner, right, place, outputs)
                first = ((image * down + y) * across + x) * outputs + column
                second = ((image * down + v) * across + u) * outputs + column
                amx.store(to, first, second, outputs)
    amx.end()
