"""Enlargement and convolution by differences against carrying both out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gradients import same_with_gradients
from octosr.techniques.fastgan import enlarging
from octosr.techniques.fastgan.enlarging import doubling_conv, worthwhile


@pytest.mark.parametrize("band", [1, 2**7, 2**18])  # a row of an image, several rows, several images
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_enlarging_and_convolving_with_all_gradients(monkeypatch, threads, band, layout):
    monkeypatch.setattr(enlarging, "BAND_NUMBERS", band)
    torch.manual_seed(0)
    x = torch.randn(3, 5, 6, 4, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    found, expected = doubling_conv(x, weight), F.conv2d(F.interpolate(x, scale_factor=2.0), weight, padding=1)
    same_with_gradients(found, expected, (x, weight), value=1e-12, slope=1e-12)


def test_gradients_of_one_argument_alone():
    torch.manual_seed(0)
    x, weight = torch.randn(1, 3, 4, 4).double(), torch.randn(2, 3, 3, 3).double()
    for argument in (x, weight):
        argument.requires_grad_()
        (found,) = torch.autograd.grad(doubling_conv(x, weight).square().sum(), argument)
        plain = F.conv2d(F.interpolate(x, scale_factor=2.0), weight, padding=1)
        (expected,) = torch.autograd.grad(plain.square().sum(), argument)
        torch.testing.assert_close(found, expected)
        argument.requires_grad_(False)


def test_rounding_error_is_near_that_of_the_plain_form():
    torch.manual_seed(0)
    x, weight = torch.randn(2, 64, 16, 16) + 3, torch.randn(64, 64, 3, 3)
    enlarged = F.interpolate(x, scale_factor=2.0)
    exact = F.conv2d(enlarged.double(), weight.double(), padding=1)
    plain = (F.conv2d(enlarged, weight, padding=1) - exact).square().mean().sqrt()
    assert (doubling_conv(x, weight) - exact).square().mean().sqrt() < 2 * plain


def test_results_may_be_overwritten_and_a_second_derivative_is_an_error():
    torch.manual_seed(0)
    x, weight = torch.randn(1, 2, 4, 4, requires_grad=True), torch.randn(2, 2, 3, 3, requires_grad=True)
    (found,) = torch.autograd.grad(F.leaky_relu_(doubling_conv(x, weight), 0.2).sum(), weight)
    plain = F.conv2d(F.interpolate(x, scale_factor=2.0), weight, padding=1)
    (expected,) = torch.autograd.grad(F.leaky_relu(plain, 0.2).sum(), weight)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(doubling_conv(x, weight).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_where_it_is_used():
    x = torch.empty(1, 64, 8, 8)
    assert worthwhile(x, 64)
    assert not worthwhile(x, 16)
    assert not worthwhile(x[:, :16], 64)
    assert not worthwhile(x[..., :4, :], 64)
    assert not worthwhile(x.bfloat16(), 64)
    assert not worthwhile(x.to("meta"), 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert not worthwhile(x, 64)
