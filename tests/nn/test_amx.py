"""Products in tile registers against those of matrices of float64, and when they are not to be had."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numba import njit

from octosr.nn import amx
from packed_words import pack

needs_tiles = pytest.mark.skipif(not amx.available(), reason="needs a CPU with AMX")


@pytest.fixture
def asked_anew() -> Iterator[None]:
    amx.available.cache_clear()
    yield
    amx.available.cache_clear()


def test_not_on_other_processors(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert amx.available() is False


def test_not_where_the_processor_has_none(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    monkeypatch.setattr(amx.binding, "get_host_cpu_features", lambda: {"avx2": True})
    assert amx.available() is False


def test_not_where_the_system_refuses(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    class Library:
        def syscall(self, *_: int) -> int:
            return -1

    monkeypatch.setattr(amx.binding, "get_host_cpu_features", lambda: {"amx-tile": True, "amx-bf16": True})
    monkeypatch.setattr(amx.ctypes, "CDLL", lambda _: Library())
    assert amx.available() is False


@njit
def _product(left, right, rows, outer, settings, to):
    inner = right.size // (2 * outer)
    amx.begin(settings)
    for column in range(0, outer, 32):
        amx.clear()
        amx.add_product(left, 0, rows * 2 * inner, 2 * inner, inner, right, column, outer)
        amx.store(to, column, rows * outer + column, outer)
    amx.end()


@needs_tiles
@pytest.mark.parametrize(("rows", "inner", "outer"), [(16, 32, 32), (16, 96, 64), (5, 64, 32)])
def test_a_product_is_right_to_1e_5(rows: int, inner: int, outer: int) -> None:
    torch.manual_seed(0)
    left, right = torch.randn(2 * rows, inner), torch.randn(inner, outer)
    words = pack(left)  # (rows, 2, inner/2)
    columns = pack(right.T).permute(1, 2, 0).contiguous()  # (2, inner/2, outer)
    found = np.full(2 * rows * outer, np.nan, np.float32)
    _product(words.flatten().numpy(), columns.flatten().numpy(), rows, outer, amx.configuration(rows), found)
    expected = left.double() @ right.double()
    error = torch.from_numpy(found).view(2 * rows, outer) - expected
    assert error.square().mean().sqrt() < 1e-5 * expected.square().mean().sqrt()
