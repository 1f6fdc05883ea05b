"""The sub-pixel upsampler as one convolution, for inference.

There is no activation in it: convolutions and pixel shuffles in a row are a linear map, and away from the border it is
the same map for each LR pixel, a 5x5 convolution from the features to the ``3*s*s`` numbers of its block of the result.
At x4 that is a tenth of the arithmetic, and no map of 4 x 64 channels at twice the resolution is ever in memory. In a
rim of two pixels, where the layers' zero padding makes a difference, the layers themselves are used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RIM = 2
"""LR pixels on which the result depends around a pixel, whatever the scale: see ``layers.upsampler_reach``."""
LEAST = 3 * RIM + 2
"""Sides of LR images for which this is done, in pixels."""


class ComposedUpsampler:
    """What ``layers.upsampler`` computes, up to rounding. It serves as long as the weights do not change.

    Args:
        layers: the upsampler.
        scale: its factor s.
    """

    def __init__(self, layers: nn.Sequential, scale: int) -> None:
        self.layers, self.scale = layers, scale
        first = layers[0]
        assert isinstance(first, nn.Conv2d)
        channels, side = first.in_channels, 2 * RIM + 1
        # Impulses with a pixel more around than they reach, so that no padding is felt.
        impulses = first.weight.new_zeros(channels + 1, channels, side + 2, side + 2)
        impulses[range(channels), range(channels), RIM + 1, RIM + 1] = 1
        blocks = F.pixel_unshuffle(layers(impulses), scale)
        self.bias = blocks[-1, :, RIM + 1, RIM + 1].clone()
        answers = blocks[:-1, :, 1:-1, 1:-1] - self.bias[:, None, None]
        # What an impulse does to the pixel on its left is what a pixel takes from the one on its right.
        self.weight = answers.flip(-2, -1).transpose(0, 1).contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, h, w), sides at least LEAST, to (B, 3, s*h, s*w)."""
        blocks = F.conv2d(x, self.weight, self.bias, padding=RIM)
        result = F.pixel_shuffle(blocks.contiguous(), self.scale)
        seen, kept = 2 * RIM, RIM * self.scale
        result[..., :kept, :] = self.layers(x[..., :seen, :])[..., :kept, :]
        result[..., -kept:, :] = self.layers(x[..., -seen:, :])[..., -kept:, :]
        result[..., :kept] = self.layers(x[..., :seen])[..., :kept]
        result[..., -kept:] = self.layers(x[..., -seen:])[..., -kept:]
        return result


def composed(layers: nn.Sequential, scale: int, like: Tensor) -> ComposedUpsampler | None:
    """For images like (B, 3, h, w); None where the layers have to be used as they are.

    Namely where a gradient is wanted, in mixed precision and in compiled networks, and for very small images.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_autocast_enabled(like.device.type):
        return None
    return ComposedUpsampler(layers, scale) if min(like.shape[-2:]) >= LEAST else None
