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


def test_where_positive_lets_not_a_number_through():
    pair, single, written, added = (np.zeros(120) for _ in range(4))
    pair[1], single[2] = 5.0, np.nan
    _call(pair, single, written, added, 1)
    assert added[4] == 5.0
