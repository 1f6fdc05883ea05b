"""Products of matrices in the tile registers of CPUs that have them (Intel's AMX), for compiled functions.

A tile is 16 rows of 64 bytes; one instruction multiplies two tiles of bfloat16 and adds the products to a tile of
float32, sixteen times as many a cycle as instructions of 512 bits do. A number is the sum of two of bfloat16, high and
low, to 2^-17 of it; a product of two such sums without the product of their low parts is correct to about as much.
Three instructions in place of sixteen: this pays where a result may have an error of 1e-5 of its size.

Instructions: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

TILE = 16
"""Rows of a tile, and numbers of float32 or pairs of bfloat16 in a row."""
BLOCK = 2 * TILE
"""Rows and columns of the product that is computed at once, in four tiles."""
WORD = 4
"""Bytes of a number of float32, and of two of bfloat16."""
ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA = 158, 0x1023, 18
"""Linux on x86-64: the system call, and its arguments by which a process may use tiles."""
_BYTE, _PLACE = ir.IntType(8), ir.IntType(64)


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether this CPU has tiles and the system lets this process use them."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    features = binding.get_host_cpu_features()
    if not (features.get("amx-tile") and features.get("amx-bf16")):
        return False
    return int(ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA)) == 0


@lru_cache(maxsize=TILE)
def configuration(rows: int = TILE) -> npt.NDArray[np.uint8]:
    """What :func:`begin` wants: full tiles; if told, those of the left side and of the product have fewer rows."""
    bytes_ = np.zeros(64, np.uint8)
    bytes_[0] = 1  # the only layout of tiles there is
    bytes_[16:32].view(np.uint16)[:] = TILE * WORD
    bytes_[48:54], bytes_[54:56] = rows, TILE
    return bytes_


def _instructions(function: Any) -> Any:
    """A function of compiled functions; mypy takes its arguments for those of the function that generates it."""
    return intrinsic(function)


def _instruct(builder: Any, name: str, *arguments: Any) -> None:
    function_type = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    name = f"llvm.x86.{name}"
    function = builder.module.globals.get(name) or ir.Function(builder.module, function_type, name)
    builder.call(function, arguments)


def _data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


@_instructions
def begin(typing: Any, settings: Any) -> Any:
    """``begin(configuration())``: this thread's tiles are ready for use."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = _data_of(context, builder, signature.args[0], values[0])
        _instruct(builder, "ldtilecfg", builder.bitcast(data, _BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(settings), generate


@_instructions
def end(typing: Any) -> Any:
    """``end()``: this thread's tiles need not be kept any more."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _instruct(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@_instructions
def clear(typing: Any) -> Any:
    """``clear()``: the product is zero."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        for tile in range(4):
            _instruct(builder, "tilezero", ir.Constant(_BYTE, tile))
        return context.get_dummy_value()

    return types.void(), generate


@_instructions
def add_product(
    typing: Any, left: Any, first: Any, second: Any, apart: Any, inner: Any, right: Any, column: Any, outer: Any
) -> Any:
    """``add_product(left, place, place, distance, inner, right, place, outer)``: 32 rows by 32 columns.

    Arrays are contiguous and of int32, places and distances count their words. A row of ``left`` is ``inner`` words of
    high parts and as many of low parts, see :meth:`octosr.nn.rows.Numbers.packed`; the first 16 rows begin at one
    place, the others at another, each so far apart. ``right`` is (2, inner, outer), its words of the same two numbers.
    ``inner`` is a multiple of 16. Nothing is checked.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = [_data_of(context, builder, signature.args[n], values[n]) for n in (0, 5)]
        _add_product(builder, data, *(values[n] for n in (1, 2, 3, 4, 6, 7)))
        return context.get_dummy_value()

    n = types.int64
    return types.void(left, n, n, n, n, right, n, n), generate


@_instructions
def store(typing: Any, to: Any, first: Any, second: Any, apart: Any) -> Any:
    """``store(to, place, place, distance)``: the product as 16 rows at one place and 16 at another, float32."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        data = _data_of(context, builder, signature.args[0], values[0])
        for tile in range(4):
            place = builder.add(values[1 + tile // 2], ir.Constant(_PLACE, TILE * (tile % 2)))
            _move(builder, "tilestored64", tile, data, place, values[3])
        return context.get_dummy_value()

    n = types.int64
    return types.void(to, n, n, n), generate


def _move(builder: Any, instruction: str, tile: int, data: Any, place: Any, apart: Any) -> None:
    pointer = builder.bitcast(builder.gep(data, [place]), _BYTE.as_pointer())
    _instruct(builder, instruction, ir.Constant(_BYTE, tile), pointer, builder.mul(apart, ir.Constant(_PLACE, WORD)))


def _add_product(
    builder: Any, data: list[Any], first: Any, second: Any, apart: Any, inner: Any, column: Any, outer: Any
) -> None:
    """The instructions of :func:`add_product`: tiles 0 to 3 are the product, 4 and 5 rows, 6 and 7 columns."""

    def load_rows(on: Any) -> None:
        _move(builder, "tileloadd64", 4, data[0], builder.add(first, on), apart)
        _move(builder, "tileloadd64", 5, data[0], builder.add(second, on), apart)

    def load_columns(on: Any) -> None:
        place = builder.add(column, on)
        _move(builder, "tileloadd64", 6, data[1], place, outer)
        _move(builder, "tileloadd64", 7, data[1], builder.add(place, ir.Constant(_PLACE, TILE)), outer)

    def multiply() -> None:
        for tile, row, column in ((0, 4, 6), (1, 4, 7), (2, 5, 6), (3, 5, 7)):
            _instruct(builder, "tdpbf16ps", *(ir.Constant(_BYTE, register) for register in (tile, row, column)))

    with cgutils.for_range_slice(builder, ir.Constant(_PLACE, 0), inner, ir.Constant(_PLACE, TILE), intp=_PLACE) as (
        word,
        _,
    ):
        # In an order that loads each tile once: low by high, high by high, high by low.
        high = builder.mul(word, outer)
        load_rows(builder.add(inner, word))
        load_columns(high)
        multiply()
        load_rows(word)
        multiply()
        load_columns(builder.add(builder.mul(inner, outer), high))
        multiply()
