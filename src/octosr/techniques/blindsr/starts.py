"""The kernels that the search begins with, each of them once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from octosr.techniques.blindsr.kernels import KernelSpace

PUBLISHED_SIGMAS, PUBLISHED_ANGLES = 6, 4
CALIBRATION = (4, 4)
"""Standard deviations and angles of the grid that a calibration is for."""


def start_grid(space: KernelSpace, levels: int, angles: int) -> Tensor:
    """Kernels spread over the space: every pair sigma_1 > sigma_2 at every angle, and every round kernel once.

    Standard deviations are the centres of ``levels`` equal bins from the smallest to the largest, angles those of
    ``angles`` bins of half a turn. (sigma_1, sigma_2, theta) and (sigma_2, sigma_1, theta + 90 degrees) are the same
    kernel, so no pair with sigma_2 > sigma_1 is needed.

    Args:
        space: the kernels.
        levels: standard deviations.
        angles: angles.

    Returns:
        float64, (levels + angles * levels * (levels - 1) / 2, 3).

    >>> len(start_grid(KernelSpace.standard(2), 6, 8)), len(start_grid(KernelSpace.standard(2), 4, 4))
    (126, 28)
    """
    width = (space.sigma_max - space.sigma_min) / levels
    sigmas = [space.sigma_min + (n + 0.5) * width for n in range(levels)]
    found = []
    for n, first in enumerate(sigmas):
        found.append((first, first, 0.0))
        found += [(first, second, (angle + 0.5) * math.pi / angles) for second in sigmas[:n] for angle in range(angles)]
    return torch.tensor(found, dtype=torch.float64)


def calibration_grid(space: KernelSpace) -> Tensor:
    """The kernels whose errors a calibration reads; they are also the starts of the fast search."""
    return start_grid(space, *CALIBRATION)


def published_grid(space: KernelSpace) -> Tensor:
    """The 144 starts of the public code in its order; float64, (144, 3).

    Six standard deviations, the largest a sixth below the space's, for both axes; four angles of a quarter turn.
    """
    step = space.sigma_max / PUBLISHED_SIGMAS
    sigmas = [space.sigma_min + step * n for n in range(PUBLISHED_SIGMAS)]
    angles = [n * math.pi / (2 * PUBLISHED_ANGLES) for n in range(PUBLISHED_ANGLES)]
    found = [(first, second, angle) for first in sigmas for second in sigmas for angle in angles]
    return torch.tensor(found, dtype=torch.float64)


def distinct(space: KernelSpace, starts: Tensor) -> Tensor:
    """Positions of the starts whose kernel none before them has, up to rounding; int64.

    >>> space = KernelSpace.published()
    >>> len(distinct(space, published_grid(space)))
    106
    """
    kernels = space.kernels(starts.double()).flatten(1)
    # Kernels sum to 1: less than 1e-9 apart is rounding.
    same = torch.cdist(kernels, kernels, p=float("inf")) < 1e-9
    first = same.float().argmax(1)
    return torch.arange(len(starts))[first == torch.arange(len(starts))]
