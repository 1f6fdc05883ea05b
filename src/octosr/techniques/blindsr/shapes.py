"""Kernels as points that an optimiser may move anywhere: no bounds, no angle that jumps, round kernels like any other.

A standard deviation between the bounds of a kernel space is ``low + (high - low) * sigmoid(u)``. The u of both axes are
the eigenvalues of the symmetric matrix ``[[m + a, b], [b, m - a]]`` and the kernel's axes its eigenvectors: m is the
mean of both, (a, b) has half their difference as its length and twice the angle as its direction. So the three numbers
of a kernel change smoothly with it, the same whichever axis is called the first, and their averages are kernels between
kernels (the idea of Arsigny et al., Magnetic Resonance in Medicine 56, 2006, for the logarithm in place of the logit).
The public code moves (sigma_1, sigma_2, theta) themselves, unbounded.
"""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.techniques.blindsr.kernels import KernelSpace

EDGE = 1e-3
"""Share of the range at either end that is left out: sigmoid would be flat there."""
ROUND = 1e-4
"""The least length of (a, b): at 0 an angle has no derivative. A kernel this round differs from a round one by 1e-4."""


def to_shapes(parameters: Tensor, space: KernelSpace) -> Tensor:
    """Shapes of kernels.

    Args:
        parameters: sigma_1, sigma_2, theta, (..., 3); clipped to what the space has.
        space: the kernels.

    Returns:
        m, a, b, (..., 3).
    """
    share = (parameters[..., :2] - space.sigma_min) / (space.sigma_max - space.sigma_min)
    first, second = torch.logit(share, EDGE).unbind(-1)
    half, angle = (first - second) / 2, 2 * parameters[..., 2]
    return not_round(torch.stack(((first + second) / 2, half * angle.cos(), half * angle.sin()), -1))


def to_parameters(shapes: Tensor, space: KernelSpace) -> Tensor:
    """sigma_1 >= sigma_2 and theta in [0, pi) of shapes, (..., 3) to (..., 3); differentiable but where a = b = 0.

    >>> space = KernelSpace.standard(2)
    >>> to_parameters(to_shapes(torch.tensor([1.0, 3.0, 0.5]), space), space)
    tensor([3.0000, 1.0000, 2.0708])
    """
    mean, a, b = shapes.unbind(-1)
    half = (a**2 + b**2).sqrt()
    shares = torch.stack((mean + half, mean - half), -1).sigmoid()
    sigmas = space.sigma_min + (space.sigma_max - space.sigma_min) * shares
    theta = torch.remainder(torch.atan2(b, a) / 2, torch.pi)
    return torch.cat((sigmas, theta[..., None]), -1)


def not_round(shapes: Tensor) -> Tensor:
    """The same shapes, those of round kernels moved by the least amount that gives them an angle."""
    mean, a, b = shapes.unbind(-1)
    a = torch.where(torch.hypot(a, b) < ROUND, torch.full_like(a, ROUND), a)
    return torch.stack((mean, a, b), -1)
