"""What DAN v1 and v2 share: the sub-pixel upsampler and the activation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.2
"""Slope of every leaky ReLU in DAN."""

PIXEL_SHUFFLES: dict[int, tuple[int, ...]] = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
"""Scale -> factors of the [conv, PixelShuffle] steps. x8 goes on the way x4 does (ours; the paper stops at x4)."""


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU in place: no convolution needs its own output to be differentiated, so nothing is lost."""
    return F.leaky_relu_(x, NEGATIVE_SLOPE)


def upsampler_reach(scale: int) -> int:
    """On how many LR pixels around a pixel the result of :func:`upsampler` depends.

    >>> [upsampler_reach(scale) for scale in (2, 3, 4, 8)]
    [2, 2, 2, 2]
    """
    first, last = 0, scale - 1  # in pixels of the result, of one LR pixel
    for factor in (1, *reversed(PIXEL_SHUFFLES[scale])):
        first, last = first // factor - 1, last // factor + 1
    return max(-first, last)


def upsampler(features: int, scale: int) -> nn.Sequential:
    """Sub-pixel upsampling without activations, (B, features, h, w) -> (B, 3, scale*h, scale*w).

    Args:
        features: width of the input.
        scale: 2, 3, 4 or 8.
    """
    layers: list[nn.Module] = []
    for factor in PIXEL_SHUFFLES[scale]:
        layers += [nn.Conv2d(features, features * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers, nn.Conv2d(features, 3, 3, padding=1))
