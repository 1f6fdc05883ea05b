"""Winograd convolutions against the direct ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from octosr.nn import winograd


def inputs(b, c_in, c_out, h, w, dtype=torch.float64):
    torch.manual_seed(0)
    shapes = (b, c_in, h, w), (c_out, c_in, 3, 3), (c_out,)
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize(("b", "c_in", "c_out", "h", "w"), [(1, 3, 2, 4, 4), (3, 7, 5, 12, 20), (2, 8, 8, 4, 16)])
def test_equals_direct_convolution_with_all_gradients(b, c_in, c_out, h, w):
    x, weight, bias = inputs(b, c_in, c_out, h, w)
    workspace = winograd.Workspace()
    expected = F.conv2d(x, weight, bias, padding=1)
    tiles = winograd.convolve(winograd.to_tiles(x), winograd.transform_filter(weight), bias, workspace)
    found = winograd.from_tiles(tiles)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    gradient = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(y, (x, weight, bias), gradient) for y in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_rounding_error_is_near_that_of_direct_convolution():
    x, weight, bias = (t.detach() for t in inputs(2, 64, 64, 32, 32, torch.float32))
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    direct = F.conv2d(x, weight, bias, padding=1)
    with torch.no_grad():
        tiles = winograd.convolve(winograd.to_tiles(x), winograd.transform_filter(weight), bias, winograd.Workspace())
    error = (winograd.from_tiles(tiles) - exact).square().mean().sqrt()
    assert error < 4 * (direct - exact).square().mean().sqrt()
    assert error < 1e-6 * exact.square().mean().sqrt()


def test_bands_of_large_images_join_without_seam(monkeypatch):
    x, weight, bias = (t.detach() for t in inputs(2, 5, 6, 84, 8))
    monkeypatch.setattr(winograd, "BAND_NUMBERS", 36 * 2 * 2 * 6 * 5)
    with torch.no_grad():
        tiles = winograd.convolve(winograd.to_tiles(x), winograd.transform_filter(weight), bias, winograd.Workspace())
    torch.testing.assert_close(winograd.from_tiles(tiles), F.conv2d(x, weight, bias, padding=1))


def test_workspace_grows_and_is_shared_by_calls_of_several_sizes():
    workspace = winograd.Workspace()
    for side in (8, 16, 4, 12):
        x, weight, bias = (t.detach() for t in inputs(1, 4, 4, side, side))
        with torch.no_grad():
            tiles = winograd.convolve(winograd.to_tiles(x), winograd.transform_filter(weight), bias, workspace)
        torch.testing.assert_close(winograd.from_tiles(tiles), F.conv2d(x, weight, bias, padding=1))


def test_for_full_precision_on_a_cpu_only():
    images = torch.rand(1, 3, 8, 8)
    assert winograd.suits(images)
    assert winograd.suits(images.double())
    assert not winograd.suits(images.bfloat16())
    assert not winograd.suits(images.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.suits(images)
