"""Kernels that vary over an image: that codes say exactly what has been done to each pixel."""

from __future__ import annotations

import pytest
import torch

from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.mosaic import REGIONS, Blur, choose, draw_blur, perturb
from octosr.techniques.blindsr.network import Generator, Sizes

SPACE, SIZE = KernelSpace.standard(2), (14, 11)


def test_shares_and_weights():
    ids = torch.arange(400)
    blur = draw_blur(SPACE, 0, ids, 0.3, SIZE)
    assert blur.parameters.shape == (400, REGIONS, 3)
    assert torch.allclose(blur.weights.sum(1), torch.ones(400, *SIZE, dtype=torch.float64))
    one = (blur.weights[:, 0] == 1).flatten(1).all(1)
    assert 0.6 < one.double().mean() < 0.8
    # most of the others have two or three regions that are seen
    seen = (blur.weights[~one].amax((2, 3)) > 0.5).sum(1)
    assert (seen >= 2).double().mean() > 0.6
    assert torch.equal(draw_blur(SPACE, 0, ids[5:7], 0.3, SIZE).weights, blur.weights[5:7])
    assert draw_blur(SPACE, 0, ids, 0.0, SIZE).weights is None


def test_a_mosaic_is_the_reduction_with_the_kernel_blended_at_each_pixel():
    blur = draw_blur(SPACE, 3, torch.arange(2), 1.0, SIZE)
    hr = torch.rand(2, 3, 2 * SIZE[0] + 24, 2 * SIZE[1] + 24, dtype=torch.float64)
    lr = blur.apply(SPACE, hr)
    kernels = SPACE.kernels(blur.parameters)
    generator = Generator(2, SPACE.size, Sizes(code=4, features=4, growth=2, layers=1, blocks=1)).double()
    codes = blur.codes(generator.encode(kernels))
    assert lr.shape == (2, 3, *SIZE)
    assert codes.shape == (2, 4, *SIZE)
    for y, x in ((0, 0), (5, 7), (13, 10)):
        kernel = (blur.weights[1, :, y, x, None, None] * kernels[1]).sum(0)
        expected = (hr[1, :, 2 * y : 2 * y + 25, 2 * x : 2 * x + 25] * kernel).sum((1, 2))
        assert torch.allclose(lr[1, :, y, x], expected, atol=1e-12)
        assert torch.allclose(codes[1, :, y, x], generator.encode(kernel), atol=1e-12)


def test_near_misses_are_near_and_inside():
    ids = torch.arange(500)
    blur = draw_blur(SPACE, 0, ids, 0.5, SIZE)
    near = perturb(SPACE, blur, 0, ids, 0.1)
    difference = (near.parameters - blur.parameters).abs()
    span = SPACE.sigma_max - SPACE.sigma_min
    assert difference[..., :2].max() <= 0.1 * span
    assert difference[..., :2].mean().item() == pytest.approx(0.05 * span, rel=0.1)
    assert difference[..., 2].max() <= 0.1 * torch.pi
    assert near.parameters[..., :2].min() >= SPACE.sigma_min
    assert near.parameters[..., :2].max() <= SPACE.sigma_max
    assert near.weights is blur.weights


def test_choice_between_two_blurs():
    ids = torch.arange(3)
    one, two = draw_blur(SPACE, 0, ids, 0.5, SIZE), draw_blur(SPACE, 1, ids, 0.5, SIZE)
    found = choose(torch.tensor([True, False, True]), one, two)
    assert torch.equal(found.parameters[0], one.parameters[0])
    assert torch.equal(found.weights[1], two.weights[1])
    assert choose(torch.tensor([True, False, True]), Blur(one.parameters), Blur(two.parameters)).weights is None
