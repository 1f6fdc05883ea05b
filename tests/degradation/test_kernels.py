"""Kernels against their formulae, one tap at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from octosr.degradation.kernels import anisotropic_kernels, dirac_kernels, disturb, isotropic_kernels
from octosr.errors import ConfigError


def gaussian_by_covariance(sigma_x: float, sigma_y: float, theta: float, size: int) -> np.ndarray:
    """exp(-v' C^-1 v / 2), tap by tap, with C built and inverted as a matrix."""
    rotation = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    inverse = np.linalg.inv(rotation @ np.diag([sigma_x**2, sigma_y**2]) @ rotation.T)
    kernel = np.empty((size, size))
    for row in range(size):
        for column in range(size):
            v = np.array([column - size // 2, row - size // 2])
            kernel[row, column] = math.exp(-0.5 * v @ inverse @ v)
    return kernel / kernel.sum()


@pytest.mark.parametrize("size", [1, 11, 21])
def test_anisotropic_kernels_follow_the_covariance_formula(size: int) -> None:
    cases = [(0.6, 5.0, 0.3), (5.0, 0.6, -2.9), (2.0, 2.0, 1.0), (1.3, 4.0, math.pi / 4)]
    sigma_x, sigma_y, theta = torch.tensor(cases, dtype=torch.float64).T
    kernels = anisotropic_kernels(sigma_x, sigma_y, theta, size)
    for kernel, case in zip(kernels, cases, strict=True):
        np.testing.assert_allclose(kernel.numpy(), gaussian_by_covariance(*case, size), atol=1e-14)


def test_isotropic_kernels_follow_the_formula_and_are_isotropic() -> None:
    sigma = torch.tensor([0.2, 1.0, 4.0], dtype=torch.float64)
    kernels = isotropic_kernels(sigma, 21)
    for kernel, s in zip(kernels, sigma.tolist(), strict=True):
        np.testing.assert_allclose(kernel.numpy(), gaussian_by_covariance(s, s, 0.7, 21), atol=1e-14)
    assert torch.equal(kernels, kernels.transpose(1, 2))
    assert torch.equal(kernels, kernels.flip(1))


def test_the_long_axis_of_a_kernel_lies_at_theta() -> None:
    """At 45 degrees from x (right) towards y (down), the mass lies on the main diagonal."""
    angle = torch.tensor([math.pi / 4], dtype=torch.float64)
    kernel = anisotropic_kernels(torch.tensor([4.0]).double(), torch.tensor([1.0]).double(), angle, 21)[0]
    assert kernel.diagonal().sum() / kernel.flip(1).diagonal().sum() == pytest.approx(4, rel=0.05)


def test_a_batch_equals_its_singles_and_sums_to_one() -> None:
    parameters = torch.rand(3, 16, dtype=torch.float64) * 4 + 0.6
    batch = anisotropic_kernels(*parameters, 31)
    assert torch.equal(batch, torch.cat([anisotropic_kernels(*p[:, None], 31) for p in parameters.T]))
    torch.testing.assert_close(batch.sum((1, 2)), torch.ones(16, dtype=torch.float64), atol=1e-14, rtol=0)
    assert isotropic_kernels(torch.tensor([1.5]), 11).dtype == torch.float32


def test_disturbance_multiplies_taps_and_restores_the_sum() -> None:
    kernels = isotropic_kernels(torch.tensor([1.0, 3.0], dtype=torch.float64), 11)
    u = torch.rand(2, 11, 11, dtype=torch.float64)
    disturbed = disturb(kernels, 0.25, u)
    for k, d, n in zip(kernels.numpy(), disturbed.numpy(), u.numpy(), strict=True):
        expected = k * (1 + 0.25 * n)
        np.testing.assert_allclose(d, expected / expected.sum(), atol=1e-15)


def test_dirac_is_one_at_the_centre() -> None:
    kernels = dirac_kernels(2, 5)
    assert kernels.shape == (2, 5, 5)
    assert kernels[:, 2, 2].tolist() == [1, 1]
    assert kernels.sum() == 2


@pytest.mark.parametrize("size", [20, 0, -3])
def test_sizes_without_a_centre_are_refused(size: int) -> None:
    one = torch.ones(1)
    for make in (
        lambda: isotropic_kernels(one, size),
        lambda: anisotropic_kernels(one, one, one, size),
        lambda: dirac_kernels(1, size),
    ):
        with pytest.raises(ConfigError, match=r"kernel_size must be odd"):
            make()


def test_gradients_reach_the_parameters() -> None:
    p = torch.rand(3, 2, dtype=torch.float64) + 1
    p.requires_grad_()
    assert torch.autograd.gradcheck(lambda q: anisotropic_kernels(*q, 5), (p,))
