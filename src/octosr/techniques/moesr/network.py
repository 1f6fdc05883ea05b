"""The experts of MoESR (Emad, Peemen & Corporaal, WACV 2022): each enlarges 2x and knows one blur."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.nn import chain


def bicubic(images: Tensor, scale: int) -> Tensor:
    """PyTorch's bicubic enlargement (a = -0.75), which the published networks were trained with."""
    return F.interpolate(images, scale_factor=scale, mode="bicubic", align_corners=False)


BICUBIC_REACH = 2
"""LR pixels that bicubic interpolation looks at around a pixel."""


def reach(layers: int, levels: int) -> int:
    """On how many LR pixels around a pixel an expert's result depends; ``layers`` 3x3 convolutions on each level.

    >>> reach(12, 1), reach(12, 2)
    (8, 12)
    """
    pixels = 0
    for _ in range(levels):
        pixels = -(-(pixels + layers) // 2) + BICUBIC_REACH
    return pixels


def expert_channels(features: int, layers: int) -> list[tuple[int, int]]:
    """(in, out) of the convolutions of one expert: 3 to features, layers - 2 inside, features to 3."""
    return [(3, features), *[(features, features)] * (layers - 2), (features, 3)]


class Expert(nn.Module):
    """One expert for x2: bicubic enlargement plus what 12 plain convolutions find missing; 372,803 parameters.

    Args:
        features: width.
        layers: number of 3x3 convolutions.

    >>> sum(p.numel() for p in Expert().parameters())
    372803
    """

    def __init__(self, features: int = 64, layers: int = 12) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in expert_channels(features, layers))

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge (B, 3, h, w) to (B, 3, 2h, 2w), not clamped."""
        enlarged = bicubic(lr, 2)
        x = enlarged
        for conv in self.convs[:-1]:
            x = F.relu(conv(x))
        return enlarged + self.convs[-1](x)


def improve(
    enlarged: Sequence[Tensor],
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    winograd: bool = False,
    coarse: bool = False,
) -> list[Tensor]:
    """Run N different experts of one level at once, each on its own images.

    Args:
        enlarged: images (N, B, 3, 2h, 2w), made by :func:`bicubic`, of which there may be several sizes; N may be 1:
            all experts get the same images.
        weights: per convolution (N, out, in, 3, 3).
        biases: per convolution (N, out).
        winograd: allow fast convolution on CPUs, see :mod:`octosr.nn.chain`.
        coarse: with it, an error of some 1e-5 will do.

    Returns:
        Of each size (N, B, 3, 2h, 2w).
    """
    if not winograd or not chain.suits(enlarged[0], weights):
        return [images + _grouped(images, weights, biases) for images in enlarged]
    networks = zip(*(t.unbind() for t in (*weights, *biases)), strict=True)
    layers = len(weights)
    found = []
    for n, network in enumerate(networks):
        own = [images[n if len(images) > 1 else 0] for images in enlarged]
        missing = chain.convolve_chain(own, network[:layers], network[layers:], coarse)
        found.append([a + b for a, b in zip(own, missing, strict=True)])
    return [torch.stack(size) for size in zip(*found, strict=True)]


def _grouped(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """The convolutions of N networks on (N or 1, B, 3, h, w); (N, B, 3, h, w)."""
    count, shared = len(weights[0]), len(x) == 1
    # Networks are groups of channels: one grouped convolution a layer runs them all.
    x = x.transpose(0, 1).flatten(1, 2)
    if count == 1 and x.device.type == "cpu":
        # The CPU's convolutions reorder other layouts before and after each call.
        x = x.contiguous(memory_format=torch.channels_last)
    groups = 1 if shared else count
    last = len(weights) - 1
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = F.conv2d(x, weight.flatten(0, 1), bias.flatten(), padding=1, groups=groups)
        groups = count
        if number < last:
            x = F.relu_(x) if not torch.is_grad_enabled() else F.relu(x)
    return x.unflatten(1, (count, 3)).transpose(0, 1)
