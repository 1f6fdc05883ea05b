"""3x3 convolutions of feature maps: PyTorch's, or where that is faster by Winograd's filtering, with autograd."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from octosr.nn import winograd
from octosr.nn.winograd import BLOCK, suits, transform_filter

LEAST_CHANNELS = 48
LEAST_BLOCKS, LEAST_BLOCKS_FROZEN = 64, 48
"""Width and blocks, of all images together, that make it worth the transforms; a gradient of wide filters is worth it
for more blocks only, a fourth of the channels. ``benchmarks/convolution.py`` measures it."""


def worthwhile(x: Tensor, outputs: int, frozen: bool = False) -> bool:
    """Whether :func:`conv3x3` can do it and is faster than PyTorch's convolution.

    Args:
        x: (B, C, H, W).
        outputs: channels that come out.
        frozen: the filters have no gradient.
    """
    channels = min(x.shape[1], outputs)
    if channels < LEAST_CHANNELS or not suits(x):
        return False
    blocks = len(x) * math.prod(-(-side // BLOCK) for side in x.shape[-2:])
    return blocks >= (LEAST_BLOCKS_FROZEN if frozen else max(LEAST_BLOCKS, channels // 4))


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)``, on request with a ReLU behind it; differentiable once.

    Args:
        x: (B, I, H, W), on a CPU; fastest in channels_last memory.
        weight: (O, I, 3, 3).
        bias: (O,).
        relu: whether.

    Returns:
        (B, O, H, W), in channels_last memory.

    >>> x, weight = torch.randn(2, 3, 9, 12).double(), torch.randn(5, 3, 3, 3).double()
    >>> torch.allclose(conv3x3(x, weight), torch.nn.functional.conv2d(x, weight, padding=1))
    True
    """
    return conv_transformed(x, transform_filter(weight), bias, relu)


def conv_transformed(x: Tensor, filters: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    """:func:`conv3x3` with filters (36, I, O) from :func:`~octosr.nn.winograd.transform_filter`, to use them often."""
    result: Tensor = _Conv3x3.apply(x, filters, bias, relu)
    return result


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    """As :func:`conv3x3`, which is used where that is :func:`worthwhile`.

    Args:
        x: (B, I, H, W).
        weight: (O, I, 3, 3).
        bias: (O,).
        relu: with a ReLU behind it.
    """
    if worthwhile(x, len(weight), not weight.requires_grad):
        return conv3x3(x, weight, bias, relu)
    result = F.conv2d(x, weight, bias, padding=1)
    return F.relu_(result) if relu else result


class _Conv3x3(torch.autograd.Function):
    """Keeps the maps, not their transform, which is twice as large and quickly made again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, filters: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        count, _, height, width = x.shape
        # Not a view: callers may overwrite it under autograd.
        shape = (count, filters.shape[2], height, width)
        result = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        winograd.forward(x.permute(0, 2, 3, 1), filters, bias, result.permute(0, 2, 3, 1), relu)
        ctx.save_for_backward(x, filters, result if relu else None)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, filters, active = ctx.saved_tensors
        wants_x, wants_filters, wants_bias, _ = ctx.needs_input_grad
        gradient = gradients[0].contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        of_x = torch.empty_like(x, memory_format=torch.channels_last) if wants_x else None
        of_filters = torch.zeros_like(filters) if wants_filters else None
        of_bias = filters.new_zeros(filters.shape[2]) if wants_bias else None
        winograd.backward(
            gradient, x.permute(0, 2, 3, 1), filters, None if active is None else active.permute(0, 2, 3, 1),
            of_filters, of_bias, None if of_x is None else of_x.permute(0, 2, 3, 1),
        )  # fmt: skip
        return of_x, of_filters, of_bias, None
