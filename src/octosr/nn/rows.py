"""Arithmetic on rows of numbers that lie in arrays at equal distances, for compiled loops, as vector instructions.

Of plain loops over rows of several arrays the compiler must assume that they overlap; it checks that each time, or
gives up. Here code for vectors is written out, with what the caller knows: rows that are read and rows that are written
do not overlap. Arrays are contiguous and one-dimensional; places, distances and lengths count numbers. Nothing is
checked.

Numba notices a change of the file that a compiled function is in: after changing this one, remove the cached code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

VECTOR_BITS = 512
"""Of what is computed at once: a register of AVX-512; the compiler cuts it up for others."""


@dataclass(frozen=True)
class Numbers:
    """Numbers of a row while code for them is generated: operators add instructions."""

    builder: Any
    value: Any

    def __add__(self, other: Numbers) -> Numbers:
        return Numbers(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: Numbers) -> Numbers:
        return Numbers(self.builder, self.builder.fsub(self.value, other.value))

    def __rmul__(self, factor: float) -> Numbers:
        return Numbers(self.builder, self.builder.fmul(self.constant(factor).value, self.value))

    def constant(self, number: float) -> Numbers:
        """The number in each place."""
        kind = self.value.type
        each = [number] * kind.count if isinstance(kind, ir.VectorType) else number
        return Numbers(self.builder, ir.Constant(kind, each))

    def packed(self, other: Numbers) -> tuple[Numbers, Numbers]:
        """These numbers and others, of float32, as sums of two of bfloat16, right to 2^-17 of them: high and low parts.

        A result is a word of 32 bits, its lower half of this number, its upper half of the other.
        """
        builder, vector = self.builder, isinstance(self.value.type, ir.VectorType)
        words = ir.VectorType(ir.IntType(32), self.value.type.count) if vector else ir.IntType(32)

        def each(number: int) -> Any:
            return ir.Constant(words, [number] * self.value.type.count if vector else number)

        def rounded(value: Any) -> Any:
            return builder.add(builder.bitcast(value, words), each(0x8000))

        def upper(value: Any) -> Any:
            return builder.and_(value, each(0xFFFF0000))

        values = (self.value, other.value)
        high = [rounded(value) for value in values]
        rest = [builder.fsub(v, builder.bitcast(upper(h), v.type)) for v, h in zip(values, high, strict=True)]
        low = [rounded(value) for value in rest]
        parts = [builder.or_(builder.lshr(first, each(16)), upper(second)) for first, second in (high, low)]
        return Numbers(builder, parts[0]), Numbers(builder, parts[1])

    def where_positive(self, other: Numbers) -> Numbers:
        """0 where the other is 0 or less."""
        zero = self.constant(0.0).value
        positive = self.builder.fcmp_unordered(">", other.value, zero)
        return Numbers(self.builder, self.builder.select(positive, self.value, zero))


def row_operation(
    reads: Sequence[int],
    writes: Sequence[int],
    function: Callable[..., Sequence[Numbers]],
    adds: Sequence[int] = (),
) -> Any:
    """An operation on rows, to be called in compiled functions.

    Args:
        reads: how many rows of each array that is read.
        writes: how many rows of each array that is overwritten.
        function: from the :class:`Numbers` of all rows that are read to those of all rows that are written or added to.
            Written ones may be of another type of as many bits, that of their array.
        adds: how many rows of each array that is added to.

    Returns:
        ``operation(array, place of the first row, distance of rows, ..., length of rows)``, the arrays in this
        order: read, overwritten, added to.
    """
    counts = [*reads, *writes, *adds]
    last_read, last_written = sum(reads), sum(reads) + sum(writes)

    def operation(typing: Any, *arguments: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            rows = []
            for n, count in enumerate(counts):
                array, place, distance = values[3 * n : 3 * n + 3]
                row = builder.gep(context.make_array(signature.args[3 * n])(context, builder, array).data, [place])
                for _ in range(count):
                    rows.append(row)
                    row = builder.gep(row, [distance])
            number = context.get_data_type(signature.args[0].dtype)
            _loop(builder, number, signature.args[0].dtype.bitwidth, rows, values[-1])
            return context.get_dummy_value()

        return types.void(*arguments), generate

    def _loop(builder: Any, number: Any, bits: int, rows: list[Any], length: Any) -> None:
        def step(index: Any, kind: Any) -> None:
            def load(row: Any) -> Numbers:
                value = builder.load(builder.bitcast(builder.gep(row, [index]), kind.as_pointer()))
                value.align = bits // 8
                return Numbers(builder, value)

            results = function(*map(load, rows[:last_read]))
            for n, (row, result) in enumerate(zip(rows[last_read:], results, strict=True), last_read):
                total = result if n < last_written else load(row) + result
                pointer = builder.bitcast(builder.gep(row, [index]), total.value.type.as_pointer())
                builder.store(total.value, pointer, align=bits // 8)

        at_once = VECTOR_BITS // bits
        width = ir.Constant(length.type, at_once)
        vectors = builder.sdiv(length, width)
        with cgutils.for_range(builder, vectors) as loop:
            step(builder.mul(loop.index, width), ir.VectorType(number, at_once))
        one = ir.Constant(length.type, 1)
        with cgutils.for_range_slice(builder, builder.mul(vectors, width), length, one) as (index, _):
            step(index, number)

    # Numba counts the arguments, so each has a name.
    names = ["typing", *(f"{name}{n}" for n in range(len(counts)) for name in ("array", "place", "distance")), "length"]
    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    operation.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(operation)
