"""Winograd's 3x3 convolution with its products in tile registers, see :mod:`octosr.nn.amx`: one compiled loop a core.

About twice as fast as :func:`octosr.nn.winograd.forward`, with an error of some 1e-5 of the result's size in place of
some 1e-7. Imported where :func:`octosr.nn.winograd.suits_tiles` has said yes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.compiled import compiled
from octosr.cores import map_on_cores
from octosr.nn import amx
from octosr.nn.amx import TILE
from octosr.nn.rows import Numbers, row_operation
from octosr.nn.winograd import GENERATOR, block_count, parts
from octosr.nn.winograd_kernels import output, packed_data, packed_pairs
from octosr.nn.workspace import Workspace

Array = npt.NDArray[Any]
BAND = amx.BLOCK
"""Blocks done at a time: their transforms and the filters of 64 channels fill half of a core's cache of 2 MB."""
ROWS = BAND + 1
"""Of the buffers: with a power of two, the 36 numbers of a block would fall on the same lines of the first cache."""


def _filter(*taps: Numbers) -> list[Numbers]:
    """G g."""
    rows: list[Numbers] = []
    for factors in GENERATOR.tolist():
        terms = [factor * tap for factor, tap in zip(factors, taps, strict=True) if factor]
        rows.append(sum(terms[1:], start=terms[0]))
    return rows


_filter_rows = row_operation([3], [6], _filter)
_pack_rows = row_operation([1, 1], [1, 1], lambda a, b: packed_pairs([(a, b)]))


def transform_filter(weight: Tensor) -> Tensor:
    """As :func:`octosr.nn.winograd.transform_filter`, but packed as ``packed_data`` does it: int32, (36, 2, I/2, O)."""
    outputs, inputs = weight.shape[:2]
    taps = weight.detach().permute(2, 3, 1, 0).reshape(9, inputs, outputs).contiguous()
    filters = torch.empty(36, 2, inputs // 2, outputs, dtype=torch.int32)
    _transform(taps.numpy(), filters.numpy())
    return filters


@compiled
def _transform(taps: Array, filters: Array) -> None:
    _, inputs, outputs = taps.shape
    source, to, half = taps.reshape(-1), filters.reshape(-1), inputs // 2
    columns, whole = np.empty(18 * outputs, taps.dtype), np.empty(72 * outputs, taps.dtype)
    for n in range(half):
        for side in range(2):
            for j in range(3):
                place, apart = (j * inputs + side * half + n) * outputs, 3 * inputs * outputs
                _filter_rows(source, place, apart, columns, j * outputs, 3 * outputs, outputs)
            for i in range(6):
                place = (36 * side + 6 * i) * outputs
                _filter_rows(columns, 3 * i * outputs, outputs, whole, place, outputs, outputs)
        for k in range(36):
            a, b, at = k * outputs, (36 + k) * outputs, (2 * k * half + n) * outputs
            _pack_rows(whole, a, 0, whole, b, 0, to, at, 0, to, at + half * outputs, 0, outputs)


def forward(maps: Tensor, filters: Tensor, bias: Tensor, result: Tensor, relu: bool = False) -> None:
    """As :func:`octosr.nn.winograd.forward`, in float32, of multiples of 32 channels, with filters of its own."""
    source, to, halves, added = (t.detach().numpy() for t in (maps, result, filters, bias.contiguous()))
    settings = amx.configuration()

    def some(blocks: range) -> None:
        work = Workspace.of_this_thread(torch.int32)
        patches = work.get("patches", (36, ROWS, 2, maps.shape[3] // 2), filters).numpy()
        products = Workspace.of_this_thread(maps.dtype).get("products", (36, ROWS, result.shape[3]), maps).numpy()
        _blocks(source, blocks.start, len(blocks), halves, added, relu, to, patches, products, settings)

    with torch.no_grad():
        map_on_cores(some, parts(block_count(maps)), maps.device)


@compiled
def _blocks(
    maps: Array,
    first: int,
    count: int,
    filters: Array,
    bias: Array,
    relu: bool,
    result: Array,
    patches: Array,
    products: Array,
    settings: Array,
) -> None:
    rows, inputs, outputs = patches.shape[1], maps.shape[3], result.shape[3]
    left, right, to = patches.reshape(-1), filters.reshape(-1), products.reshape(-1)
    amx.begin(settings)
    for start in range(0, count, BAND):
        some = min(BAND, count - start)
        packed_data(maps, first + start, some, patches)
        for number in range(36):
            row = number * rows * inputs
            for column in range(0, outputs, amx.BLOCK):
                place, at = number * inputs * outputs + column, number * rows * outputs + column
                amx.clear()
                amx.add_product(left, row, row + TILE * inputs, inputs, inputs // 2, right, place, outputs)
                amx.store(to, at, at + TILE * outputs, outputs)
        output(products, first + start, some, bias, relu, result)
    amx.end()
