"""Convolutions with strides in tile registers: packed words on every CPU, products where it has tiles."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from octosr.nn import amx
from octosr.nn.convolution_amx import convolve, relu_packed, transform_filter
from packed_words import pack, unpack

needs_tiles = pytest.mark.skipif(not amx.available(), reason="needs a CPU with AMX")
CLOSE = {"rtol": 2.0**-16, "atol": 0.0}


def test_filters_are_packed_tap_by_tap() -> None:
    weight = torch.randn(32, 64, 3, 3)
    words = transform_filter(weight)
    assert words.shape == (9, 2, 32, 32)
    torch.testing.assert_close(
        unpack(words.permute(0, 3, 1, 2)).view(3, 3, 32, 64).permute(2, 3, 0, 1), weight, **CLOSE
    )


@pytest.mark.parametrize("of", ["channels", "images"])
def test_relu_of_a_sum_packed(of: str) -> None:
    maps = torch.randn(4, 3, 5, 8)
    added = torch.randn(8) if of == "channels" else torch.randn(2, 3, 5, 8)
    expected = F.relu(maps + (added if of == "channels" else added.repeat(2, 1, 1, 1)))
    words = relu_packed(maps, added)
    assert words.shape == (4, 3, 5, 2, 4)
    torch.testing.assert_close(unpack(words), expected, **CLOSE)


@needs_tiles
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("sides", [(3, 3), (8, 35), (21, 20), (5, 70), (40, 31)])
@pytest.mark.parametrize(("inputs", "outputs"), [(32, 32), (64, 96)])
def test_equals_direct_convolution_to_1e_5(inputs: int, outputs: int, sides: tuple[int, int], stride: int) -> None:
    torch.manual_seed(0)
    maps, weight = torch.randn(2, *sides, inputs), torch.randn(outputs, inputs, 3, 3)
    expected = F.conv2d(maps.permute(0, 3, 1, 2).double(), weight.double(), stride=stride).permute(0, 2, 3, 1)
    found = convolve(pack(maps), transform_filter(weight), stride)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 5e-5 * expected.abs().max()
