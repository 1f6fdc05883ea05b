"""Winograd convolutions against the direct ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.nn import winograd


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool = False) -> Tensor:
    maps = x.permute(0, 2, 3, 1).contiguous()
    result = torch.full((*maps.shape[:3], len(weight)), torch.nan, dtype=x.dtype)
    winograd.forward(maps, winograd.transform_filter(weight), bias, result, relu)
    return result.permute(0, 3, 1, 2)


def inputs(count: int, width: int, outputs: int, *sides: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(0)
    shapes = (count, width, *sides), (outputs, width, 3, 3), (outputs,)
    return [torch.randn(shape, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(1, 3, 2, 4, 4), (3, 7, 5, 12, 20), (2, 17, 9, 13, 6), (1, 4, 33, 1, 2)])
def test_equals_direct_convolution(shape: tuple[int, ...], relu: bool, threads: int) -> None:
    x, weight, bias = inputs(*shape)
    expected = F.conv2d(x, weight, bias, padding=1)
    expected = expected.relu() if relu else expected
    torch.testing.assert_close(convolved(x, weight, bias, relu), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("band", [1, 36 * 16 * 20, 2**20])  # a block at a time, several, all
def test_bands_join_without_seam(monkeypatch: pytest.MonkeyPatch, band: int, threads: int) -> None:
    monkeypatch.setattr(winograd, "BAND_NUMBERS", band)
    monkeypatch.setattr(winograd, "LEAST_BLOCKS", 1)
    x, weight, bias = inputs(2, 5, 6, 37, 10)
    torch.testing.assert_close(convolved(x, weight, bias), F.conv2d(x, weight, bias, padding=1))


def test_rounding_error_is_near_that_of_direct_convolution() -> None:
    x, weight, bias = inputs(2, 64, 64, 32, 32, dtype=torch.float32)
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    direct = F.conv2d(x, weight, bias, padding=1)
    error = (convolved(x, weight, bias) - exact).square().mean().sqrt()
    assert error < 4 * (direct - exact).square().mean().sqrt()
    assert error < 1e-6 * exact.square().mean().sqrt()


def test_sizes_and_precisions_may_follow_each_other() -> None:
    for side, dtype in ((8, torch.float64), (16, torch.float32), (5, torch.float64), (12, torch.float32)):
        x, weight, bias = inputs(1, 4, 4, side, side, dtype=dtype)
        torch.testing.assert_close(
            convolved(x, weight, bias), F.conv2d(x, weight, bias, padding=1), rtol=1e-4, atol=1e-4
        )


def test_a_relu_lets_nan_through() -> None:
    x, weight, bias = inputs(1, 2, 3, 4, 4)
    x[0, 0, 0, 0] = torch.nan
    found = convolved(x, weight, bias, relu=True)
    assert torch.equal(found.isnan(), torch.relu(F.conv2d(x, weight, bias, padding=1)).isnan() | found.isnan())
    assert found[0, :, 0, 0].isnan().all()


def test_the_transforms_are_those_of_the_theory() -> None:
    """A^T [(G g G^T) * (B^T d B)] A for one filter and one patch, from the compiled loops."""
    from octosr.nn import winograd_kernels as kernels

    patch = np.random.default_rng(0).standard_normal((1, 4, 4, 1))
    transformed, result = np.empty((36, 1, 1)), np.empty((1, 4, 4, 1))
    kernels.data(patch, 0, 1, transformed)
    taps = torch.randn(1, 1, 3, 3, dtype=torch.float64)
    products = transformed * winograd.transform_filter(taps).numpy()
    kernels.output(products, 0, 1, np.zeros(1), False, result)
    expected = F.conv2d(torch.from_numpy(patch).permute(0, 3, 1, 2), taps, padding=1)
    torch.testing.assert_close(torch.from_numpy(result).permute(0, 3, 1, 2), expected)


def test_for_full_precision_on_a_cpu_only() -> None:
    images = torch.rand(1, 3, 8, 8)
    assert winograd.suits(images)
    assert winograd.suits(images.double())
    assert not winograd.suits(images.bfloat16())
    assert not winograd.suits(images.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.suits(images)
