"""Chains of convolutions without gradients: each way to do a convolution, and ways that follow each other."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.nn import amx, chain_forward
from octosr.nn.chain_forward import convolve_without_gradient, to_few

needs_tiles = pytest.mark.skipif(not amx.available(), reason="needs a CPU with AMX")


def chain_of(*widths: int, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    weights = [torch.randn(o, i, 3, 3, dtype=dtype) / (9 * i) ** 0.5 for i, o in pairwise(widths)]
    return weights, [torch.randn(o, dtype=dtype) / 10 for o in widths[1:]]


def direct(x: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    for n, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
        x = x.relu() if n < len(weights) - 1 else x
    return x


@torch.no_grad()
@pytest.mark.parametrize("widths", [(3, 6, 6, 2), (6, 2, 6), (2, 2), (6, 6)])
def test_each_way_and_in_turn(monkeypatch: pytest.MonkeyPatch, widths: tuple[int, ...], threads: int) -> None:
    monkeypatch.setattr(chain_forward, "LEAST_CHANNELS", 5)
    weights, biases = chain_of(*widths, dtype=torch.float64)
    images = [torch.randn(2, widths[0], 9, 14).double(), torch.randn(1, widths[0], 4, 3).double()]
    for found, x in zip(convolve_without_gradient(images, weights, biases, False), images, strict=True):
        torch.testing.assert_close(found, direct(x, weights, biases), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_results_are_not_overwritten_by_the_next_call() -> None:
    weights, biases = chain_of(48, 48, 48, dtype=torch.float32)
    x = torch.randn(1, 48, 8, 8)
    first = convolve_without_gradient([x], weights, biases, False)[0]
    kept = first.clone()
    convolve_without_gradient([x + 1], weights, biases, False)
    assert torch.equal(first, kept)


@torch.no_grad()
@pytest.mark.parametrize("widths", [(3, 64, 64, 3), (3, 64, 48, 64, 5), (32, 96, 64)])
@pytest.mark.parametrize("tiles", [False, pytest.param(True, marks=needs_tiles)])
def test_coarse_ones_are_right_to_1e_4(monkeypatch: pytest.MonkeyPatch, widths: tuple[int, ...], tiles: bool) -> None:
    monkeypatch.setattr(amx, "available", lambda: tiles)
    weights, biases = chain_of(*widths, dtype=torch.float32)
    x = torch.randn(2, widths[0], 21, 34)
    found, exact = convolve_without_gradient([x], weights, biases, True)[0], direct(x, weights, biases)
    error = (found - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert error < (1e-4 if tiles else 2e-6)
    if not tiles:
        assert torch.equal(found, convolve_without_gradient([x], weights, biases, False)[0])


@pytest.mark.parametrize("shape", [(2, 5, 4, 7), (1, 64, 16, 16), (3, 2, 1, 1)])
def test_to_few_equals_direct_convolution(shape: tuple[int, ...]) -> None:
    x, weight, bias = torch.randn(shape).double(), torch.randn(3, shape[1], 3, 3).double(), torch.randn(3).double()
    for layout in (torch.contiguous_format, torch.channels_last):
        found = to_few(x.contiguous(memory_format=layout), weight, bias)
        torch.testing.assert_close(found, F.conv2d(x, weight, bias, padding=1), rtol=1e-10, atol=1e-10)
