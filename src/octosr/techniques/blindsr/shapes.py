"""Kernels as points that an optimiser may move freely: the logarithm of their covariance.

``log C / 2`` of a 2x2 covariance C is the symmetric matrix ``[[m + a, b], [b, m - a]]``: m is the mean log standard
deviation, (a, b) has half the log ratio of the two as its length and twice the angle as its direction. Three numbers,
smooth where a kernel is round (its angle means nothing there), with no jump at 180 degrees and nothing below zero;
averages of them are averages of kernels (Arsigny et al., Magnetic Resonance in Medicine 56, 2006). The public code
moves (sigma_1, sigma_2, theta) themselves, unbounded.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from octosr.techniques.blindsr.kernels import KernelSpace

ROUND = 1e-4
"""The least length of (a, b): at 0 an angle has no derivative. A kernel this round differs from a round one by 1e-4."""


def to_shapes(parameters: Tensor) -> Tensor:
    """(..., 3) sigma_1, sigma_2, theta to (..., 3) m, a, b.

    >>> to_shapes(torch.tensor([2.0, 2.0, 0.7]))
    tensor([0.6931, 0.0000, 0.0000])
    """
    first, second = parameters[..., :2].log().unbind(-1)
    half, angle = (first - second) / 2, 2 * parameters[..., 2]
    return torch.stack(((first + second) / 2, half * angle.cos(), half * angle.sin()), -1)


def to_parameters(shapes: Tensor) -> Tensor:
    """(..., 3) m, a, b with (a, b) not 0 to (..., 3) sigma_1 >= sigma_2, theta in [0, pi); differentiable.

    >>> to_parameters(to_shapes(torch.tensor([1.0, 3.0, 0.5]))).sub(torch.tensor([3.0, 1.0, 0.5 + torch.pi / 2])).abs() < 1e-6
    tensor([True, True, True])
    """
    mean, a, b = shapes.unbind(-1)
    half = (a**2 + b**2).sqrt()
    theta = torch.remainder(torch.atan2(b, a) / 2, torch.pi)
    return torch.stack(((mean + half).exp(), (mean - half).exp(), theta), -1)


def bounded(shapes: Tensor, space: KernelSpace) -> Tensor:
    """The nearest shapes whose standard deviations the space has, none exactly round.

    Args:
        shapes: (..., 3).
        space: the kernels.
    """
    low, high = math.log(space.sigma_min), math.log(space.sigma_max)
    mean, a, b = shapes.unbind(-1)
    half = (a**2 + b**2).sqrt()
    first, second = (mean + half).clamp(low, high), (mean - half).clamp(low, high)
    wanted = ((first - second) / 2).clamp_min(ROUND)
    round_already = half < ROUND
    factor = wanted / half.clamp_min(ROUND)
    return torch.stack(
        (
            (first + second) / 2,
            torch.where(round_already, wanted, a * factor),
            torch.where(round_already, torch.zeros_like(b), b * factor),
        ),
        -1,
    )
