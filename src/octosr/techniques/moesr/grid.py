"""The blur kernels of MoESR's experts: 85 settings, served by 25 trained networks through flips and rotations.

Variances are spaced evenly in standard deviation: the centres of five bins between the roots of 0.6 and 5 (in x2
pixels), angles are the odd multiples of pi/16. A blur along angle theta becomes one along another angle when the image
is flipped or turned, so only two angles of the eight need networks of their own. One Gaussian applied at every x2
level of an enlargement by s is a single Gaussian of (s^2 - 1)/3 times the variance: 1, 5 and 21 for x2, x4 and x8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from octosr.techniques.moesr.symmetry import FLIP, FLIP_ROTATE, IDENTITY, ROTATE

BASE_LAMBDAS = (0.85, 1.47, 2.27, 3.23, 4.37)
"""Variances at x2, in x2 HR pixels squared."""
BASE_RANGE = (0.6, 5.0)
"""The variances at x2 that the bins of the grid cover."""
THETAS = tuple((2 * i + 1) * math.pi / 16 for i in range(8))
KERNEL_SIZES = {2: 13, 4: 33, 8: 81}
"""Side of the kernels; x8 is ours: with 81 the LR image is aligned to 0.002 pixels even at the widest blur."""


@dataclass(frozen=True)
class Setting:
    """One of the 85: its kernel, the network (of 25) that serves it and how the image is turned for it."""

    lambda_1: float
    lambda_2: float
    theta: float
    expert: int
    symmetry: int


def variance_factor(scale: int) -> int:
    """How many times the variances of the x2 grid are at another scale.

    >>> [variance_factor(s) for s in (2, 4, 8)]
    [1, 5, 21]
    """
    return (scale * scale - 1) // 3


def reduce_angle(theta: float) -> tuple[float, int]:
    """The angle below pi/4 whose network serves an angle of the grid, and the symmetry to apply to the image."""
    if theta < math.pi / 4:
        return theta, IDENTITY
    if theta < math.pi / 2:
        return math.pi / 2 - theta, FLIP_ROTATE
    if theta < 3 * math.pi / 4:
        return theta - math.pi / 2, ROTATE
    return math.pi - theta, FLIP


def _experts() -> list[tuple[int, int, float]]:
    """(index of lambda_1, of lambda_2, angle) of the 25 networks: isotropic ones after the others of a lambda_1."""
    found = []
    for i in range(len(BASE_LAMBDAS)):
        found += [(i, j, theta) for j in range(i) for theta in THETAS[:2]]
        found.append((i, i, 0.0))
    return found


EXPERTS = tuple(_experts())


def _settings() -> list[tuple[int, int, float, int, int]]:
    """The 85 in the order that the published KEN expects."""
    places = {(i, j, round(theta, 6)): n for n, (i, j, theta) in enumerate(EXPERTS)}
    found = []
    for i in range(len(BASE_LAMBDAS)):
        for j in range(i):
            for theta in THETAS:
                reduced, symmetry = reduce_angle(theta)
                found.append((i, j, theta, places[i, j, round(reduced, 6)], symmetry))
        found.append((i, i, 0.0, places[i, i, 0.0], IDENTITY))
    return found


SETTINGS = tuple(_settings())
MIDDLE = EXPERTS.index((2, 2, 0.0))
"""The isotropic expert in the middle of the grid, from which the others are warm-started."""


class ExpertGrid:
    """The grid at one scale.

    Args:
        scale: 2, 4 or 8.

    Attributes:
        lambdas: the five variances in HR pixels squared.
        settings: the 85.
        parameters: (85, 3) float64, (lambda_1, lambda_2, theta) of each.
        expert_parameters: (25, 3) float64, of each network.
        experts: (85,) int64, which network serves a setting.
        symmetries: (85,) int64, how the image is turned for it.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale
        factor = variance_factor(scale)
        self.lambdas = tuple(round(value * factor, 6) for value in BASE_LAMBDAS)
        self.settings = tuple(Setting(self.lambdas[i], self.lambdas[j], t, e, s) for i, j, t, e, s in SETTINGS)
        self.parameters = torch.tensor([(s.lambda_1, s.lambda_2, s.theta) for s in self.settings], dtype=torch.float64)
        self.expert_parameters = torch.tensor(
            [(self.lambdas[i], self.lambdas[j], theta) for i, j, theta in EXPERTS], dtype=torch.float64
        )
        self.experts = torch.tensor([s.expert for s in self.settings])
        self.symmetries = torch.tensor([s.symmetry for s in self.settings])

    @property
    def range(self) -> tuple[float, float]:
        """The variances that the grid covers."""
        factor = variance_factor(self.scale)
        return BASE_RANGE[0] * factor, BASE_RANGE[1] * factor

    def key(self, expert: int) -> str:
        """The name of a network in the published files.

        >>> ExpertGrid(4).key(0), ExpertGrid(2).key(1)
        ('U_4.25_4.25_0.00', 'U_1.47_0.85_0.20')
        """
        i, j, theta = EXPERTS[expert]
        return f"U_{self.lambdas[i]:.2f}_{self.lambdas[j]:.2f}_{theta:.2f}"

    def nearest(self, parameters: Tensor, official_quirks: bool = False) -> Tensor:
        """The setting nearest to each kernel: each lambda and the angle by itself, as published.

        Ours wraps angles at 0 and pi, and orders the variances first. The public code does neither: an angle just below
        pi is far from pi/16 to it, and a kernel with lambda_2 > lambda_1 becomes the isotropic one of the larger.

        Args:
            parameters: (B, 3).
            official_quirks: choose as the public code does.

        Returns:
            int64, (B,), on the CPU.
        """
        first, second, angle = self._snap(parameters, official_quirks)
        # Before lambda_1 number i stand i smaller ones with 8 per pair and 1 isotropic: 4 i (i-1) + i.
        start = 4 * first * (first - 1) + first
        return torch.where(first == second, start + 8 * first, start + 8 * second + angle)

    def choose(self, parameters: Tensor, official_quirks: bool = False) -> tuple[Tensor, Tensor]:
        """The network that serves each kernel and how its filters are turned; arguments as in :meth:`nearest`.

        The public code turns isotropic networks too, by the angle that means nothing for them.

        Returns:
            Two int64 (B,) on the CPU.
        """
        places = self.nearest(parameters, official_quirks)
        if not official_quirks:
            return self.experts[places], self.symmetries[places]
        _, _, angle = self._snap(parameters, official_quirks)
        turns = torch.tensor([reduce_angle(theta)[1] for theta in THETAS])
        return self.experts[places], turns[angle]

    def _snap(self, parameters: Tensor, official_quirks: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers of the nearest lambdas and angle, the first lambda at least as large as the second."""
        parameters = parameters.detach().double().cpu()
        if not official_quirks:
            parameters = canonical(parameters)
        grid = torch.tensor(self.lambdas, dtype=torch.float64)
        first, second = ((parameters[:, k, None] - grid).abs().argmin(1) for k in (0, 1))
        distance = parameters[:, 2, None] - torch.tensor(THETAS, dtype=torch.float64)
        if not official_quirks:
            distance = torch.remainder(distance + math.pi / 2, math.pi) - math.pi / 2
        return torch.maximum(first, second), second, distance.abs().argmin(1)


def canonical(parameters: Tensor) -> Tensor:
    """The same kernels with lambda_1 the larger and theta in [0, pi); (B, 3)."""
    first, second, theta = parameters.unbind(-1)
    swapped = second > first
    theta = torch.remainder(torch.where(swapped, theta + math.pi / 2, theta), math.pi)
    return torch.stack((torch.maximum(first, second), torch.minimum(first, second), theta), -1)
