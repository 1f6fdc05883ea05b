"""A user's own network, for the tests of ``technique=external``."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Toy(nn.Module):
    """Nearest neighbour and a convolution that changes little."""

    def __init__(self, scale: int = 4, width: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv2d(3, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(nn.functional.interpolate(x, scale_factor=self.scale, mode="nearest"))


def initialised(seed: int = 0, **settings: int) -> Toy:
    """One that is near the identity."""
    torch.manual_seed(seed)
    toy = Toy(**settings)
    with torch.no_grad():
        toy.conv.weight.mul_(0.05)
        toy.conv.bias.mul_(0.05)
        toy.conv.weight[range(3), range(3), 1, 1] += 0.95
    return toy


class Broken(nn.Module):
    def __init__(self) -> None:
        raise RuntimeError("no luck")


NOT_A_CLASS = 3
