"""Banded Winograd convolutions of ordinary feature maps against the direct ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gradients import same_with_gradients
from octosr.nn import winograd
from octosr.nn.convolution import conv3x3, convolve, worthwhile


@pytest.mark.parametrize("band", [1, 36 * 12 * 20, 2**20])  # a block, several, several images at a time
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("relu", [False, True])
def test_equals_direct_convolution_with_all_gradients(monkeypatch, threads, band, layout, relu):
    monkeypatch.setattr(winograd, "BAND_NUMBERS", band)
    monkeypatch.setattr(winograd, "LEAST_BLOCKS", 1)
    torch.manual_seed(0)
    x = torch.randn(3, 5, 15, 12, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    bias = torch.randn(7, dtype=torch.float64).requires_grad_()
    found, expected = conv3x3(x, weight, bias, relu), F.conv2d(x, weight, bias, padding=1)
    expected = expected.relu() if relu else expected
    same_with_gradients(found, expected, (x, weight, bias), value=1e-11, slope=1e-10)


def test_a_relu_also_where_pytorch_convolves():
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(2, 3, 3, 3)
    assert not worthwhile(x, 2)
    assert torch.equal(convolve(x, weight, relu=True), F.conv2d(x, weight, padding=1).relu())


def test_gradients_of_one_argument_alone():
    torch.manual_seed(0)
    x, weight = torch.randn(1, 3, 8, 8).double(), torch.randn(2, 3, 3, 3).double()
    for argument in (x, weight):
        argument.requires_grad_()
        (found,) = torch.autograd.grad(conv3x3(x, weight).square().sum(), argument)
        (expected,) = torch.autograd.grad(F.conv2d(x, weight, padding=1).square().sum(), argument)
        torch.testing.assert_close(found, expected)
        argument.requires_grad_(False)


def test_both_precisions_in_one_thread_and_results_that_may_be_overwritten():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 4, 8, 8), torch.randn(4, 4, 3, 3).requires_grad_()
    for dtype in (torch.float32, torch.float64, torch.float32):
        found = conv3x3(x.to(dtype), weight.to(dtype))
        expected = F.conv2d(x.to(dtype), weight.to(dtype), padding=1)
        torch.testing.assert_close(found.clone(), expected, rtol=1e-4, atol=1e-4)
        F.leaky_relu_(found, 0.2)  # in place, as activations do it
        (gradient,) = torch.autograd.grad(found.sum(), weight)
        (direct,) = torch.autograd.grad(F.leaky_relu(expected, 0.2).sum(), weight)
        torch.testing.assert_close(gradient, direct, rtol=1e-3, atol=1e-3)


def test_a_second_derivative_is_an_error_and_not_wrong():
    x, weight = torch.randn(1, 2, 4, 4, requires_grad=True), torch.randn(2, 2, 3, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(conv3x3(x, weight).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_where_it_is_used():
    x = torch.empty(1, 64, 64, 63)
    assert worthwhile(x, 64)
    assert not worthwhile(x, 3)
    assert not worthwhile(x[..., :12], 64)
    assert worthwhile(x[..., :12], 64, frozen=True)
    assert worthwhile(x[..., :12].expand(2, -1, -1, -1), 64)
    assert not worthwhile(torch.empty(4, 512, 16, 16), 512)
    assert worthwhile(torch.empty(4, 512, 16, 16), 512, frozen=True)
    assert not worthwhile(x.bfloat16(), 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert not worthwhile(x, 64)
