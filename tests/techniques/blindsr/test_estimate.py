"""The one blur of several stages, for one kernel an image and for maps of kernels."""

from __future__ import annotations

import pytest
import torch

from octosr.degradation.aligned import compose
from octosr.techniques.blindsr.estimate import StageEstimate, compose_estimates
from octosr.techniques.blindsr.kernels import KernelSpace

SPACE = KernelSpace.standard(2)


def covariance(kernel):
    line = torch.arange(kernel.shape[-1], dtype=torch.float64)
    mean_x, mean_y = (kernel.sum(-2) * line).sum(), (kernel.sum(-1) * line).sum()
    x, y = line - mean_x, line - mean_y
    xx, yy = (kernel.sum(-2) * x**2).sum(), (kernel.sum(-1) * y**2).sum()
    xy = (kernel * y[:, None] * x).sum()
    return torch.stack((xx, xy, yy))


def one(parameters):
    parameters = torch.tensor(parameters, dtype=torch.float64)
    return StageEstimate(2, torch.zeros(len(parameters), 3, 2, 2), parameters, SPACE.kernels(parameters))


def several(parameter_map):
    kernels = SPACE.kernels(parameter_map.movedim(1, -1))
    return StageEstimate(2, torch.zeros(1, 3, 2, 2), torch.zeros(1, 3), kernels.mean((1, 2)), parameter_map, kernels)


def test_three_times_the_same_gaussian_has_21_times_its_covariance():
    estimates = [one([[1.3, 0.8, 0.4]])] * 3
    kernel, kernel_map = compose_estimates(estimates)
    assert kernel_map is None
    assert kernel.sum().item() == pytest.approx(1)
    assert torch.allclose(covariance(kernel[0]), 21 * covariance(estimates[0].kernel[0]), rtol=1e-9)


def test_maps_are_composed_cell_by_cell_in_the_first_map_s_cells():
    torch.manual_seed(0)
    coarse = SPACE.draw(0, torch.arange(4)).T.reshape(1, 3, 2, 2)
    fine = SPACE.draw(0, torch.arange(4, 20)).T.reshape(1, 3, 4, 4)
    plain = one([[1.0, 0.9, 0.2]])
    kernel, kernel_map = compose_estimates([plain, several(coarse), several(fine)])
    assert kernel_map.shape[:3] == (1, 2, 2)
    for row in range(2):
        for column in range(2):
            second = SPACE.kernels(coarse[:, :, row, column])
            cells = SPACE.kernels(fine.movedim(1, -1))[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected = compose(compose(plain.kernel, second, 2), cells.mean((1, 2)), 2)
            assert torch.allclose(kernel_map[:, row, column], expected, atol=1e-12)
    assert torch.allclose(kernel, kernel_map.mean((1, 2)))
