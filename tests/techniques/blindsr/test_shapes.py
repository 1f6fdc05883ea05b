"""The parametrisation of the search, against matrix functions."""

from __future__ import annotations

import torch

from octosr.degradation.aligned import covariances
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.shapes import EDGE, ROUND, to_parameters, to_shapes

SPACE = KernelSpace.standard(2)


def random_parameters(count: int) -> torch.Tensor:
    return SPACE.draw(3, torch.arange(count))


def test_shapes_are_the_logit_of_the_deviations_along_the_axes():
    parameters = random_parameters(20)
    squares = torch.cat((parameters[:, :2].square(), parameters[:, 2:]), 1)
    eigenvalues, vectors = torch.linalg.eigh(covariances(squares))
    share = (eigenvalues.sqrt() - 0.4) / 3.6
    expected = vectors @ torch.diag_embed((share / (1 - share)).log()) @ vectors.mT
    mean, a, b = to_shapes(parameters, SPACE).unbind(-1)
    found = torch.stack((mean + a, b, b, mean - a), -1).unflatten(-1, (2, 2))
    inside = (share.min(1).values > 2 * EDGE) & (share.max(1).values < 1 - 2 * EDGE)
    assert inside.sum() > 15
    assert torch.allclose(found[inside], expected[inside], atol=1e-9)


def test_there_and_back_is_the_same_kernel_with_the_larger_sigma_first():
    parameters = random_parameters(50)
    parameters[:, :2].clamp_(0.41, 3.99)
    back = to_parameters(to_shapes(parameters, SPACE), SPACE)
    assert (back[:, 0] >= back[:, 1]).all()
    assert ((back[:, 2] >= 0) & (back[:, 2] < torch.pi)).all()
    assert torch.allclose(SPACE.kernels(back), SPACE.kernels(parameters), atol=1e-12)


def test_there_are_no_shapes_outside_the_space():
    outside = torch.tensor([[9.0, 0.05, 0.4], [9.0, 2.0, 2.0], [0.1, 0.2, 1.0]], dtype=torch.float64)
    found = to_parameters(to_shapes(outside, SPACE), SPACE)
    clipped = torch.tensor([[4.0, 0.4], [4.0, 2.0], [0.4, 0.4]], dtype=torch.float64)
    assert torch.allclose(found[:, :2], clipped, atol=2 * EDGE * 3.6)
    assert torch.allclose(found[:2, 2], outside[:2, 2])
    torch.manual_seed(0)
    anywhere = to_parameters(100 * torch.randn(100, 3, dtype=torch.float64), SPACE)
    assert anywhere[:, :2].min() >= 0.4
    assert anywhere[:, :2].max() <= 4.0


def test_derivatives_at_a_round_kernel_are_those_of_the_kernel():
    parameters = torch.tensor([[1.5, 1.5, 0.0]], dtype=torch.float64)
    start = to_shapes(parameters, SPACE)
    assert torch.hypot(start[0, 1], start[0, 2]).item() == ROUND
    torch.manual_seed(0)
    weights = torch.randn(SPACE.size, SPACE.size, dtype=torch.float64)
    leaf = start.clone().requires_grad_()
    (SPACE.kernels(to_parameters(leaf, SPACE)) * weights).sum().backward()
    # the same kernel, written without an angle, has its derivatives everywhere
    smooth = torch.tensor([start[0, 0].item(), 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    mean, a, b = smooth
    matrix = torch.stack((torch.stack((mean + a, b)), torch.stack((b, mean - a))))
    eye = torch.eye(2, dtype=torch.float64)
    root = 0.4 * eye + 3.6 * torch.linalg.inv(eye + torch.linalg.matrix_exp(-matrix))
    precision = torch.linalg.inv(root @ root)
    line = torch.arange(SPACE.size, dtype=torch.float64) - SPACE.size // 2 - 0.5
    x, y = line[None, :], -line[:, None]  # this space's angles turn from +x to up
    kernel = torch.exp(-(precision[0, 0] * x**2 + 2 * precision[0, 1] * x * y + precision[1, 1] * y**2) / 2)
    ((kernel / kernel.sum()) * weights).sum().backward()
    assert torch.allclose(leaf.grad[0], smooth.grad, rtol=1e-3, atol=1e-6)
    assert smooth.grad.abs().min() > 1e-4
