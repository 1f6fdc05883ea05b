"""Aligned reduction: where its pixels lie, against loops over taps, and how reductions compose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from octosr.degradation.aligned import (
    aligned_kernels,
    compose,
    covariances,
    margin,
    parameters_of,
    strided_blur,
    trim,
)
from octosr.errors import ConfigError

SIZES = {2: 13, 4: 33, 8: 81}
ROUND = {2: (0.6, 5.0), 4: (3.0, 25.0), 8: (12.6, 105.0)}


def parameters(*rows: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def moments(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (x, y) and covariance of a kernel."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]]
    mean = np.array([(kernel * x).sum(), (kernel * y).sum()])
    dx, dy = x - mean[0], y - mean[1]
    xy = (kernel * dx * dy).sum()
    return mean, np.array([[(kernel * dx * dx).sum(), xy], [xy, (kernel * dy * dy).sum()]])


@pytest.mark.parametrize("scale", [2, 4])
def test_kernel_follows_the_formula_tap_by_tap(scale: int) -> None:
    size, (first, second, theta) = SIZES[scale], (4.0, 1.5, 0.7)
    rotation = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    inverse = np.linalg.inv(rotation @ np.diag([first, second]) @ rotation.T)
    mean = size // 2 + 0.5 * (scale - size % 2)
    expected = np.empty((size, size))
    for row in range(size):
        for column in range(size):
            v = np.array([column - mean, row - mean])
            expected[row, column] = math.exp(-0.5 * v @ inverse @ v)
    found = aligned_kernels(parameters((first, second, theta)), size, scale)[0].numpy()
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-15)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_ramp_comes_out_as_the_coordinates_of_bicubic_resizing(scale: int) -> None:
    low, high = ROUND[scale]
    wanted = parameters((low, low, 0.0), (high, low, 0.4), (high, high, 0.0))
    kernels = aligned_kernels(wanted, SIZES[scale], scale)
    side = 16 * scale
    ramp = torch.arange(side, dtype=torch.float64).expand(3, 1, side, side)
    m = margin(SIZES[scale], scale)
    expected = scale * (torch.arange(16 - 2 * m) + m) + (scale - 1) / 2
    for images, axis in ((ramp, -1), (ramp.mT, -2)):
        found = strided_blur(images, kernels, scale)
        assert found.shape == (3, 1, 16 - 2 * m, 16 - 2 * m)
        line = found.mean(-2 if axis == -1 else -1)[:, 0]
        # the widest kernels lose a little of one side: 0.01 of an LR pixel
        assert (line - expected).abs().max() < 0.01 * scale


def test_one_gaussian_at_two_levels_is_five_times_it_and_at_three_levels_twentyone_times() -> None:
    one = parameters((1.2, 0.7, 0.5))
    small = aligned_kernels(one, 25, 2)
    twice = compose(small, small, 2)
    thrice = compose(twice, small, 2)
    truth = covariances(one)[0].numpy()
    np.testing.assert_allclose(moments(twice[0].numpy())[1], 5 * truth, rtol=1e-4)
    np.testing.assert_allclose(moments(thrice[0].numpy())[1], 21 * truth, rtol=1e-4)


@pytest.mark.parametrize(("inner", "outer"), [(2, 4), (4, 2)])
def test_two_reductions_equal_one_with_the_composed_kernel(inner: int, outer: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 128, 136, dtype=torch.float64)
    k_outer = aligned_kernels(parameters((4.0, 1.0, 0.3), (2.0, 2.0, 0.0)), SIZES[outer], outer)
    k_inner = aligned_kernels(parameters((3.0, 1.0, 2.0), (1.0, 0.8, 1.0)), SIZES[inner], inner)
    twice = strided_blur(strided_blur(images, k_outer, outer), k_inner, inner)
    once = strided_blur(images, compose(k_inner, k_outer, outer), inner * outer)
    assert once.shape == twice.shape
    assert torch.allclose(once, twice, atol=1e-12)


def test_strided_blur_is_the_plain_correlation_of_each_image_with_its_own_kernel() -> None:
    torch.manual_seed(1)
    images, kernels = torch.rand(2, 3, 20, 24, dtype=torch.float64), torch.rand(2, 5, 5, dtype=torch.float64)
    found = strided_blur(images, kernels, 2)
    for n in range(2):
        for c in range(3):
            full = convolve2d(images[n, c].numpy(), kernels[n].numpy()[::-1, ::-1], mode="valid")
            np.testing.assert_allclose(found[n, c].numpy(), full[::2, ::2], atol=1e-12)


def test_parameters_come_back_from_covariances() -> None:
    given = parameters((4.0, 1.0, 0.1), (4.0, 1.0, 3.1), (2.5, 2.0, 1.6))
    assert torch.allclose(parameters_of(covariances(given)), given, atol=1e-12)
    # the order of the axes is arbitrary: the larger comes first
    assert torch.allclose(
        parameters_of(covariances(parameters((1.0, 4.0, 0.1)))), parameters((4.0, 1.0, 0.1 + math.pi / 2))
    )


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"kernel of 73 pixels shifts the x8 LR image"):
        margin(73, 8)
    with pytest.raises(ConfigError, match="16"):
        margin(9, 8)
    with pytest.raises(ValueError, match="not the centre"):
        trim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 7, 8))
    with pytest.raises(ValueError, match="not the centre"):
        trim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 10, 8))
