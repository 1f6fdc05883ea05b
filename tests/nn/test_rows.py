"""Operations on rows in compiled functions."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from octosr.nn.rows import row_operation

_mix = row_operation([2, 1], [1], lambda a, b, c: [a - b + 0.5 * c, a.where_positive(c)], adds=[1])


@njit
def _call(pair, single, written, added, length):
    _mix(pair, 1, 50, single, 2, 0, written, 3, 0, added, 4, 0, length)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("length", [1, 7, 8, 16, 37])  # less than a vector, whole ones, and a rest
def test_reads_writes_and_adds_as_told(dtype, length):
    random = np.random.default_rng(length)
    pair, single, written, added = (random.standard_normal(120).astype(dtype) for _ in range(4))
    wanted, total = written.copy(), added.copy()
    a, b, c = pair[1 : 1 + length], pair[51 : 51 + length], single[2 : 2 + length]
    wanted[3 : 3 + length] = a - b + dtype(0.5) * c
    total[4 : 4 + length] += np.where(c > 0, a, 0)
    _call(pair, single, written, added, length)
    np.testing.assert_array_equal(written, wanted)
    np.testing.assert_array_equal(added, total)


_pack = row_operation([1, 1], [1, 1], lambda a, b: a.packed(b))


@njit
def _call_pack(first, second, high, low):
    _pack(first, 0, 0, second, 0, 0, high, 0, 0, low, 0, 0, first.size)


@pytest.mark.parametrize("length", [1, 16, 37])
def test_packed_parts_are_rounded_and_add_up_to_2_17(length):
    values = np.random.default_rng(0).standard_normal((2, length)).astype(np.float32)
    values[0, 0], values[1, 0] = 0, -np.inf
    parts = np.empty((2, length), np.int32)
    _call_pack(*values, *parts)
    halves = parts.view(np.uint16).reshape(2, length, 2).astype(np.uint32) << 16
    high, low = halves.view(np.float32).transpose(0, 2, 1)  # each (2, length)
    assert high[0, 0] == 0
    assert low[0, 0] == 0
    assert high[1, 0] == -np.inf
    sums, others = (high + low).ravel(), values.ravel()
    finite = np.isfinite(others)
    assert (np.abs(sums - others)[finite] <= np.abs(others[finite]) * 2.0**-17).all()
    assert (np.abs(low[np.isfinite(low)]) <= 2.0**-8 * np.abs(high[np.isfinite(low)])).all()


def test_where_positive_lets_not_a_number_through():
    pair, single, written, added = (np.zeros(120) for _ in range(4))
    pair[1], single[2] = 5.0, np.nan
    _call(pair, single, written, added, 1)
    assert added[4] == 5.0
