"""KEN of MoESR (Emad, Peemen & Corporaal, WACV 2022): it reads the blur off the judgements of all experts."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.degradation.aligned import parameters_of
from octosr.techniques.moesr.grid import BASE_LAMBDAS, variance_factor

KernelCode = Literal["angle", "matrix"]
SETTINGS_COUNT = 85
SMALLEST_LAMBDA = 0.01


class KernelEstimator(nn.Module):
    """KEN: from the 85 scores to the blur kernel; 7,003 parameters.

    Args:
        scale: 2, 4 or 8; sets the unit of the result.
        code: what the three outputs mean. ``angle``: lambda_1, lambda_2 and 16/pi theta, as published. ``matrix``
            (ours): the square root of the covariance as its distance from the grid's middle, in x2 pixels (xx, yy, xy).
            The angle jumps at 0 and pi, where nothing happens to the kernel, and means nothing for a round one; the
            matrix is continuous everywhere, which is what a network can learn.
        hidden: width of the two hidden layers.

    >>> sum(p.numel() for p in KernelEstimator(2).parameters())
    7003
    """

    is_angle: Tensor

    def __init__(self, scale: int, code: KernelCode = "matrix", hidden: int = 50) -> None:
        super().__init__()
        self.scale = scale
        # In the state dict, since weights mean nothing without it: published ones are "angle".
        self.register_buffer("is_angle", torch.tensor(code == "angle"))
        widths = [SETTINGS_COUNT, hidden, hidden, 3]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(widths))

    @property
    def code(self) -> KernelCode:
        """What the outputs mean."""
        return "angle" if bool(self.is_angle) else "matrix"

    def forward(self, scores: Tensor) -> Tensor:
        """(lambda_1, lambda_2, theta) in HR pixels squared and radians, (B, 3), from scores (B, 85)."""
        outputs = self.outputs(scores)
        if self.code == "angle":
            return torch.cat((outputs[:, :2].clamp_min(SMALLEST_LAMBDA), outputs[:, 2:] * (torch.pi / 16)), 1)
        root = parameters_of(self._matrix(outputs))
        factor = variance_factor(self.scale)
        lambdas = root[:, :2].clamp_min(SMALLEST_LAMBDA**0.5).square() * factor
        return torch.cat((lambdas, root[:, 2:]), 1)

    def root_covariance(self, scores: Tensor) -> Tensor:
        """The symmetric square root of the covariance, in x2 pixels, (B, 2, 2): what training compares."""
        outputs = self.outputs(scores)
        if self.code == "matrix":
            return self._matrix(outputs)
        scaled = outputs[:, :2].clamp_min(SMALLEST_LAMBDA) / variance_factor(self.scale)
        return root_covariances(torch.cat((scaled, outputs[:, 2:] * (torch.pi / 16)), 1))

    def outputs(self, scores: Tensor) -> Tensor:
        """The three raw outputs; each image's scores are first standardised (unbiased deviation), in their floats."""
        x = (scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True)
        x = x.to(next(self.parameters()).dtype)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)

    @staticmethod
    def _matrix(outputs: Tensor) -> Tensor:
        middle = BASE_LAMBDAS[len(BASE_LAMBDAS) // 2] ** 0.5
        xx, yy, xy = outputs[:, 0] + middle, outputs[:, 1] + middle, outputs[:, 2]
        return torch.stack((xx, xy, xy, yy), -1).unflatten(-1, (2, 2))


def root_covariances(parameters: Tensor) -> Tensor:
    """``R diag(sqrt(lambda_1), sqrt(lambda_2)) R'``, (B, 3) to (B, 2, 2): no seam at theta = 0 or for round kernels."""
    first, second, theta = parameters.unbind(-1)
    cos, sin = theta.cos(), theta.sin()
    first, second = first.sqrt(), second.sqrt()
    xy = (first - second) * sin * cos
    xx, yy = first * cos**2 + second * sin**2, first * sin**2 + second * cos**2
    return torch.stack((xx, xy, xy, yy), -1).unflatten(-1, (2, 2))
