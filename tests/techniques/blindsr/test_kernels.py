"""Kernel spaces: the formula, symmetries, alignment with the bicubic grid, gradients everywhere, random draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from octosr.degradation.aligned import compose
from octosr.errors import ConfigError
from octosr.techniques.blindsr.kernels import KernelSpace


def slow_kernel(first: float, second: float, theta: float, size: int, centre: float) -> np.ndarray:
    """Pixel by pixel: axis 1 points to (cos, -sin) in (column, row), counter-clockwise on the screen."""
    kernel = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            x, y = column - centre, row - centre
            along = x * math.cos(theta) - y * math.sin(theta)
            across = x * math.sin(theta) + y * math.cos(theta)
            kernel[row, column] = math.exp(-(along**2) / (2 * first**2) - across**2 / (2 * second**2))
    return kernel / kernel.sum()


@pytest.mark.parametrize(
    ("space", "centre"),
    [(KernelSpace.published(), 7), (KernelSpace.standard(2), 12.5), (KernelSpace.standard(4), 25.5)],
)
def test_kernels_are_the_slow_formula(space, centre):
    parameters = torch.tensor([[[2.5, 0.9, 0.4], [1.2, 3.0, 2.9]]], dtype=torch.float64)
    found = space.kernels(parameters)
    assert found.shape == (1, 2, space.size, space.size)
    for kernel, (first, second, theta) in zip(found[0], parameters[0].tolist(), strict=True):
        np.testing.assert_allclose(kernel.numpy(), slow_kernel(first, second, theta, space.size, centre), atol=1e-12)


def test_the_published_space_is_the_published_one():
    assert KernelSpace.published() == KernelSpace(2, 15, 0.001, 4.0, aligned=False)
    assert [KernelSpace.standard(s).size for s in (2, 4, 8)] == [25, 49, 97]
    one = KernelSpace.published().kernels(torch.tensor([[0.001, 0.001, 0.3]]))
    assert one[0, 7, 7] == 1


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_reduced_ramp_lies_on_the_bicubic_grid(scale):
    """LR pixel j sits at HR coordinate s*j + (s-1)/2; with the published kernels it sits at s*j."""
    side = 20 * scale
    ramp = torch.arange(side, dtype=torch.float64).expand(1, 1, side, side)
    for space, offset in ((KernelSpace.standard(scale), (scale - 1) / 2), (KernelSpace.published(scale), 0)):
        parameters = torch.tensor([[1.5 * scale, 0.3 * scale, 0.5]], dtype=torch.float64)
        lr = space.degrade(ramp, space.kernels(parameters))[0, 0]
        inside = space.inside(ramp)[0, 0]
        assert [n * scale for n in lr.shape] == list(inside.shape)
        # the enlarged LR image is the HR image without its rim, so LR pixel 0 begins where that begins
        expected = inside[0, 0] + scale * torch.arange(lr.shape[1]) + offset
        assert (lr[0] - expected).abs().max() < 0.01


def test_published_truncation_and_ours():
    """At sigma 4 the published 15 pixels hold 94 % of an axis, with an effective sigma of 3.41; ours reach 3 sigma."""
    for space, lowest, highest in ((KernelSpace.published(), 3.38, 3.44), (KernelSpace.standard(2), 3.92, 4.0)):
        kernel = space.kernels(torch.tensor([[4.0, 4.0, 0.0]], dtype=torch.float64))[0]
        line = torch.arange(space.size, dtype=torch.float64)
        mass = kernel.sum(0)
        mean = (mass * line).sum()
        assert lowest < (mass * (line - mean) ** 2).sum().sqrt() < highest


def test_kernels_have_gradients_in_the_whole_space():
    """The published one has none at its start (0.001, 2.001) off the axes; ours nowhere less than a thousandth."""

    def slopes(space, parameters):
        jacobian = torch.func.vmap(torch.func.jacfwd(lambda p: space.kernels(p)))(parameters)
        return jacobian.flatten(1, 2).norm(dim=1)[:, :2]

    published = slopes(KernelSpace.published(), torch.tensor([[0.001, 2.001, math.pi / 8]], dtype=torch.float64))
    assert published.max() == 0
    space = KernelSpace.standard(2)
    sigmas = torch.linspace(space.sigma_min, space.sigma_max, 5, dtype=torch.float64)
    angles = torch.linspace(0, math.pi, 5, dtype=torch.float64)
    grid = torch.cartesian_prod(sigmas, sigmas, angles)
    assert slopes(space, grid).min() > 1e-3


@pytest.mark.parametrize(("times", "factor"), [(2, 5), (3, 21)])
def test_covariances_of_several_passes_add_up(times, factor):
    space = KernelSpace.standard(2)
    parameters = torch.tensor([[1.4, 0.9, 0.6]], dtype=torch.float64)
    one = space.kernels(parameters)
    whole = one
    scale = 2
    for _ in range(times - 1):
        whole = compose(whole, one, 2)
        scale *= 2
    line = torch.arange(whole.shape[-1], dtype=torch.float64)
    mean_x, mean_y = (whole[0].sum(dim) @ line for dim in (0, 1))
    xy = ((line[None, :] - mean_x) * (line[:, None] - mean_y) * whole[0]).sum()
    xx = (whole[0].sum(0) * (line - mean_x) ** 2).sum()
    expected = factor * space.covariances(parameters)[0]
    assert xx.item() == pytest.approx(expected[0, 0].item(), rel=2e-3)
    assert xy.item() == pytest.approx(expected[0, 1].item(), rel=2e-3)
    assert expected[0, 1] < 0  # counter-clockwise on the screen is from x towards -y


def test_canonical_is_the_same_kernel():
    space = KernelSpace.standard(2)
    parameters = torch.tensor([[1.0, 2.5, 0.3], [2.5, 1.0, -4.0], [2.0, 2.0, 1.0]], dtype=torch.float64)
    found = space.canonical(parameters)
    assert torch.allclose(space.kernels(found), space.kernels(parameters), atol=1e-9)
    assert (found[:, 0] >= found[:, 1] - 1e-9).all()
    assert ((found[:, 2] >= 0) & (found[:, 2] < math.pi)).all()


def test_draws_cover_the_space_and_depend_on_seed_sample_and_stream_alone():
    space, ids = KernelSpace.standard(4), torch.arange(3000)
    found = space.draw(0, ids)
    assert found[:, :2].min() >= space.sigma_min
    assert found[:, :2].max() <= space.sigma_max
    assert found[:, :2].mean().item() == pytest.approx((space.sigma_min + space.sigma_max) / 2, rel=0.02)
    assert torch.histc(found[:, 2], 6, 0, math.pi).min() > 400
    assert torch.equal(space.draw(0, ids[7:9]), found[7:9])
    assert not torch.equal(space.draw(1, ids[:2]), found[:2])
    assert not torch.equal(space.draw(0, ids[:2], "other"), found[:2])


def test_degrade_gives_every_image_its_own_kernel():
    space = KernelSpace.standard(2)
    hr = torch.rand(3, 3, 40, 44, dtype=torch.float64)
    kernels = space.kernels(space.draw(0, torch.arange(3)))
    together = space.degrade(hr, kernels)
    assert together.shape == (3, 3, 8, 10)
    slow = torch.zeros(3, 8, 10, dtype=torch.float64)
    for i in range(8):
        for j in range(10):
            slow[:, i, j] = (hr[1, :, 2 * i : 2 * i + 25, 2 * j : 2 * j + 25] * kernels[1]).sum((1, 2))
    assert torch.allclose(together[1], slow, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 15, 0.4, 4.0, True), "kernel of 15 pixels shifts the x2"),
        ((2, 14, 0.4, 4.0, False), "odd"),
        ((2, 25, 0.0, 4.0, True), "0 < smallest"),
        ((2, 25, 4.0, 4.0, True), "0 < smallest"),
    ],
)
def test_spaces_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        KernelSpace(*arguments)


def test_numbers_and_back():
    for space in (KernelSpace.published(), KernelSpace.standard(8)):
        assert KernelSpace.of_numbers(space.scale, space.numbers()) == space
