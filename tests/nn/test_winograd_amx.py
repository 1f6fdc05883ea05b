"""Winograd convolutions in tile registers: packed words on every CPU, products where it has tiles."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.nn import amx, winograd, winograd_kernels
from octosr.nn import winograd_amx as tiles
from packed_words import pack, unpack

needs_tiles = pytest.mark.skipif(not amx.available(), reason="needs a CPU with AMX")
CLOSE = {"rtol": 2.0**-16, "atol": 0.0}


def convolved(x: Tensor, weight: Tensor, bias: Tensor, relu: bool) -> Tensor:
    maps = x.permute(0, 2, 3, 1).contiguous()
    result = torch.full((*maps.shape[:3], len(weight)), torch.nan)
    tiles.forward(maps, tiles.transform_filter(weight), bias, result, relu)
    return result.permute(0, 3, 1, 2)


def inputs(count: int, width: int, outputs: int, *sides: int) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in ((count, width, *sides), (outputs, width, 3, 3), (outputs,))]


def test_words_hold_values_to_2_16() -> None:
    values = torch.randn(3, 64)
    torch.testing.assert_close(unpack(pack(values)), values, **CLOSE)


def test_filters_are_those_of_float32_packed() -> None:
    weight = torch.randn(64, 32, 3, 3)
    words = tiles.transform_filter(weight)
    assert words.shape == (36, 2, 16, 64)
    exact = winograd.transform_filter(weight.double())
    torch.testing.assert_close(
        unpack(words.permute(0, 3, 1, 2)).mT.double(), exact, rtol=2.0**-16, atol=1e-6 * float(exact.abs().max())
    )


@pytest.mark.parametrize("shape", [(1, 8, 8, 32), (2, 5, 11, 64), (1, 9, 4, 6)])
def test_patches_are_those_of_float32_packed(shape: tuple[int, ...]) -> None:
    maps = torch.randn(shape)
    count = winograd.block_count(maps)
    patches = torch.empty(36, count + 1, shape[3])
    words = torch.zeros(36, count + 1, 2, shape[3] // 2, dtype=torch.int32)
    winograd_kernels.data(maps.numpy(), 0, count, patches.numpy())
    winograd_kernels.packed_data(maps.numpy(), 0, count, words.numpy())
    torch.testing.assert_close(unpack(words)[:, :count], patches[:, :count], **CLOSE)
    assert not words[:, count:].any()


@needs_tiles
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(1, 32, 32, 4, 4), (3, 64, 32, 12, 20), (2, 32, 96, 13, 6), (1, 64, 64, 50, 37)])
def test_equals_direct_convolution_to_1e_5(shape: tuple[int, ...], relu: bool, threads: int) -> None:
    x, weight, bias = inputs(*shape)
    expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    expected = expected.relu() if relu else expected
    found = convolved(x, weight, bias, relu)
    error = (found - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert error < 3e-5
    assert (found - expected).abs().max() < 2e-4 * expected.abs().max()


@needs_tiles
def test_an_image_has_the_same_numbers_in_any_batch() -> None:
    x, weight, bias = inputs(3, 32, 32, 21, 30)
    together = convolved(x, weight, bias, True)
    for n in range(3):
        assert torch.equal(convolved(x[n : n + 1], weight, bias, True), together[n : n + 1])


@needs_tiles
def test_not_a_number_comes_through() -> None:
    x, weight, bias = inputs(1, 32, 32, 4, 4)
    x[0, 0, 0, 0] = torch.nan
    assert convolved(x, weight, bias, True)[0, :, 0, 0].isnan().all()
